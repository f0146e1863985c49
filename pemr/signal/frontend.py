"""Waveform → constant-Q frames, waveform → log-mel frames.

Covers are found with the first; the paper was written with the second.

The constant-Q transform (`cqt`) has three bins per semitone and 25 frames a
second. How far a recording is out of tune is estimated, and removed while the
thirds of semitones are pooled to semitones.

Letters: L audio samples, F frequency bins, T frames, B batch.
"""

import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from pemr.signal.cqt import C1_HZ, N_FINE_BINS, SPECTRUM, Cqt
from pemr.signal.tuning import Tuning

if TYPE_CHECKING:
    import torch

FRAME_RATE: Final = 5  # frames a second of the compact spectrogram and of chroma
N_BINS: Final = 84  # semitones from C1 to B7

FINE_FRAME_RATE: Final = 25  # frames a second before pooling

PAPER_SAMPLE_RATE: Final = 22_050

FLOOR_DB: Final = -100.0

_POOL = FINE_FRAME_RATE // FRAME_RATE


def semitone_power(magnitude: NDArray[np.float32], deviation: float = 0.0) -> NDArray[np.float32]:
    """Pool thirds of semitones to semitones, moved into tune.

    Parameters
    ----------
    magnitude : float32 array, shape (252, T)
        From `Cqt`.
    deviation : float
        From `Tuning`, in thirds of a semitone.

    Returns
    -------
    float32 array, shape (84, T)
        Power, 1 for a full-scale sine in the middle of its semitone.
    """
    centres = 3 * np.arange(N_BINS) + 1 + deviation
    distance = np.abs(np.arange(N_FINE_BINS) - centres[:, None])
    pooling = np.clip(2 - distance, 0, 1) / _spill()[:, None]
    return np.asarray(pooling.astype(np.float32) @ np.square(magnitude), dtype=np.float32)


def semitone_frames(
    blocks: Iterable[NDArray[np.float32]], cqt: Cqt | None = None
) -> Iterator[NDArray[np.float32]]:
    """Transform a waveform that comes in blocks into semitones, in tune.

    Parameters
    ----------
    blocks : iterable of float32 arrays, shape (L,)
        Consecutive blocks of mono waveform at 16,000 Hz.
    cqt : Cqt, optional
        The transform to use, where one is at hand.

    Yields
    ------
    float32 array, shape (84, T)
        Power of consecutive frames, 25 a second. Tuning is that of all frames
        so far, so the first four minutes are tuned as a whole.
    """
    tuning = Tuning()
    for magnitude in (cqt or Cqt()).stream(blocks):
        yield semitone_power(magnitude, tuning.update(magnitude))


def decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the power of five frames at a time, in dB.

    Parameters
    ----------
    power : float32 array, shape (84, T)
        25 frames a second, from `semitone_frames`.

    Returns
    -------
    float32 array, shape (84, ceil(T / 5))
        5 frames a second, at least -100 dB.
    """
    mean = pool_frames(power)
    floor = np.float32(10 ** (FLOOR_DB / 10))
    level = np.maximum(10 * np.log10(np.maximum(mean, floor)), FLOOR_DB)
    return np.asarray(level, dtype=np.float32)


def pool_frames(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average five frames at a time.

    Parameters
    ----------
    frames : float32 array, shape (F, T)
        25 frames a second.

    Returns
    -------
    float32 array, shape (F, ceil(T / 5))
        5 frames a second; the last is the mean of as many as there are.
    """
    starts = np.arange(0, frames.shape[1], _POOL)
    if not len(starts):
        return np.zeros((len(frames), 0), np.float32)
    counts = np.minimum(_POOL, frames.shape[1] - starts)
    return np.asarray(np.add.reduceat(frames, starts, axis=1) / counts, dtype=np.float32)


def semitone_spectrogram(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform a whole waveform into the spectrogram that encoders read.

    Parameters
    ----------
    waveform : float32 array, shape (L,)
        Mono, at 16,000 Hz.

    Returns
    -------
    float32 array, shape (84, T)
        Power in dB, 0 dB for a full-scale sine; semitones from C1, in tune,
        5 frames a second.
    """
    spectrograms = [decibels(power) for power in semitone_frames([waveform])]
    return np.concatenate([np.zeros((N_BINS, 0), np.float32), *spectrograms], axis=1)


def pack(spectrogram: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Store decibels in bytes: the compact spectrogram.

    Parameters
    ----------
    spectrogram : float32 array, shape (84, T)
        In dB.

    Returns
    -------
    uint8 array, shape (84, T)
        0 for -100 dB or less, 255 for 0 dB or more, in steps of 0.39 dB.
    """
    scaled = np.rint((spectrogram - FLOOR_DB) / -FLOOR_DB * 255)
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)


def unpack(compact: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Read the compact spectrogram.

    Parameters
    ----------
    compact : uint8 array, shape (84, T)
        From `pack`.

    Returns
    -------
    float32 array, shape (84, T)
        In dB, within 0.2 dB of what was packed.
    """
    return compact.astype(np.float32) * np.float32(-FLOOR_DB / 255) + np.float32(FLOOR_DB)


def log_mel(
    waveform: "torch.Tensor", *, mel_sample_rate: int = PAPER_SAMPLE_RATE
) -> "torch.Tensor":
    """Transform waveforms as the paper does.

    A short-time Fourier transform of 256 samples every 128 (Hann, centred),
    128 HTK mel bands without normalisation of their area, 10 log10 of the power.

    Parameters
    ----------
    waveform : float32 tensor, shape (B, L)
        At 22,050 Hz.
    mel_sample_rate : int
        The sample rate in Hz that the mel filters are laid out for. The
        authors' code left it at the library's 16,000 whatever the true rate.

    Returns
    -------
    float32 tensor, shape (B, 128, T)
        In dB, at least -100; T = L // 128 + 1.

    References
    ----------
    .. [1] Yao et al., "Contrastive learning with positive-negative frame mask
       for music representation", WWW 2022.
    """
    import torch  # noqa: PLC0415 (only the paper's front end computes with it)

    window = torch.hann_window(256, device=waveform.device)
    transform = torch.stft(
        waveform, 256, 128, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    power = transform.real.square() + transform.imag.square()  # (B, 129, T)
    filters = _mel_filters(mel_sample_rate).to(power.device)
    return 10 * torch.log10((filters.T @ power).clamp(min=1e-10))


_MUTED = Lock()  # warnings are muted for all threads at once, so by one at a time


@cache
def _mel_filters(sample_rate: int) -> "torch.Tensor":
    from torchaudio.functional import melscale_fbanks  # noqa: PLC0415 (only the paper needs it)

    with _MUTED, warnings.catch_warnings():
        # 129 bins under 128 filters leave some empty; the paper lives with it.
        warnings.filterwarnings("ignore", message="At least one mel filterbank")
        return cast(
            "torch.Tensor",
            melscale_fbanks(129, 0.0, sample_rate / 2, 128, sample_rate, mel_scale="htk"),
        )


def _spill() -> NDArray[np.float64]:
    """Power that a sine in the middle of each semitone leaves in its three bins together."""
    frequencies = C1_HZ * 2 ** (np.arange(N_BINS) / 12)
    offset = frequencies * (2 ** (1 / 36) - 1) * SPECTRUM.lengths_s[1::3]  # in 1 / length
    neighbour = np.sinc(offset) / (1 - offset**2)  # spectrum of the Hann window
    return np.asarray(1 + 2 * neighbour**2)
