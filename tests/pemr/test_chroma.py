import numpy as np
import pytest

from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.chroma import chroma
from pemr.signal.frontend import semitone_frames


def of_notes(*semitones, level=0.2, duration_s=4.0):
    """Chroma of notes of eight overtones, so many semitones above C1."""
    times = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    frequencies_hz = [440 * 2 ** ((note - 45) / 12) for note in semitones]
    waveform = sum(
        level / overtone * np.sin(2 * np.pi * overtone * hz * times)
        for hz in frequencies_hz
        for overtone in range(1, 9)
    )
    return np.concatenate(
        [chroma(power) for power in semitone_frames([waveform.astype(np.float32)])], axis=1
    )


@pytest.mark.parametrize("note", [24, 37, 45, 59])
def test_a_note_lights_its_pitch_class(note):
    sound = of_notes(note)
    assert sound.shape == (12, 20)
    assert sound.dtype == np.uint8
    assert (np.argmax(sound[:, 2:-2], axis=0) == note % 12).all()
    assert (sound[:, 2:-2].max(axis=0) == 255).all()


def test_a_chord_lights_its_three_pitch_classes_and_at_most_an_overtone():
    middle = of_notes(36, 40, 43)[:, 10]
    assert {0, 4, 7} < set(np.argsort(middle)[-4:])


def test_octaves_fold():
    middle = of_notes(36, 48, 60)[:, 10]
    assert np.argmax(middle) == 0


def test_gain_changes_nothing():
    np.testing.assert_allclose(
        of_notes(36, 43, level=0.2).astype(int), of_notes(36, 43, level=0.02), atol=1
    )


def test_silence_is_zero():
    assert not of_notes(40, level=0.0).any()


def test_transposition_rotates_the_rows():
    low, high = (of_notes(*notes)[:, 10].astype(float) for notes in ((40, 44, 47), (43, 47, 50)))
    cosine = np.roll(low, 3) @ high / np.linalg.norm(low) / np.linalg.norm(high)
    assert cosine > 0.99
