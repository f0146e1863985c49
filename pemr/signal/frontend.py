"""Waveform → constant-Q frames, waveform → log-mel frames.

Covers are found with the first; the paper was written with the second.

The constant-Q transform has three bins per semitone and 25 frames a second. It
is computed octave by octave, each at half the sample rate of the one above, and
block by block, each block with as much context as its longest kernel needs, so
that blocks join without a seam and a long recording costs no more memory than
one block. How far a recording is out of tune is estimated, and removed while the
thirds of semitones are pooled to semitones.

Letters: L audio samples, F frequency bins, T frames, B batch.
"""

import math
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.tuning import Tuning

FRAME_RATE: Final = 5  # frames a second of the compact spectrogram and of chroma
N_BINS: Final = 84  # semitones from C1 to B7

FINE_FRAME_RATE: Final = 25  # frames a second before pooling
N_FINE_BINS: Final = 3 * N_BINS

PAPER_SAMPLE_RATE: Final = 22_050

C1_HZ: Final = 440.0 * 2 ** (-45 / 12)
FLOOR_DB: Final = -100.0

FILTER_SCALE: Final = 0.75  # length of the kernels over that of a full constant-Q filter
GAMMA_HZ: Final = 8.0  # added to each bandwidth, so that low notes do not smear over seconds

_N_OCTAVES = 7
_BINS_PER_OCTAVE = 36
_HOP_LENGTH = SAMPLE_RATE // FINE_FRAME_RATE
_POOL = FINE_FRAME_RATE // FRAME_RATE
_BLOCK_S = 240
_HALF_BAND_LENGTH = 31
_DECIMATION_PATCH = 128  # input samples that one row of the decimation's product advances


def fine_frequencies_hz() -> NDArray[np.float64]:
    """Centres of the fine bins: three to a semitone, the middle one in tune.

    Returns
    -------
    float64 array, shape (252,)
        In Hz, from a third of a semitone below C1.
    """
    return np.asarray(C1_HZ * 2 ** ((np.arange(N_FINE_BINS) - 1) / _BINS_PER_OCTAVE))


def wavelet_lengths_s() -> NDArray[np.float64]:
    """Durations of the analysis kernels.

    Returns
    -------
    float64 array, shape (252,)
        In seconds: `FILTER_SCALE` over the bandwidth of each bin, where the
        bandwidth is that of a constant-Q filter plus `GAMMA_HZ`.
    """
    ratio = 2 ** (2 / _BINS_PER_OCTAVE)
    relative_bandwidth = (ratio - 1) / (ratio + 1)
    return np.asarray(FILTER_SCALE / (relative_bandwidth * fine_frequencies_hz() + GAMMA_HZ))


class Cqt:
    """The constant-Q transform, three bins per semitone, 25 frames a second.

    A full-scale sine has magnitude 1 in its bin. Frame t is centred at t / 25
    seconds. There is silence before the start and after the end.

    Parameters
    ----------
    device : str
        Where to compute, in PyTorch's words.

    References
    ----------
    .. [1] Schörkhuber and Klapuri, "Constant-Q transform toolbox for music
       processing", Sound and Music Computing, 2010.
    .. [2] Schörkhuber, Klapuri, Holighaus and Dörfler, "A Matlab toolbox for
       efficient perfect reconstruction time-frequency transforms with
       log-frequency resolution", AES Semantic Audio, 2014 (gamma).
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = torch.device(device)
        lengths_s = wavelet_lengths_s()
        self._kernels = [
            _octave_kernels(octave, lengths_s).to(self._device) for octave in range(_N_OCTAVES)
        ]
        self._decimation = _decimation_matrix().to(self._device)
        reach = lengths_s.max() / 2 * SAMPLE_RATE + _HALF_BAND_LENGTH * 2 ** (_N_OCTAVES - 1)
        self._margin_length = math.ceil(reach / _HOP_LENGTH) * _HOP_LENGTH

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform a whole waveform.

        Parameters
        ----------
        waveform : float32 array, shape (L,)
            Mono, at 16,000 Hz.

        Returns
        -------
        float32 array, shape (252, T)
            Magnitudes; T = ceil(L / 640).
        """
        return np.concatenate(list(self.stream(iter([waveform]))), axis=1)

    def stream(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Transform a waveform that comes in blocks.

        Parameters
        ----------
        blocks : iterable of float32 arrays, shape (L,)
            Consecutive blocks of any lengths.

        Yields
        ------
        float32 array, shape (252, T)
            Magnitudes of consecutive frames; 6,000 frames (four minutes) but
            for the last.
        """
        margin = np.zeros(self._margin_length, np.float32)
        block_length = _BLOCK_S * SAMPLE_RATE
        held = margin
        n_held = 0  # samples after the context at the start of `held`
        for block in blocks:
            held = np.concatenate([held, block])
            n_held += len(block)
            while n_held > block_length + len(margin):
                yield self._frames(held[: block_length + 2 * len(margin)])
                held = held[block_length:]
                n_held -= block_length
        for start in range(0, n_held, block_length):
            n_frames = math.ceil(min(block_length, n_held - start) / _HOP_LENGTH)
            stretch = held[start : start + n_frames * _HOP_LENGTH + 2 * len(margin)]
            missing = n_frames * _HOP_LENGTH + 2 * len(margin) - len(stretch)
            yield self._frames(np.pad(stretch, (0, missing)))

    @torch.no_grad()
    def _frames(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Magnitudes of the frames between the margins of a stretch of waveform."""
        waveform = torch.from_numpy(stretch).to(self._device)
        n_frames = (len(stretch) - 2 * self._margin_length) // _HOP_LENGTH
        octaves = []
        for octave, kernels in enumerate(self._kernels):
            length = kernels.shape[0]
            start = (self._margin_length >> octave) - length // 2
            frames = waveform[start:].unfold(0, length, _HOP_LENGTH >> octave)[:n_frames]
            real, imaginary = (frames @ kernels).T.chunk(2)
            octaves.append(torch.hypot(real, imaginary))
            waveform = self._decimated(waveform)
        return torch.cat(octaves[::-1]).cpu().numpy()

    def _decimated(self, waveform: torch.Tensor) -> torch.Tensor:
        """Half the sample rate: a product with a matrix whose columns are shifted filters."""
        n_samples = len(waveform) // 2
        reach = _HALF_BAND_LENGTH // 2
        padding = (reach, reach + -len(waveform) % _DECIMATION_PATCH)
        patches = torch.nn.functional.pad(waveform, padding).unfold(
            0, _DECIMATION_PATCH + 2 * reach, _DECIMATION_PATCH
        )
        return (patches @ self._decimation).reshape(-1)[:n_samples]


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


def log_mel(waveform: torch.Tensor, *, mel_sample_rate: int = PAPER_SAMPLE_RATE) -> torch.Tensor:
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
    window = torch.hann_window(256, device=waveform.device)
    transform = torch.stft(
        waveform, 256, 128, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    power = transform.real.square() + transform.imag.square()  # (B, 129, T)
    filters = _mel_filters(mel_sample_rate).to(power.device)
    return 10 * torch.log10((filters.T @ power).clamp(min=1e-10))


@cache
def _mel_filters(sample_rate: int) -> torch.Tensor:
    from torchaudio.functional import melscale_fbanks  # noqa: PLC0415 (only the paper needs it)

    with warnings.catch_warnings():
        # 129 bins under 128 filters leave some empty; the paper lives with it.
        warnings.filterwarnings("ignore", message="At least one mel filterbank")
        return cast(
            torch.Tensor,
            melscale_fbanks(129, 0.0, sample_rate / 2, 128, sample_rate, mel_scale="htk"),
        )


def _octave_kernels(octave: int, lengths_s: NDArray[np.float64]) -> torch.Tensor:
    """Kernels of the octave that is `octave` below the top, real parts then imaginary: (L, 72)."""
    bins = slice(
        N_FINE_BINS - (octave + 1) * _BINS_PER_OCTAVE, N_FINE_BINS - octave * _BINS_PER_OCTAVE
    )
    sample_rate = SAMPLE_RATE / 2**octave
    lengths = lengths_s[bins] * sample_rate
    frequencies = fine_frequencies_hz()[bins] / sample_rate
    reach = math.ceil(lengths.max() / 2)
    samples = np.arange(-reach, reach + 1)[:, None]
    windows = np.where(
        np.abs(samples) < lengths / 2, 0.5 + 0.5 * np.cos(2 * np.pi * samples / lengths), 0
    )
    windows *= 2 / windows.sum(axis=0)
    phases = 2 * np.pi * samples * frequencies
    kernels = np.concatenate([windows * np.cos(phases), -windows * np.sin(phases)], axis=1)
    return torch.from_numpy(kernels.astype(np.float32))


def _decimation_matrix() -> torch.Tensor:
    """Half-band filter, shifted by two samples from column to column: (L, L / 2)."""
    reach = _HALF_BAND_LENGTH // 2
    taps = np.sinc(np.arange(-reach, reach + 1) / 2) * np.kaiser(_HALF_BAND_LENGTH, 9.0)
    taps /= taps.sum()
    matrix = np.zeros((_DECIMATION_PATCH + 2 * reach, _DECIMATION_PATCH // 2), np.float32)
    for column in range(matrix.shape[1]):
        matrix[2 * column : 2 * column + _HALF_BAND_LENGTH, column] = taps
    return torch.from_numpy(matrix)


def _spill() -> NDArray[np.float64]:
    """Power that a sine in the middle of each semitone leaves in its three bins together."""
    frequencies = C1_HZ * 2 ** (np.arange(N_BINS) / 12)
    offset = frequencies * (2 ** (1 / 36) - 1) * wavelet_lengths_s()[1::3]  # in 1 / length
    neighbour = np.sinc(offset) / (1 - offset**2)  # spectrum of the Hann window
    return np.asarray(1 + 2 * neighbour**2)
