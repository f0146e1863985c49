"""The chord network against the original's answer, and on sound whose answer is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pemr.model import harmony
from pemr.model.harmony import hear, shipped_listener
from pemr.signal import cqt
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.cqt import Cqt

GOLDEN = Path(__file__).parent / "data" / "harmony.npy"  # crema 0.2.0 of `played()`, at 44.1 kHz


def played(shift=0):
    """Twelve seconds of four chords with basses, made of harmonics that decay."""
    times = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    chords = [(36, 60, 64, 67), (41, 60, 65, 69), (43, 59, 62, 67), (45, 60, 64, 69)]
    parts = []
    for chord in chords:
        part = np.zeros_like(times)
        for note in chord:
            pitch_hz = 440 * 2 ** ((note + shift - 69) / 12)
            for harmonic in range(1, 6):
                part += np.sin(2 * np.pi * harmonic * pitch_hz * times) / harmonic**1.5
        parts.append(part * np.exp(-times))
    return (np.concatenate(parts) * 0.1).astype(np.float32)


def difference(ours, theirs):
    """Mean absolute difference of pitch, bass and root."""
    gap = np.abs(ours.astype(float) - theirs) / 255
    return gap.reshape(3, -1).mean(axis=1)


@pytest.fixture(scope="module")
def heard():
    return hear(played())


def test_it_agrees_with_the_original(heard):
    assert np.all(difference(heard, np.load(GOLDEN)) < 0.02)


def test_it_hears_the_chords_and_their_basses(heard):
    chords = heard.reshape(3, 12, 4, 15)[..., 4:11].mean(axis=3)  # the middle of each
    basses, roots = chords[1].argmax(axis=0), chords[2].argmax(axis=0)
    np.testing.assert_array_equal(basses, [0, 5, 7, 9])
    np.testing.assert_array_equal(roots, [0, 5, 7, 9])


def test_transposition_turns_the_circle(heard):
    turned = np.roll(heard.reshape(3, 12, -1), 3, axis=1).reshape(36, -1)
    assert np.all(difference(hear(played(3)), turned) < 0.03)


@pytest.mark.parametrize("gain", [0.37, 0.1])
def test_gain_does_not_change_the_answer(heard, gain):
    assert np.all(difference(hear(played() * np.float32(gain)), heard) < 0.002)


def test_blocks_of_any_length_give_the_same(heard):
    listener = shipped_listener()
    for block in np.split(played(), [1, 999, 70_000, 70_001]):
        listener.push(block)
    np.testing.assert_array_equal(listener.finish(60), heard)


def test_the_transform_joins_its_stretches_without_a_seam():
    short = replace(cqt.HARMONY, n_block_frames=441)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 90 * SAMPLE_RATE).astype(np.float32)
    whole = Cqt(grid=cqt.HARMONY)(noise)
    np.testing.assert_allclose(Cqt(grid=short)(noise), whole, atol=1e-5)


def test_stretches_of_a_long_recording_nearly_agree_with_the_whole(monkeypatch):
    waveform = np.tile(played(), 10)
    whole = hear(waveform)
    monkeypatch.setattr(harmony, "_STRETCH_LENGTH", 500)
    assert np.all(difference(hear(waveform), whole) < 0.02)


@pytest.mark.parametrize("n_samples", [0, 1, 3_199, 3_200, 3_201, 16_000])
def test_there_are_as_many_frames_as_of_chroma(n_samples):
    assert hear(played()[:n_samples]).shape == (36, -(-n_samples // 3_200))


def test_silence_has_no_harmony():
    assert not hear(np.zeros(5 * SAMPLE_RATE, np.float32)).any()
