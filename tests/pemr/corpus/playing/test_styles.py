import numpy as np
import pytest

from pemr.corpus.notes.scores import Chord
from pemr.corpus.playing import styles as s

LAYERS = [
    s.sustained, s.block, s.strum, s.arpeggio, s.alberti, s.stride, s.offbeat, s.power, s.drone,
    s.stabs, s.tremolo, s.root_bass, s.eighth_bass, s.walking_bass, s.fifth_bass, s.riff_bass,
    s.pedal_bass,
]  # fmt: skip


def pulses(n_per_bar=4, n_bars=4):
    chords = [Chord(0, 4, 0, "maj", 0), Chord(4, 4, 9, "min", 9), Chord(8, 8, 7, "7", 11)]
    rows = []
    for k in range(n_per_bar * n_bars):
        chord = chords[min(k // 4, 2)]
        rows.append(s.Pulse(float(k), 1.0, k % n_per_bar, chord, k in (0, 4, 8)))
    return tuple(rows)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
@pytest.mark.parametrize("n_per_bar", [1, 2, 3, 4])
def test_layer_plays_audible_notes_inside_the_passage(layer, n_per_bar):
    grid = s.BeatGrid(pulses(n_per_bar), n_per_bar)
    hits = layer(grid, np.random.default_rng(3))
    end = grid.pulses[-1].start + 1
    assert hits
    for hit in hits:
        assert 0 <= hit.start < end
        assert hit.duration > 0
        assert 20 <= hit.pitch <= 110
        assert 1 <= hit.velocity <= 127


@pytest.mark.parametrize("layer", [s.sustained, s.block, s.arpeggio, s.alberti, s.offbeat])
def test_harmony_plays_chord_tones_alone(layer):
    grid = s.BeatGrid(pulses(), 4)
    for hit in layer(grid, np.random.default_rng(5)):
        chord = next(p.chord for p in reversed(grid.pulses) if p.start <= hit.start + 1e-6)
        assert hit.pitch % 12 in chord.pitch_classes


def test_voicing_holds_each_tone_once_within_an_octave():
    pitches = s.voicing(Chord(0, 4, 2, "min7", 2), 60)
    assert sorted(p % 12 for p in pitches) == sorted((2, 5, 9, 0))
    assert max(pitches) - min(pitches) < 12


def test_swing_delays_the_off_beat_and_keeps_the_beat():
    straight, swung = s.BeatGrid(pulses(), 4), s.BeatGrid(pulses(), 4, swing=2 / 3)
    pulse = straight.pulses[1]
    assert straight.at(pulse, 0.5) == pytest.approx(1.5)
    assert swung.at(pulse, 0.5) == pytest.approx(1 + 2 / 3)
    assert swung.at(pulse, 0.0) == pytest.approx(1.0)
