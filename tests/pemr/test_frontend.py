"""The transform against librosa's, and on signals whose answer is known."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from pemr.signal import frontend
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.cqt import C1_HZ, SPECTRUM, Cqt


def sine(semitones, duration_s=4.0, level=1.0):
    """A sine so many semitones above C1."""
    times = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    frequency_hz = C1_HZ * 2 ** (semitones / 12)
    return (level * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


@pytest.fixture
def noise(rng):
    return rng.uniform(-0.5, 0.5, 10 * SAMPLE_RATE).astype(np.float32)


def test_magnitudes_agree_with_librosa(noise):
    # librosa rounds kernels to whole samples at the rate of each octave, where
    # ours are symmetric about the frame's centre: most felt in the low octaves.
    tolerance = [0.08, 0.05, 0.03, 0.02, 0.02, 0.01, 0.01]
    theirs = np.abs(
        librosa.vqt(
            noise,
            sr=SAMPLE_RATE,
            hop_length=640,
            fmin=SPECTRUM.frequencies_hz[0],
            n_bins=252,
            bins_per_octave=36,
            gamma=SPECTRUM.gamma_hz,
            filter_scale=SPECTRUM.filter_scale,
            sparsity=0,
            pad_mode="constant",
            res_type="soxr_vhq",
        )
    )
    theirs *= 2 / np.sqrt(SPECTRUM.lengths_s * SAMPLE_RATE)[:, None]
    ours = Cqt()(noise)
    error = (ours - theirs[:, : ours.shape[1]]).reshape(7, -1)
    size = theirs[:, : ours.shape[1]].reshape(7, -1)
    assert np.all(np.linalg.norm(error, axis=1) < tolerance * np.linalg.norm(size, axis=1))


def test_magnitude_is_the_inner_product_with_a_windowed_wave(noise):
    magnitude = Cqt()(noise)
    for index in (251, 200, 150):
        frequency_hz = SPECTRUM.frequencies_hz[index]
        length = SPECTRUM.lengths_s[index] * SAMPLE_RATE
        centre = 100 * 640
        offsets = np.arange(-int(length / 2), int(length / 2) + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * offsets / length)
        wave = window * np.exp(-2j * np.pi * frequency_hz * offsets / SAMPLE_RATE)
        expected = 2 * abs(wave @ noise[centre + offsets]) / window.sum()
        assert magnitude[index, 100] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("semitone", [0, 7, 30, 57, 83])
def test_a_full_scale_sine_is_0_db_in_its_semitone_and_nowhere_louder(semitone):
    power = frontend.semitone_power(Cqt()(sine(semitone)))
    middle = power[:, 40:60].mean(axis=1)
    assert np.argmax(middle) == semitone
    assert 10 * np.log10(middle[semitone]) == pytest.approx(0, abs=0.1)


def test_blocks_of_any_length_give_the_same_frames(noise):
    whole = Cqt()(noise)
    short = replace(SPECTRUM, n_block_frames=50)
    cuts = np.array([1, 640, 50_000, 50_001, 130_000])
    stretches = list(Cqt(grid=short).stream(iter(np.split(noise, cuts))))
    assert [stretch.shape[1] for stretch in stretches] == [50] * 5
    np.testing.assert_allclose(np.concatenate(stretches, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 639, 640, 641, 16_000])
def test_short_waveforms_have_a_frame_for_each_hop_begun(n_samples):
    assert Cqt()(np.ones(n_samples, np.float32)).shape == (252, -(-n_samples // 640))


def test_no_waveform_has_no_frames():
    assert frontend.semitone_spectrogram(np.zeros(0, np.float32)).shape == (84, 0)


def test_silence_is_the_floor():
    spectrogram = frontend.semitone_spectrogram(np.zeros(SAMPLE_RATE, np.float32))
    assert spectrogram.shape == (84, 5)
    np.testing.assert_array_equal(spectrogram, -100)


def test_gain_moves_every_bin_by_as_many_decibels():
    loud = frontend.semitone_spectrogram(sine(40, level=0.8))
    soft = frontend.semitone_spectrogram(sine(40, level=0.08))
    np.testing.assert_allclose((loud - soft)[40, 2:-2], 20, atol=0.01)


def test_five_frames_become_one_and_the_last_may_be_of_fewer():
    power = np.arange(1, 8, dtype=np.float32)[None]
    np.testing.assert_allclose(frontend.decibels(power), 10 * np.log10([[3.0, 6.5]]), rtol=1e-6)


def test_packing_loses_less_than_a_fifth_of_a_decibel(rng):
    spectrogram = rng.uniform(-100, 0, (84, 50)).astype(np.float32)
    packed = frontend.pack(spectrogram)
    assert packed.dtype == np.uint8
    np.testing.assert_allclose(frontend.unpack(packed), spectrogram, atol=0.2)


def test_packing_clips_what_is_out_of_range():
    assert frontend.pack(np.array([[-120.0, 5.0]], np.float32)).tolist() == [[0, 255]]


@pytest.mark.parametrize("mel_sample_rate", [16_000, 22_050])
def test_log_mel_agrees_with_torchaudio(rng, mel_sample_rate, recwarn):
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    waveform = torch.from_numpy(rng.normal(0, 0.1, (2, 59_049)).astype(np.float32))
    mel = MelSpectrogram(sample_rate=mel_sample_rate, n_fft=256, hop_length=128, n_mels=128)
    expected = AmplitudeToDB()(mel(waveform))
    ours = frontend.log_mel(waveform, mel_sample_rate=mel_sample_rate)
    recwarn.clear()
    assert ours.shape == (2, 128, 462)
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)


def test_threads_that_make_mel_filters_at_once_hear_no_warning(monkeypatch):
    make = torchaudio.functional.melscale_fbanks

    def slow(*arguments, **options):
        time.sleep(0.01)
        return make(*arguments, **options)

    monkeypatch.setattr(torchaudio.functional, "melscale_fbanks", slow)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(frontend._mel_filters.__wrapped__, range(16_000, 16_008)))
    assert {filters.shape for filters in made} == {(129, 128)}
