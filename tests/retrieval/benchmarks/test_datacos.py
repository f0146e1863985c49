"""Da-TACOS on a stand-in tree with its metadata and `.h5` files."""

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from retrieval.benchmarks import datacos
from retrieval.benchmarks.datacos import CARD, load, read_chroma
from retrieval.errors import BenchmarkError
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.features import feature_scorer
from retrieval.ranking.ranking import PLAIN, Ranking

h5py = pytest.importorskip("h5py")

WORKS = {"W_1": ["P_10", "P_11"], "W_2": ["P_20", "P_21"], "W_9": ["P_90"]}
RATE = 44_100 / 512


def about(work, name):
    return {
        "work_title": "Trade Winds",
        "work_artist": "Aki Aleong",
        "perf_title": f"Title; of, {name} ♪",
        "perf_artist": "Dodie Stevens",
        "release_year": "1961",
        "work_id": work,
        "perf_id": name,
        "instrumental": "No",
    }


def write_h5(path, name, work, feature, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[feature] = values
        file["label"] = work
        file["track_id"] = name


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Each work a random progression; its second performance is 4 semitones higher."""
    monkeypatch.setattr(
        datacos, "CARD", replace(CARD, expected={"benchmark": (5, 3), "coveranalysis": (5, 3)})
    )
    metadata = {work: {name: about(work, name) for name in names} for work, names in WORKS.items()}
    path = tmp_path / "da-tacos_metadata/da-tacos_benchmark_subset_metadata.json"
    path.parent.mkdir()
    path.write_text(json.dumps(metadata))
    for seed, (work, names) in enumerate(WORKS.items()):
        chords = np.random.default_rng(seed).random((40, 12)) ** 4
        values = np.repeat(chords, round(2 * RATE), axis=0)  # two seconds each
        for shift, name in enumerate(names):
            path = tmp_path / f"da-tacos_benchmark_subset_hpcp/{work}_hpcp/{name}_hpcp.h5"
            write_h5(path, name, work, "hpcp", np.roll(values, 4 * shift, axis=1))
    return tmp_path


def mean_chroma(chroma):
    """Stand in for an embedder: the sorted mean of ten-second pieces."""
    pieces = [chroma[:, i : i + 50].mean(axis=1) for i in range(0, chroma.shape[1], 50)]
    vectors = np.sort(np.array([p for p in pieces if p.any()]).reshape(-1, 12), axis=1)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class MeanChroma:
    """Meets as much of the embedder's protocol as features need."""

    name = "toy"

    def restore(self, arrays):
        return arrays["chroma"]

    def embed(self, recordings):
        return [mean_chroma(chroma) for chroma in recordings]


def test_metadata_gives_performances_and_features_their_paths(tree):
    benchmark = load(tree)
    assert (benchmark.subset, benchmark.convention) == ("benchmark", "hpcp")
    first = benchmark.performances[0]
    assert (first.name, first.work, first.path.name) == ("P_10", "W_1", "P_10_hpcp.h5")
    assert first.title == "Title; of, P_10 ♪"
    assert first.address == "https://secondhandsongs.com/performance/10"


def test_single_files_are_found_too(tree):
    old = tree / "da-tacos_benchmark_subset_hpcp/W_9_hpcp/P_90_hpcp.h5"
    new = tree / "da-tacos_benchmark_subset_single_files/W_9/P_90.h5"
    new.parent.mkdir(parents=True)
    old.rename(new)
    assert load(tree).performances[-1].path == new


def test_missing_features_are_named(tree):
    (tree / "da-tacos_benchmark_subset_hpcp/W_2_hpcp/P_21_hpcp.h5").unlink()
    assert [p.name for p in load(tree).missing] == ["P_21"]


def test_chroma_has_five_frames_a_second_and_starts_at_c(tmp_path):
    values = np.zeros((round(10 * RATE), 12))
    values[:, 0] = 0.5  # the first bin of HPCP is A
    values[:, 3] = 0.25  # so this is C
    write_h5(tmp_path / "x.h5", "P_1", "W_1", "hpcp", values)
    chroma = read_chroma(tmp_path / "x.h5", "hpcp")
    assert chroma.dtype == np.uint8
    assert abs(chroma.shape[1] - 50) <= 1
    assert (chroma[9] == 255).all()
    assert (chroma[0] == 128).all()


def test_crema_starts_at_c_already(tmp_path):
    values = np.zeros((100, 12))
    values[:, 7] = 1.0
    write_h5(tmp_path / "x.h5", "P_1", "W_1", "crema", values)
    assert read_chroma(tmp_path / "x.h5", "crema")[:, 0].argmax() == 7


def test_one_frame_is_enough_and_silence_stays_silent(tmp_path):
    write_h5(tmp_path / "x.h5", "P_1", "W_1", "hpcp", np.zeros((1, 12)))
    assert read_chroma(tmp_path / "x.h5", "hpcp").tolist() == [[0]] * 12


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((5, 36)), r"should be \(frames, 12\), not \(5, 36\)"),
        (np.zeros((0, 12)), r"not \(0, 12\)"),
        (np.full((5, 12), np.nan), "100% of the frames of hpcp are no numbers"),
    ],
)
def test_odd_features_are_refused(tmp_path, values, reason):
    write_h5(tmp_path / "x.h5", "P_1", "W_1", "hpcp", values)
    with pytest.raises(BenchmarkError, match=reason):
        read_chroma(tmp_path / "x.h5", "hpcp")


def test_file_without_the_feature_is_refused(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"no h5")
    with pytest.raises(BenchmarkError, match="no hpcp in it"):
        read_chroma(tmp_path / "x.h5", "hpcp")
    write_h5(tmp_path / "y.h5", "P_1", "W_1", "mfcc", np.zeros((5, 12)))
    with pytest.raises(BenchmarkError, match="no hpcp in it"):
        read_chroma(tmp_path / "y.h5", "hpcp")


def test_whole_benchmark_runs_on_features_with_noise_that_never_asks(tree):
    benchmark = load(tree)
    scorer = feature_scorer(benchmark, MeanChroma(), Ranking(n_aligned=4))
    report = evaluate(benchmark, scorer, "toy", Ranking(n_aligned=4))
    assert (report.counts.queries, report.counts.noise) == (4, 1)
    assert report.metrics["map"].value == 1
    by_name = {row.query: row.transposition for row in report.queries}
    assert (by_name["P_10"], by_name["P_11"]) == (4, -4)


def test_silent_features_are_unusable(tree):
    path = tree / "da-tacos_benchmark_subset_hpcp/W_9_hpcp/P_90_hpcp.h5"
    path.unlink()
    write_h5(path, "P_90", "W_9", "hpcp", np.zeros((5000, 12)))
    benchmark = load(tree)
    scorer = feature_scorer(benchmark, MeanChroma(), PLAIN.without("alignment"))
    report = evaluate(benchmark, scorer, "toy")
    assert report.unusable == ("P_90",)


def test_wrong_count_is_refused_with_the_difference(tree, monkeypatch):
    monkeypatch.setattr(datacos, "CARD", CARD)
    with pytest.raises(BenchmarkError, match=r"hold 5 of 3 \(-14995 and -2997\)"):
        load(tree)


def test_metadata_that_contradicts_itself_is_refused(tree):
    path = tree / "da-tacos_metadata/da-tacos_benchmark_subset_metadata.json"
    path.write_text(path.read_text().replace('"perf_id": "P_20"', '"perf_id": "P_77"'))
    with pytest.raises(BenchmarkError, match="W_2/P_20 calls itself W_2/P_77"):
        load(tree)


@pytest.mark.parametrize("text", ["", "[1]", '{"W_1": {"P_1": {}}}'])
def test_malformed_metadata_is_one_sentence(tree, text):
    (tree / "da-tacos_metadata/da-tacos_benchmark_subset_metadata.json").write_text(text)
    with pytest.raises(BenchmarkError, match="not the metadata of works"):
        load(tree)


def test_wrong_root_says_what_was_expected_where(tmp_path):
    with pytest.raises(BenchmarkError, match=r"metadata.json: no such file; datacos expects"):
        load(tmp_path, subset="coveranalysis")


def test_genuine_list_has_the_published_counts(shared_data):
    text = (shared_data / "lists/da-tacos_benchmark_subset.csv").read_text()
    works = Counter(row["work_id"] for row in csv.DictReader(text.splitlines()))
    assert (works.total(), len(works)) == CARD.expected["benchmark"]
    assert Counter(works.values()) == {13: 1000, 1: 2000}
