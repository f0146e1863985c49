import numpy as np
import pytest

from pemr.corpus.notes.scores import Chord
from pemr.corpus.playing import bands
from pemr.corpus.playing.styles import BeatGrid, Pulse


def grid(n_per_bar):
    chord = Chord(0, 64, 0, "maj", 0)
    rows = (Pulse(float(k), 1.0, k % n_per_bar, chord, k == 0) for k in range(8 * n_per_bar))
    return BeatGrid(tuple(rows), n_per_bar)


@pytest.mark.parametrize("name", bands.PATTERNS)
def test_drum_pattern_fills_its_bars(name):
    for n_pulses, lines in bands.PATTERNS[name].items():
        assert {len(line) for line in lines.values()} == {4 * n_pulses}
        assert set("".join(lines.values())) <= set("xo.")


@pytest.mark.parametrize("style", bands.STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("n_per_bar", [2, 3, 4, 5])
def test_band_plays_every_metre_the_same_way_twice(style, n_per_bar):
    first = bands.accompany(style, grid(n_per_bar), np.random.default_rng(1))
    again = bands.accompany(style, grid(n_per_bar), np.random.default_rng(1))
    assert first == again
    n_players = len(style.harmony) + bool(style.bass) + bool(style.drums)
    assert len(first) == n_players
    assert all(part.hits for part in first)


def test_band_is_silent_without_chords():
    style = next(style for style in bands.STYLES if style.drums)
    assert bands.accompany(style, BeatGrid((), 4), np.random.default_rng(0)) == []


def test_players_stay_when_the_passage_changes():
    for style in bands.STYLES:
        short = bands.accompany(style, grid(3), np.random.default_rng(9))
        long = bands.accompany(style, grid(4), np.random.default_rng(9))
        assert [(p.role, p.program) for p in short] == [(p.role, p.program) for p in long]


def test_some_styles_are_held_out():
    assert 3 <= sum(style.is_held_out for style in bands.STYLES) < len(bands.STYLES) / 3
