import numpy as np
import pytest

from pemr.corpus.demo import (
    N_FILES,
    N_PERFORMANCES,
    TUNES,
    _write_work,
    invent,
    recipes,
    transcribe,
)
from pemr.corpus.notes.scores import QUALITIES


@pytest.mark.parametrize("tune", TUNES, ids=lambda tune: tune.title)
def test_transcription_fills_its_bars(tune):
    score = transcribe(tune)
    bars = (score.n_beats - score.pickup) / score.beats_per_bar
    n_chords = len(tune.chords.split())
    assert bars <= n_chords
    assert bars > n_chords - 1


@pytest.mark.parametrize("tune", TUNES, ids=lambda tune: tune.title)
def test_tune_fits_its_chords(tune):
    score = transcribe(tune)
    fits = 0.0
    for note in score.melody:
        chord = next((c for c in score.chords if c.start <= note.start < c.end), score.chords[0])
        tones = {(chord.root + k) % 12 for k in QUALITIES[chord.quality]}
        fits += note.duration * (note.pitch % 12 in tones)
    assert fits / sum(note.duration for note in score.melody) > 0.55


def test_performances_of_a_work_differ_in_key_tempo_and_band():
    for tune in TUNES:
        drawn = recipes(transcribe(tune), N_PERFORMANCES, np.random.default_rng(0))
        assert len({recipe.transposition for recipe in drawn}) == N_PERFORMANCES
        assert len({recipe.tempo for recipe in drawn}) == N_PERFORMANCES
        assert len({(recipe.style, recipe.players) for recipe in drawn}) == N_PERFORMANCES
    assert N_FILES == 60


def test_inventions_differ(rng):
    assert invent(1, rng).melody != invent(2, rng).melody


def test_work_is_written_again_to_the_same_bytes(tmp_path):
    job = (3, (invent(7, np.random.default_rng(7)), 1))
    contents = []
    for name in ("first", "again"):
        paths = _write_work(tmp_path / name, 5, job)
        assert [path.parent.name for path in paths] == ["untitled-7"]
        contents.append(paths[0].read_bytes())
    assert contents[0] == contents[1]
