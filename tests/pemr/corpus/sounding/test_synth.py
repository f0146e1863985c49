import numpy as np
import pytest

from pemr.corpus.playing.arrange import Event
from pemr.corpus.sounding.synth import FAMILIES, noise, play

RATE = 16_000


def peak_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return np.argmax(spectrum) * RATE / len(waveform)


@pytest.mark.parametrize("family", range(len(FAMILIES)))
@pytest.mark.parametrize("pitch", [57.0, 69.3])
def test_note_has_its_pitch(family, pitch):
    waveform = play([Event(0.0, 1.5, pitch, 100)], 8 * family, 2 * RATE, RATE)
    strongest = peak_hz(waveform)
    expected = 440 * 2 ** ((pitch - 69) / 12)
    assert strongest / expected == pytest.approx(round(strongest / expected), abs=0.02)


@pytest.mark.parametrize("pitch", [36, 38, 39, 42, 45, 46, 49, 51])
def test_drum_sounds_and_dies_away(pitch):
    waveform = play([Event(0.1, 0.1, pitch, 100)], 0, 6 * RATE, RATE, is_drums=True)
    assert np.abs(waveform[:1600]).max() == 0
    assert np.abs(waveform).max() > 0.05
    assert np.abs(waveform[-1600:]).max() < 0.01


def test_notes_add_up_and_louder_is_louder():
    one, two = Event(0.0, 0.4, 60, 100), Event(0.3, 0.4, 64, 50)
    both = play([one, two], 0, RATE, RATE)
    apart = play([one], 0, RATE, RATE) + play([two], 0, RATE, RATE)
    np.testing.assert_allclose(both, apart, atol=1e-6)
    assert np.abs(play([one], 0, RATE, RATE)).max() > np.abs(play([two], 0, RATE, RATE)).max()


def test_what_lies_outside_is_cut():
    assert len(play([Event(0.9, 5.0, 60, 100)], 48, RATE, RATE)) == RATE
    assert not play([Event(2.0, 1.0, 60, 100)], 48, RATE, RATE).any()


def test_noise_has_unit_power(rng):
    assert np.std(noise(100_000, rng)) == pytest.approx(1, abs=0.02)
