"""Waveform → magnitudes of a constant-Q transform, seven octaves of 36 bins.

The transform is computed octave by octave, each at half the sample rate of the
one above, and block by block, each block with as much context as its longest
kernel needs, so that blocks join without a seam and a long recording costs no
more memory than one block. Where the bins lie, how long their kernels are and
how often they are read is a `Grid`; there are two.

Letters: L audio samples, F frequency bins, T frames.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pemr.signal.audio import SAMPLE_RATE

C1_HZ: Final = 440.0 * 2 ** (-45 / 12)
BINS_PER_OCTAVE: Final = 36
N_OCTAVES: Final = 7
N_FINE_BINS: Final = N_OCTAVES * BINS_PER_OCTAVE

_HALF_BAND_LENGTH = 31
_DECIMATION_PATCH = 128  # input samples that one row of the decimation's product advances
_FRAMES_AT_ONCE = 512  # so that they stay in a processor's cache
_MARGIN_STEP = 640  # samples of which the context is a multiple: whole at the rate of each octave


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where a constant-Q transform reads time and frequency.

    Parameters
    ----------
    first_bin : int
        The lowest bin, in thirds of a semitone above C1.
    filter_scale : float
        Length of the kernels over that of a full constant-Q filter.
    gamma_hz : float
        Added to each bandwidth, so that low notes do not smear over seconds.
    hop_length : Fraction
        Samples at 16,000 Hz from one frame to the next.
    n_block_frames : int
        Frames that are computed at once; they span whole samples at the rate of
        each octave.
    """

    first_bin: int
    filter_scale: float
    gamma_hz: float
    hop_length: Fraction
    n_block_frames: int

    @property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Centres of the bins in Hz, float64 (252,)."""
        bins = np.arange(N_FINE_BINS) + self.first_bin
        return np.asarray(C1_HZ * 2 ** (bins / BINS_PER_OCTAVE))

    @property
    def lengths_s(self) -> NDArray[np.float64]:
        """Durations of the kernels in seconds, float64 (252,).

        That is `filter_scale` over the bandwidth of each bin, where the
        bandwidth is that of a constant-Q filter plus `gamma_hz`.
        """
        ratio = 2 ** (2 / BINS_PER_OCTAVE)
        relative_bandwidth = (ratio - 1) / (ratio + 1)
        return np.asarray(
            self.filter_scale / (relative_bandwidth * self.frequencies_hz + self.gamma_hz)
        )


SPECTRUM: Final = Grid(
    first_bin=-1,
    filter_scale=0.75,
    gamma_hz=8.0,
    hop_length=Fraction(640),
    n_block_frames=6_000,
)
"""Three bins to a semitone, the middle one in tune; 25 frames a second."""

HARMONY: Final = Grid(
    first_bin=0,
    filter_scale=1.0,
    gamma_hz=0.0,
    hop_length=Fraction(4096 * SAMPLE_RATE, 44_100),
    n_block_frames=6 * 441,
)
"""What the chord network was trained on: 10.77 frames a second, 4,096 samples at 44.1 kHz."""


class Cqt:
    """The constant-Q transform, three bins per semitone.

    A full-scale sine has magnitude 1 in its bin. Frame t is centred at t hops
    from the start. There is silence before the start and after the end.

    Parameters
    ----------
    grid : Grid
        Where to read; the spectrum's unless given.

    References
    ----------
    .. [1] Schörkhuber and Klapuri, "Constant-Q transform toolbox for music
       processing", Sound and Music Computing, 2010.
    .. [2] Schörkhuber, Klapuri, Holighaus and Dörfler, "A Matlab toolbox for
       efficient perfect reconstruction time-frequency transforms with
       log-frequency resolution", AES Semantic Audio, 2014 (gamma).
    """

    def __init__(self, *, grid: Grid = SPECTRUM) -> None:
        self._grid = grid
        self._kernels = [_octave_kernels(grid, octave) for octave in range(N_OCTAVES)]
        self._decimation = _decimation_matrix()
        reach = grid.lengths_s.max() / 2 * SAMPLE_RATE + _HALF_BAND_LENGTH * 2 ** (N_OCTAVES - 1)
        self._margin_length = math.ceil(reach / _MARGIN_STEP) * _MARGIN_STEP

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform a whole waveform.

        Parameters
        ----------
        waveform : float32 array, shape (L,)
            Mono, at 16,000 Hz.

        Returns
        -------
        float32 array, shape (252, T)
            Magnitudes; T = ceil(L / hop).
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
            Magnitudes of consecutive frames; a block's worth (four minutes) but
            for the last.
        """
        stretches = Stretches(self)
        for block in blocks:
            yield from stretches.push(block)
        yield from stretches.finish()

    @property
    def block_length(self) -> int:
        """Samples that the frames of a block span."""
        return int(self._grid.n_block_frames * self._grid.hop_length)

    @property
    def margin_length(self) -> int:
        """Samples of context that frames need on either side."""
        return int(self._margin_length)

    def n_frames(self, n_samples: int) -> int:
        """Count the frames whose centres lie in so many samples."""
        return math.ceil(n_samples / self._grid.hop_length)

    def n_samples(self, n_frames: int) -> int:
        """Count the samples that so many frames span, up to whole ones at the lowest rate."""
        return math.ceil(n_frames * self._grid.hop_length / _MARGIN_STEP) * _MARGIN_STEP

    def frames(self, stretch: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Magnitudes of so many frames from the first sample after the margin of a stretch.

        Parameters
        ----------
        stretch : float32 array, shape (L,)
            Waveform with a margin on either side.
        n_frames : int
            How many frames are wanted.

        Returns
        -------
        float32 array, shape (252, n_frames)
        """
        waveform = stretch
        octaves = []
        for octave, kernels in enumerate(self._kernels):
            start = (self._margin_length >> octave) - len(kernels) // 2
            hop_length = self._grid.hop_length / 2**octave
            parts = _compared(waveform[start:], kernels, hop_length, n_frames).T
            octaves.append(
                np.sqrt(np.square(parts[:BINS_PER_OCTAVE]) + np.square(parts[BINS_PER_OCTAVE:]))
            )
            waveform = self._decimated(waveform)
        return np.concatenate(octaves[::-1])

    def _decimated(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Half the sample rate: a product with a matrix whose columns are shifted filters."""
        n_samples, patch = len(waveform) // 2, _DECIMATION_PATCH
        reach = _HALF_BAND_LENGTH // 2
        padding = (reach, patch - reach + -len(waveform) % patch)
        patches = np.pad(waveform, padding).reshape(-1, patch)
        decimated = patches[:-1] @ self._decimation[:patch]
        decimated += patches[1:, : 2 * reach] @ self._decimation[patch:]
        return decimated.reshape(-1)[:n_samples]


class Stretches:
    """Turns a waveform that is pushed block by block into frames, in stretches of four minutes.

    Parameters
    ----------
    cqt : Cqt
        The transform.
    """

    def __init__(self, cqt: Cqt) -> None:
        self._cqt = cqt
        self._held = np.zeros(cqt.margin_length, np.float32)
        self._n_held = 0  # samples after the context at the start of `_held`

    def push(self, block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take the next block, and yield the stretches that are complete.

        Parameters
        ----------
        block : float32 array, shape (L,)
            Mono, at 16,000 Hz.

        Yields
        ------
        float32 array, shape (252, T)
        """
        length, margin = self._cqt.block_length, self._cqt.margin_length
        self._held = np.concatenate([self._held, block])
        self._n_held += len(block)
        while self._n_held > length + margin:
            n_frames = self._cqt.n_frames(length)
            yield self._cqt.frames(self._held[: length + 2 * margin], n_frames)
            self._held = self._held[length:]
            self._n_held -= length

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Yield what is left at the end of the waveform.

        Yields
        ------
        float32 array, shape (252, T)
        """
        length, margin = self._cqt.block_length, self._cqt.margin_length
        for start in range(0, self._n_held, length):
            n_frames = self._cqt.n_frames(min(length, self._n_held - start))
            n_wanted = self._cqt.n_samples(n_frames) + 2 * margin
            stretch = self._held[start : start + n_wanted]
            yield self._cqt.frames(np.pad(stretch, (0, n_wanted - len(stretch))), n_frames)


def _compared(
    waveform: NDArray[np.float32], kernels: NDArray[np.float32], hop_length: Fraction, n_frames: int
) -> NDArray[np.float32]:
    """Multiply frames (L,), so many samples apart, with kernels (L, 72): (T, 72).

    A broken number of samples is rounded for each frame.
    """
    places = np.rint(np.arange(n_frames) * float(hop_length)).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(waveform, len(kernels))
    starts = range(0, n_frames, _FRAMES_AT_ONCE)
    found = [windows[places[i : i + _FRAMES_AT_ONCE]] @ kernels for i in starts]
    return np.concatenate([np.zeros((0, kernels.shape[1]), np.float32), *found])


def _octave_kernels(grid: Grid, octave: int) -> NDArray[np.float32]:
    """Kernels of the octave that is `octave` below the top, real parts then imaginary: (L, 72)."""
    end = N_FINE_BINS - octave * BINS_PER_OCTAVE
    bins = slice(end - BINS_PER_OCTAVE, end)
    sample_rate = SAMPLE_RATE / 2**octave
    lengths = grid.lengths_s[bins] * sample_rate
    frequencies = grid.frequencies_hz[bins] / sample_rate
    reach = math.ceil(lengths.max() / 2)
    samples = np.arange(-reach, reach + 1)[:, None]
    windows = np.where(
        np.abs(samples) < lengths / 2, 0.5 + 0.5 * np.cos(2 * np.pi * samples / lengths), 0
    )
    windows *= 2 / windows.sum(axis=0)
    phases = 2 * np.pi * samples * frequencies
    kernels = np.concatenate([windows * np.cos(phases), -windows * np.sin(phases)], axis=1)
    return np.asarray(kernels, np.float32)


def _decimation_matrix() -> NDArray[np.float32]:
    """Half-band filter, shifted by two samples from column to column: (L, L / 2)."""
    reach = _HALF_BAND_LENGTH // 2
    taps = np.sinc(np.arange(-reach, reach + 1) / 2) * np.kaiser(_HALF_BAND_LENGTH, 9.0)
    taps /= taps.sum()
    matrix = np.zeros((_DECIMATION_PATCH + 2 * reach, _DECIMATION_PATCH // 2), np.float32)
    for column in range(matrix.shape[1]):
        matrix[2 * column : 2 * column + _HALF_BAND_LENGTH, column] = taps
    return matrix
