"""The measurements themselves: each can be loaded, and those of an encoder hear what it hears."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from pemr.corpus.build import Order, build
from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.notes.works import Work

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def load(monkeypatch):
    """Load a script as Python does that is started in its folder."""
    monkeypatch.syspath_prepend(BENCH)

    def loaded(name):
        spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three works in three sketched performances each."""
    folder = tmp_path_factory.mktemp("corpora") / "tiny"
    works = [Work(f"work-{i}", (transcribe(tune),), "dev") for i, tune in enumerate(TUNES[:3])]
    order = Order(split="dev", n_works=3, n_performances=3, seed=1, is_sketched=True)
    assert len(list(build(works, order, folder))) == 9
    return folder


def measured(script, monkeypatch, tmp_path, *arguments):
    out = tmp_path / "result"
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments), "--out", str(out)])
    script.main()
    return json.loads(out.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCH.glob("*.py")))
def test_every_measurement_can_be_loaded(load, name):
    assert load(name).__doc__


def test_key_and_tempo_cost_what_a_change_of_the_recording_costs(
    load, corpus, monkeypatch, tmp_path
):
    found = measured(
        load("robustness"), monkeypatch, tmp_path, corpus, "--queries", 2, "--without", "tempos"
    )
    rows = {row["change"]: row for row in found["rows"]}
    assert {"none", "transposed -6", "tempo x 1.4", "excerpt of 20 s"} <= rows.keys()
    assert rows["none"]["difference"] == "+0.0000"
    assert all(0 < float(row["MAP"]) <= 1 for row in rows.values())


def test_a_transposed_recording_turns_its_harmony_and_an_excerpt_keeps_all_parts(load, corpus, rng):
    script = load("robustness")
    embedder = script.load_embedder("cover", "cpu")
    one = script.read(corpus, embedder)[2][0]
    moved = script.transposed(one, 5)
    assert (moved.spectrogram[5:] == one.spectrogram[:-5]).all()
    assert (moved.harmony[5:12] == one.harmony[:7]).all()
    assert (moved.harmony[12:17] == one.harmony[19:24]).all()
    cut = script.excerpt(one, rng)
    assert cut.spectrogram.shape[1] == cut.harmony.shape[1] == script.EXCERPT_LENGTH


def test_queries_and_candidates_of_a_corpus_are_heard_alike(load, corpus, monkeypatch, tmp_path):
    script = load("corpus_cover")
    asked = []
    scorer = script.SegmentScorer

    def watched(**given):
        asked.append(given)
        return scorer(**given)

    monkeypatch.setattr(script, "SegmentScorer", watched)
    found = measured(script, monkeypatch, tmp_path, corpus, "--queries", 2, "--without", "tempos")
    assert [row["system"] for row in found["rows"]][-1] == "both"
    assert {tonal.shape[0] for tonal in asked[0]["tonal"]} == {36}


def test_noise_changes_what_is_heard_and_a_poor_codec_little(load, tone, tmp_path, rng):
    script = load("robustness")
    embedder = script.load_embedder("cover", "cpu")
    path = tone(tmp_path / "a.wav", seed=1, duration_s=3)
    clean, noisy = embedder.listen(path), script.noisy(path, embedder, rng)
    coded = script.through_codec(path, embedder)
    assert noisy.spectrogram.shape == clean.spectrogram.shape
    assert noisy.spectrogram.min() > clean.spectrogram.min()
    loudest = clean.spectrogram.mean(1).argmax()
    assert loudest == noisy.spectrogram.mean(1).argmax() == coded.spectrogram.mean(1).argmax()
