"""Constant-Q frames → harmony: which pitch classes sound, which is the bass, which the root.

The chord network of CREMA, computed without its framework. What it reads is the level of each
bin below the loudest of the whole recording, so frames are kept in bytes while sound comes in,
and the network runs once all have come.

Letters: L audio samples, F frequency bins, T frames.

References
----------
.. [1] McFee and Bello, "Structured training for large-vocabulary chord recognition", ISMIR 2017.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pemr.signal import cqt
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.cqt import BINS_PER_OCTAVE, Cqt, Stretches
from pemr.signal.frontend import FRAME_RATE
from pemr.signal.kernels import compiled

N_HARMONIES: Final = 36  # pitch classes, basses, roots

_RANGE_DB = 80.0  # nothing is taken to be further below the loudest bin
_SILENT_DB = -60.0  # a recording whose loudest bin is below this has no harmony
_STEP_DB = 0.5  # of the bytes in which frames are kept, from -127.5 to 0 dB
_N_READ = 216  # bins of each channel; the second starts an octave higher
_N_UNITS = 128  # of a recurrent layer, in each direction
_STRETCH_LENGTH = 6_615  # frames, ten minutes: a longer recording is read in stretches
_CONTEXT_LENGTH = 882  # frames, 82 s, that a stretch reads on either side

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


class ChordNetwork:
    """Says what harmony each frame has.

    Parameters
    ----------
    weights : mapping
        As `scripts/harmony_weights.py` names them.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._layers = {
            (index, direction): _layer(self._weights, f"gru{index}.{direction}")
            for index in (1, 2)
            for direction in ("forward", "backward")
        }

    def __call__(self, level_db: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read a whole recording.

        Parameters
        ----------
        level_db : float32 array, shape (252, T)
            Magnitudes on the grid `cqt.HARMONY`, in dB.

        Returns
        -------
        float32 array, shape (36, T)
            How likely each pitch class sounds, is the bass, is the root.
        """
        tilt = -10 * np.log10(cqt.HARMONY.frequencies_hz).astype(np.float32)
        level = level_db + tilt[:, None]
        loudest = (level[:_N_READ].max(), level[BINS_PER_OCTAVE:].max())
        n_frames = level.shape[1]
        read = []
        for start in range(0, n_frames, _STRETCH_LENGTH):
            end = min(start + _STRETCH_LENGTH, n_frames)
            first = max(0, start - _CONTEXT_LENGTH)
            last = min(n_frames, end + _CONTEXT_LENGTH)
            likely = self._read(_channels(level[:, first:last], loudest))
            read.append(likely[start - first : end - first])
        return np.concatenate(read).T

    def _read(self, channels: Floats) -> Floats:
        """Likelihoods (T, 36) of two channels (T, 2, 216)."""
        of = self._weights
        x = channels * of["norm1.scale"][:, None] + of["norm1.shift"][:, None]
        smooth = np.full((len(x), _N_READ), of["smooth.bias"], np.float32)
        _add_smoothed(smooth, np.pad(x, ((2, 2), (0, 0), (2, 2))), of["smooth.kernel"][0])
        x = self._normed(_rectified(smooth), 2)  # (T, 216)
        x = self._normed(_rectified(x @ of["project.kernel"] + of["project.bias"]), 3)  # (T, 72)
        x = self._normed(self._recur(x, 1), 4)  # (T, 256)
        x = self._recur(x, 2)
        pitch, bass, root = (
            x @ of[f"{head}.kernel"] + of[f"{head}.bias"] for head in ("pitch", "bass", "root")
        )
        # The thirteenth bass and root is "none".
        likely = [1 / (1 + np.exp(-pitch)), _shares(bass)[:, :12], _shares(root)[:, :12]]
        return np.concatenate(likely, axis=1, dtype=np.float32)

    def _normed(self, x: Floats, index: int) -> Floats:
        return x * self._weights[f"norm{index}.scale"] + self._weights[f"norm{index}.shift"]

    def _recur(self, x: Floats, index: int) -> Floats:
        """States (T, 256) of the units that read forwards, then of those that read backwards."""
        states = np.empty((len(x), 2 * _N_UNITS), np.float32)
        for place, direction in enumerate(("forward", "backward")):
            kernel, bias, gates, update = self._layers[index, direction]
            entering = x @ kernel + bias
            columns = states[:, place * _N_UNITS : (place + 1) * _N_UNITS]
            if direction == "forward":
                _run(entering, gates, update, columns)
            else:
                _run(entering[::-1], gates, update, columns[::-1])
        return states


class Listener:
    """Hears the harmony of one recording, block by block.

    Parameters
    ----------
    network : ChordNetwork
        What says which harmony it is.
    transform : Cqt
        On the grid `cqt.HARMONY`.
    """

    def __init__(self, network: ChordNetwork, transform: Cqt) -> None:
        self._network = network
        self._stretches = Stretches(transform)
        self._kept: list[NDArray[np.uint8]] = []

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next block.

        Parameters
        ----------
        block : float32 array, shape (L,)
            Mono, at 16,000 Hz.
        """
        self._kept += [_pack(magnitude) for magnitude in self._stretches.push(block)]

    def finish(self, n_frames: int) -> NDArray[np.uint8]:
        """Say what was heard, once there is no more sound.

        Parameters
        ----------
        n_frames : int
            Frames of the recording, 5 a second.

        Returns
        -------
        uint8 array, shape (36, n_frames)
            How likely each pitch class sounds, is the bass, is the root, times
            255, averaged over the network's frames in each fifth of a second;
            all 0 where the recording is silent throughout.
        """
        self._kept += [_pack(magnitude) for magnitude in self._stretches.finish()]
        level = _unpack(np.concatenate([np.zeros((252, 0), np.uint8), *self._kept], axis=1))
        if not level.size or level.max() < _SILENT_DB or not n_frames:
            return np.zeros((N_HARMONIES, n_frames), np.uint8)
        return _pool(self._network(level), n_frames)


def hear(waveform: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Hear the harmony of a whole waveform with the shipped weights.

    Parameters
    ----------
    waveform : float32 array, shape (L,)
        Mono, at 16,000 Hz.

    Returns
    -------
    uint8 array, shape (36, T)
        As `Listener.finish` returns it, 5 frames a second, as many as chroma has.
    """
    listener = shipped_listener()
    listener.push(waveform)
    return listener.finish(-(-len(waveform) * FRAME_RATE // SAMPLE_RATE))


def shipped_listener() -> Listener:
    """Make a listener with the shipped weights, which are read once.

    Returns
    -------
    Listener
        For one recording.
    """
    return Listener(*_shipped())


@cache
def _shipped() -> tuple[ChordNetwork, Cqt]:
    from pemr import weights  # noqa: PLC0415 (not every network is the shipped one)

    return ChordNetwork(weights.load_arrays("harmony")), Cqt(grid=cqt.HARMONY)


def _layer(weights: Weights, name: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Kernel and bias (C, 384), (384,); recurrent kernels (128, 256) and (128, 128).

    The slope and offset of the hard sigmoid, 0.2 x + 0.5, are taken into those
    of the gates.
    """
    slope = np.ones(3 * _N_UNITS, np.float32)
    slope[: 2 * _N_UNITS] = 0.2
    offset = np.float32(0.5) * (slope < 1)
    recurrent = weights[f"{name}.recurrent_kernel"] * slope
    gates = np.ascontiguousarray(recurrent[:, : 2 * _N_UNITS])
    update = np.ascontiguousarray(recurrent[:, 2 * _N_UNITS :])
    kernel, bias = weights[f"{name}.kernel"] * slope, weights[f"{name}.bias"] * slope + offset
    return kernel, bias, gates, update


def _rectified(x: Floats) -> Floats:
    return np.maximum(x, 0, out=x)


def _shares(x: Floats) -> Floats:
    """Softmax of each row."""
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@partial(compiled, fastmath=True)
def _run(
    entering: NDArray[np.float32],
    gates: NDArray[np.float32],
    update: NDArray[np.float32],
    states: NDArray[np.float32],
) -> None:
    """Gated recurrent units that reset before the product, into `states` (T, 128)."""
    n_units = update.shape[0]
    state = np.zeros(n_units, np.float32)
    zero, one = np.float32(0), np.float32(1)
    for t in range(len(entering)):
        gate = entering[t, : 2 * n_units].copy()
        _add_product(gate, state, gates)
        proposed = entering[t, 2 * n_units :].copy()
        reset = np.minimum(np.maximum(gate[n_units:], zero), one) * state
        _add_product(proposed, reset, update)
        for j in range(n_units):
            kept = min(max(gate[j], zero), one)
            state[j] = kept * state[j] + (one - kept) * np.tanh(proposed[j])
            states[t, j] = state[j]


@partial(compiled, fastmath=True)
def _add_smoothed(
    total: NDArray[np.float32], channels: NDArray[np.float32], kernel: NDArray[np.float32]
) -> None:
    """Add a convolution of channels (T + 4, 2, F + 4) by a kernel (2, 5, 5) to (T, F)."""
    n_bins = total.shape[1]
    for t in range(len(total)):
        row = total[t]
        for channel in range(kernel.shape[0]):
            for tap in range(kernel.shape[1]):
                seen = channels[t + tap, channel]
                a, b, c, d, e = kernel[channel, tap]
                for j in range(n_bins):
                    row[j] += (
                        a * seen[j]
                        + b * seen[j + 1]
                        + c * seen[j + 2]
                        + d * seen[j + 3]
                        + e * seen[j + 4]
                    )


@partial(compiled, fastmath=True)
def _add_product(
    total: NDArray[np.float32], vector: NDArray[np.float32], matrix: NDArray[np.float32]
) -> None:
    """Add the vector times the matrix, four rows at a time so that sums stay in registers."""
    for k in range(0, len(vector), 4):
        a, b, c, d = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
        for j in range(len(total)):
            total[j] += (
                a * matrix[k, j]
                + b * matrix[k + 1, j]
                + c * matrix[k + 2, j]
                + d * matrix[k + 3, j]
            )


def _channels(level: NDArray[np.float32], loudest: tuple[np.float32, np.float32]) -> Floats:
    """Two channels (T, 2, 216), the second an octave higher, each in dB below its loudest bin."""
    both = np.stack([level[:_N_READ] - loudest[0], level[BINS_PER_OCTAVE:] - loudest[1]])
    return np.maximum(both, np.float32(-_RANGE_DB)).transpose(2, 0, 1)


def _pack(magnitude: NDArray[np.float32]) -> NDArray[np.uint8]:
    level = 20 * np.log10(np.maximum(magnitude, 1e-9))
    return np.asarray(np.clip(np.rint(level / _STEP_DB) + 255, 0, 255), np.uint8)


def _unpack(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (packed.astype(np.float32) - 255) * np.float32(_STEP_DB)


def _pool(likely: NDArray[np.float32], n_frames: int) -> NDArray[np.uint8]:
    """Average the frames (36, T) of each fifth of a second, in bytes."""
    hop_s = float(cqt.HARMONY.hop_length) / SAMPLE_RATE
    owners = (np.arange(likely.shape[1]) * hop_s * FRAME_RATE).astype(np.int64)
    starts = np.searchsorted(owners, np.arange(min(n_frames, owners[-1] + 1)))
    sums = np.add.reduceat(likely, starts, axis=1)
    counts = np.diff(np.append(starts, likely.shape[1]))
    pooled = np.rint(sums / counts * 255)
    missing = n_frames - pooled.shape[1]
    return np.pad(pooled, ((0, 0), (0, missing)), "edge").astype(np.uint8)
