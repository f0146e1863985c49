"""Recordings cut into crops."""

import numpy as np
import pytest

from pemr.config import MelConfig, SemitoneConfig
from pemr.signal.crops import as_waveform, crop_length, decoded, log_mel, pieces

MEL = MelConfig(sample_rate=4_000, filter_rate=4_000, segment_length=8_192)
SEMITONE = SemitoneConfig(n_frames=20)


def test_a_recording_is_kept_as_16_bit_waveform_or_compact_spectrogram(tmp_path, tone):
    file = tone(tmp_path / "a.wav", duration_s=3.0)
    waveform, spectrogram = decoded(file, MEL), decoded(file, SEMITONE)
    assert (waveform.dtype, waveform.shape) == (np.int16, (12_000,))
    assert (spectrogram.dtype, spectrogram.shape[0]) == (np.uint8, 84)


def test_crops_have_the_length_of_the_front_end():
    assert (crop_length(MEL), crop_length(SEMITONE)) == (8_192, 20)
    assert (MEL.shape, SEMITONE.shape) == ((128, 65), (84, 20))


def test_waveforms_are_within_one():
    stored = np.array([-32767, 0, 32767], np.int16)
    assert as_waveform(stored).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 1_700.0])
def test_a_sine_lights_the_band_of_its_frequency(hz):
    sine = np.sin(2 * np.pi * hz * np.arange(8_192) / 4_000)
    lit = int(log_mel(as_waveform(32_767 * sine)[None], MEL)[0, :, 30].argmax())
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 2_000 / 700), 130) / 2595) - 1)
    assert edges[lit] - 16 <= hz <= edges[lit + 2] + 16  # a bin of the transform is 15.6 Hz


def test_pieces_are_consecutive_and_the_partial_one_is_dropped():
    cut = pieces(np.zeros(2 * 8_192 + 100, np.int16), MEL)
    assert cut.shape == (2, *MEL.shape)
    spectrogram = np.arange(84 * 50).reshape(84, 50).astype(np.uint8)
    cut = pieces(spectrogram, SEMITONE)
    assert cut.shape == (2, 84, 20)
    whole = spectrogram.astype(np.float32) * (100 / 255) - 100
    np.testing.assert_allclose(cut[1].numpy(), whole[:, 20:40], atol=1e-4)


def test_a_recording_shorter_than_a_crop_has_no_pieces():
    assert len(pieces(np.zeros(100, np.int16), MEL)) == 0
    assert len(pieces(np.zeros((84, 10), np.uint8), SEMITONE)) == 0
