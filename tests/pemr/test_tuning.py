import numpy as np
import pytest

from pemr.signal import frontend
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.cqt import C1_HZ, Cqt
from pemr.signal.tuning import Tuning


def sine(semitones, duration_s=4.0, level=1.0):
    """A sine so many semitones above C1."""
    times = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    frequency_hz = C1_HZ * 2 ** (semitones / 12)
    return (level * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


@pytest.mark.parametrize("cents", [-45, -20, 0, 20, 45])
def test_tuning_is_found_and_removed(cents):
    chord = sum(sine(40 + note + cents / 100, level=0.2) for note in (0, 4, 7))
    magnitude = Cqt()(chord)
    deviation = Tuning().update(magnitude)
    assert deviation == pytest.approx(3 * cents / 100, abs=0.1)
    power = frontend.semitone_power(magnitude, deviation)[:, 50]
    assert set(np.argsort(power)[-3:]) == {40, 44, 47}


def test_tuning_never_jumps_by_a_semitone():
    tuning = Tuning()
    first = tuning.update(Cqt()(sine(40.45)))
    second = tuning.update(Cqt()(sine(40.53, 12.0)))
    assert abs(second - first) < 0.5


def test_silence_says_nothing_about_tuning():
    assert Tuning().update(np.zeros((252, 10), np.float32)) == 0
