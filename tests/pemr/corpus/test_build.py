import json
from dataclasses import replace

import numpy as np
import pytest

from pemr.corpus import build as b
from pemr.corpus.build import Order, build, play
from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.notes.works import Work
from pemr.corpus.sounding import soundfont
from pemr.corpus.sounding.soundfont import choose_fonts
from pemr.errors import CorpusError
from pemr.signal.frontend import FRAME_RATE, N_BINS
from pemr.signal.recording import N_HARMONIES

ORDER = Order(split="dev", n_works=2, n_performances=2, n_noise=1, seed=3)


@pytest.fixture(scope="module", autouse=True)
def short_performances():
    with pytest.MonkeyPatch.context() as patch:
        short = {name: replace(d, length_s=6.0) for name, d in b.DIFFICULTIES.items()}
        patch.setattr(b, "DIFFICULTIES", short)
        yield


@pytest.fixture(scope="module")
def works():
    return [Work(f"work-{i}", (transcribe(tune),), "dev") for i, tune in enumerate(TUNES[:6])]


@pytest.fixture(scope="module")
def corpus(works, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "dev"
    names = list(build(works, ORDER, folder))
    return folder, names


def rows(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_corpus_holds_what_was_ordered(corpus):
    folder, names = corpus
    found = rows(folder)
    assert [row["performance"] for row in found] == names
    assert len(names) == ORDER.n_total == 5
    assert len({row["work"] for row in found}) == 3
    for row in found:
        compact = np.load(folder / row["spectrogram"])
        assert compact.dtype == np.uint8
        assert compact.shape[0] == N_BINS
        assert compact.shape[1] == pytest.approx(row["duration_s"] * FRAME_RATE, abs=1.5)
        assert row["split"] == "dev"
        assert row["recipe"]["engine"] == "built-in"


def test_time_map_and_passages_lie_inside_the_performance(corpus):
    for row in rows(corpus[0]):
        times = np.array(row["time_map"])
        assert (np.diff(times, axis=0) > 0).all()
        assert times[-1, 1] <= row["duration_s"]
        for passage in row["passages"]:
            assert 0 < passage["start_s"] < passage["end_s"] <= row["duration_s"]
            assert passage["end_beat"] > passage["start_beat"]


def test_same_seed_gives_the_same_bytes(corpus, works, tmp_path):
    list(build(works, ORDER, tmp_path))
    for name in ("corpus.json", "manifest.jsonl"):
        assert (tmp_path / name).read_bytes() == (corpus[0] / name).read_bytes()
    for row in rows(tmp_path):
        file = row["spectrogram"]
        np.testing.assert_array_equal(np.load(tmp_path / file), np.load(corpus[0] / file))


@pytest.mark.parametrize("n_bytes", [0, 10, 3000, 5000])
def test_killed_build_goes_on_to_the_same_manifest(corpus, works, tmp_path, n_bytes, monkeypatch):
    whole = (corpus[0] / "manifest.jsonl").read_bytes()
    n_whole = whole[:n_bytes].count(b"\n")
    (tmp_path / "corpus.json").write_bytes((corpus[0] / "corpus.json").read_bytes())
    (tmp_path / "manifest.jsonl").write_bytes(whole[:n_bytes])
    made = []
    lines = dict(zip(corpus[1], whole.decode().splitlines(), strict=True))
    monkeypatch.setattr(b, "_perform", lambda job: made.append(job.name) or lines[job.name])
    assert list(build(works, ORDER, tmp_path)) == corpus[1]
    assert (tmp_path / "manifest.jsonl").read_bytes() == whole
    assert made == corpus[1][n_whole:]


def test_larger_corpus_begins_with_the_works_of_the_smaller(works, tmp_path):
    small = b._jobs(works, ORDER, tmp_path)
    large = b._jobs(works, replace(ORDER, n_works=4), tmp_path)
    assert [job.name for job in large[:4]] == [job.name for job in small[:4]]


def test_settings_take_turns_in_human(works, tmp_path):
    settings = tuple(replace(works[0].scores[0], source=f"book{i}/1") for i in range(3))
    order = replace(ORDER, split="human", n_works=1, n_performances=4, n_noise=0)
    jobs = b._jobs([Work("w", settings, "human")], order, tmp_path)
    drawn = [b._setting(job, np.random.default_rng(0)).source for job in jobs]
    assert drawn == ["book0/1", "book1/1", "book2/1", "book0/1"]


def test_held_out_font_plays_in_test_alone():
    fonts = ("/fonts/MuseScore_General.sf3", "/fonts/TimGM6mb.sf2")
    used = {
        split: {
            b._font(replace(ORDER, split=split, fonts=fonts), np.random.default_rng(i))
            for i in range(60)
        }
        for split in ("train", "dev", "human", "test")
    }
    assert used["test"] == {"", *fonts}
    assert used["train"] == used["dev"] == used["human"] == {"", fonts[1]}


def test_too_few_works_are_an_error(works, tmp_path):
    with pytest.raises(CorpusError, match="dev has 6 works, 31 were asked for"):
        list(build(works, replace(ORDER, n_works=30), tmp_path))


def test_another_corpus_in_the_folder_is_left_alone(corpus, works):
    with pytest.raises(CorpusError, match="holds another corpus"):
        list(build(works, replace(ORDER, seed=4), corpus[0]))


def test_damaged_manifest_is_an_error(corpus, works, tmp_path):
    (tmp_path / "corpus.json").write_bytes((corpus[0] / "corpus.json").read_bytes())
    (tmp_path / "manifest.jsonl").write_text("no json\n")
    with pytest.raises(CorpusError, match="damaged"):
        list(build(works, ORDER, tmp_path))


def test_folder_that_cannot_be_written_is_an_error(works, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match="cannot write the corpus here"):
        list(build(works, ORDER, tmp_path / "file" / "corpus"))


@pytest.mark.parametrize(("field", "value"), [("split", "training"), ("difficulty", "easy")])
def test_unknown_names_are_told(field, value):
    with pytest.raises(CorpusError, match=f"no {field} is called '{value}'; there are: "):
        replace(ORDER, **{field: value})


def test_missing_font_is_told(tmp_path):
    with pytest.raises(CorpusError, match="no such SoundFont"):
        choose_fonts([tmp_path / "none.sf2"])
    assert choose_fonts([]) == ()


def test_without_fluidsynth_the_built_in_synthesiser_plays(monkeypatch, caplog):
    monkeypatch.setattr(soundfont, "is_available", lambda: False)
    assert choose_fonts(None) == ()
    assert "the built-in synthesiser plays" in caplog.text


def test_performances_of_a_work_can_be_heard(corpus, works, tmp_path):
    folder, names = corpus
    work = names[0].split("/")[0]
    paths = list(play(works, folder, work, tmp_path / "out", []))
    assert [path.name for path in paths] == [f"{work}-0.flac", f"{work}-1.flac"]
    with pytest.raises(CorpusError, match="no work 'nothing'"):
        list(play(works, folder, "nothing", tmp_path, []))
    with pytest.raises(CorpusError, match="no corpus here"):
        list(play(works, tmp_path, work, tmp_path, []))


def test_every_performance_has_harmony_as_long_as_its_spectrogram(corpus):
    folder, _ = corpus
    for row in rows(folder):
        spectrogram, harmony = (
            np.load(folder / row["spectrogram"]),
            np.load(folder / row["harmony"]),
        )
        assert harmony.dtype == np.uint8
        assert harmony.shape == (N_HARMONIES, spectrogram.shape[1])
        assert harmony.any()
