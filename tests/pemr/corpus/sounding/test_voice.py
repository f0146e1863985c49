import numpy as np
import pytest

from pemr.corpus.playing.arrange import Event
from pemr.corpus.sounding.voice import FORMANTS_HZ, SAMPLE_RATE, VOICES, sing, voice_names

LENGTH = 2 * SAMPLE_RATE


def pitch_of(waveform):
    """The first lag of large autocorrelation, as a MIDI pitch."""
    n = len(waveform)
    power = np.abs(np.fft.rfft(waveform, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n]
    lags = slice(SAMPLE_RATE // 900, SAMPLE_RATE // 55)
    inside = correlation[lags]
    is_peak = (inside[1:-1] >= inside[:-2]) & (inside[1:-1] >= inside[2:])
    lag = lags.start + 1 + int(np.argmax(is_peak & (inside[1:-1] > 0.85 * inside.max())))
    return 69 + 12 * np.log2(SAMPLE_RATE / lag / 440)


@pytest.mark.parametrize("name", [n for n, v in VOICES.items() if v.breathiness < 0.3])
def test_voice_holds_its_pitch_class(name, rng):
    waveform = sing([Event(0.1, 1.8, 62.0, 100)], name, LENGTH, rng)
    away = (pitch_of(waveform[8000:28000]) - 62 + 6) % 12 - 6
    assert abs(away) < 0.6


def test_same_take_twice():
    events = [Event(0.2, 0.5, 60, 90), Event(0.8, 0.6, 64, 90)]
    takes = [sing(events, "alto", LENGTH, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(*takes)
    assert np.isfinite(takes[0]).all()


def test_rests_are_quiet(rng):
    waveform = sing([Event(0.1, 0.4, 60, 90), Event(1.5, 0.4, 60, 90)], "tenor", LENGTH, rng)
    sung, rest = waveform[3200:7000], waveform[11000:14000]
    assert np.std(rest) < 0.1 * np.std(sung)


def test_without_notes_there_is_silence(rng):
    assert not sing([], "bass", LENGTH, rng).any()
    assert not sing([Event(9.0, 1.0, 60, 90)], "bass", LENGTH, rng).any()


def test_one_voice_is_held_out():
    kept = set(voice_names(held_out=True)) - set(voice_names(held_out=False))
    assert kept == {name for name, voice in VOICES.items() if voice.is_held_out}
    assert len(kept) == 1


def test_formants_rise():
    for formants in FORMANTS_HZ.values():
        assert list(formants) == sorted(formants)
