import json

import numpy as np
import pytest

from pemr.corpus.build import Order, build, play
from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.notes.works import Work
from pemr.corpus.playing.arrange import Arrangement, Event, PlayedPart
from pemr.corpus.sounding.sketch import draw_timbre, sketch
from pemr.errors import CorpusError
from pemr.signal.frontend import unpack

ORDER = Order(split="train", n_works=2, n_performances=2, seed=3, is_sketched=True)


def performance(*events, role="melody"):
    track = PlayedPart(role=role, program=73, voice="", gain_db=0.0, events=tuple(events))
    time_map = np.array([[0.0, 0.0], [8.0, 4.0]])
    return Arrangement(tracks=(track,), duration_s=4.0, time_map=time_map, passages=(), band_db=0.0)


def shown(played, seed=0):
    return unpack(sketch(played, np.random.default_rng(seed)))


def test_a_note_stands_out_at_its_pitch_while_it_sounds():
    for seed in range(5):
        seen = shown(performance(Event(1.0, 1.0, 69, 100)), seed)
        rise = seen[:, 6:9].mean(1) - seen[:, :4].mean(1)  # frames within and before the note
        partials = np.rint(45 + 12 * np.log2(np.arange(1, 10))).astype(int)  # A4 above C1
        assert rise[partials].max() > 10
        assert abs(rise.argmax() - partials).min() <= 1


def test_drums_are_broad_and_short():
    seen = shown(performance(Event(1.0, 0.1, 38, 110), role="drums"))
    rise = seen[:, 5] - seen[:, :4].mean(1)
    assert (rise > 3).sum() > 20


def test_a_sketch_is_a_function_of_its_seed():
    played = performance(Event(0.5, 1.0, 60, 90), Event(1.5, 1.0, 64, 90))
    np.testing.assert_array_equal(shown(played), shown(played))
    assert (shown(played) != shown(played, seed=1)).any()


def test_plucked_notes_decay_and_sustained_ones_hardly():
    rng = np.random.default_rng(0)
    plucked = [draw_timbre(24, is_voice=False, rng=rng).shape[1] for _ in range(20)]
    held = [draw_timbre(40, is_voice=True, rng=rng).shape[1] for _ in range(20)]
    assert min(plucked) > max(held)


@pytest.fixture(scope="module")
def works():
    return [Work(f"work-{i}", (transcribe(tune),), "train") for i, tune in enumerate(TUNES[:4])]


def test_a_corpus_can_be_sketched(works, tmp_path):
    assert len(list(build(works, ORDER, tmp_path / "c"))) == 4
    for line in (tmp_path / "c" / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        stored = np.load(tmp_path / "c" / row["spectrogram"])
        assert stored.dtype == np.uint8
        assert stored.shape == (84, pytest.approx(row["duration_s"] * 5, abs=1))
        assert row["passages"]


def test_a_sketched_corpus_cannot_be_played(works, tmp_path):
    list(build(works, ORDER, tmp_path / "c"))
    with pytest.raises(CorpusError, match="drawn without sound"):
        list(play(works, tmp_path / "c", "work", tmp_path / "out", ()))


def test_a_sketch_with_sound_is_refused():
    with pytest.raises(CorpusError, match="no sound to write"):
        Order(split="train", n_works=1, n_performances=2, is_sketched=True, has_audio=True)
