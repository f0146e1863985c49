"""Folders of packed recordings, on small ones made here."""

import numpy as np
import pytest

from retrieval.benchmarks import load_benchmark
from retrieval.benchmarks.packed import load, read_parts
from retrieval.errors import BenchmarkError
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.features import feature_scorer
from retrieval.ranking.ranking import PLAIN


def write(path, rng, n_frames=200, **others):
    parts = {
        "spectrogram": rng.integers(1, 256, (84, n_frames), dtype=np.uint8),
        "chroma": rng.integers(0, 256, (12, n_frames), dtype=np.uint8),
        "harmony": rng.integers(0, 256, (36, n_frames), dtype=np.uint8),
    }
    np.savez(path, **parts | others)


@pytest.fixture
def folder(tmp_path, rng):
    """Two works of two recordings, which share their sound, and one that is alone."""
    for work in ("a", "b"):
        seed = int(rng.integers(1000))
        for take in (1, 2):
            write(tmp_path / f"{work}_{take}.npz", np.random.default_rng(seed))
    write(tmp_path / "c_1.npz", rng)
    names = ["a_1", "a_2", "b_1", "b_2", "c_1"]
    rows = "".join(f"{name}.npz,{name[0]},40.0\n" for name in names)
    (tmp_path / "cliques.csv").write_text(f"file,work,seconds\n{rows}")
    return tmp_path


@pytest.mark.parametrize("ranking", [PLAIN, PLAIN.only("alignment")], ids=["both", "alignment"])
def test_a_folder_of_packed_recordings_is_measured(folder, fake_embedder, ranking):
    benchmark = load_benchmark("folder", folder)
    assert benchmark.card.name == "packed"
    scorer = feature_scorer(benchmark, fake_embedder, ranking)
    report = evaluate(benchmark, scorer, "fake", ranking)
    assert (report.counts.queries, report.counts.noise) == (4, 1)
    assert report.metrics["map"].value == 1
    assert all(len(pictures) == 36 for pictures in scorer.tonal)


def test_a_recording_without_harmony_is_aligned_by_chroma(folder, fake_embedder, rng):
    np.savez(
        folder / "c_1.npz",
        spectrogram=rng.integers(1, 256, (84, 50), dtype=np.uint8),
        chroma=rng.integers(1, 256, (12, 50), dtype=np.uint8),
    )
    scorer = feature_scorer(load(folder), fake_embedder, PLAIN)
    assert [len(pictures) for pictures in scorer.tonal] == [36, 36, 36, 36, 12]


def test_what_is_missing_is_named(folder):
    (folder / "b_2.npz").unlink()
    assert [p.name for p in load(folder).missing] == ["b_2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,work\na_1.npz,a\n", "no column file"),
        ("file,work\na_1.npz,a\na_1.npz,a\n", "a_1"),
        ("file,work\na_1.npz,a\nb_1.npz,b\n", "no work has two recordings"),
        ("file,work\n../a_1.npz,a\na_2.npz,a\n", "is no row"),
    ],
)
def test_a_list_that_is_wrong_is_refused(folder, text, reason):
    (folder / "cliques.csv").write_text(text)
    with pytest.raises(BenchmarkError, match=reason):
        load(folder)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"chroma": np.zeros((12, 4))}, "should be uint8"),
        ({"harmony": np.zeros((36, 7), np.uint8)}, r"harmony should be uint8 \(36, 200\)"),
    ],
)
def test_arrays_of_another_kind_are_refused(folder, rng, parts, reason):
    write(folder / "a_1.npz", rng, **parts)
    with pytest.raises(BenchmarkError, match=reason):
        read_parts(folder / "a_1.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_refused(folder, content):
    (folder / "a_1.npz").write_bytes(content)
    with pytest.raises(BenchmarkError, match="no packed recording"):
        read_parts(folder / "a_1.npz")


def test_a_file_without_chroma_is_refused(folder):
    np.savez(folder / "a_1.npz", spectrogram=np.zeros((84, 5), np.uint8))
    with pytest.raises(BenchmarkError, match="no chroma in it"):
        read_parts(folder / "a_1.npz")
