"""The cover model computed with NumPy alone, so that a search need not wait for torch.

The same model as `cover.CoverModel` in evaluation mode. Batch statistics are taken into the
weights, convolutions are products of matrices, and segments are taken a few at a time, each few by
a thread, so that what lies between two layers stays in a processor's cache.

Letters: B batch, C channels, F frequency bins (84), K coefficients on the circle (12), T frames,
R rows (frames of all segments of a batch), D embedding.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pemr.config import CoverConfig, ModelConfig, PairConfig
from pemr.cores import n_cores

Floats = NDArray[np.float32]
Weights = Mapping[str, NDArray[Any]]

N_PITCH_CLASSES: Final = 12
N_BINS: Final = 84  # semitones; what rows come after them are harmony
RANGE_DB: Final = 70.0  # below the loudest cell of a segment, nothing is heard
NEIGHBOURHOOD: Final = 13  # semitones over which a level is compared with its surroundings
POWER_FLOOR: Final = 1e-6  # keeps the gradient of a root finite in training

_NORM_FLOOR = 1e-5  # torch's epsilon of a batch norm
_SEGMENTS_AT_ONCE = 6
_N_AT_ONCE = 4  # frames of a convolution along time


class CoverNetwork:
    """Embeds segments as `cover.CoverModel` does.

    Parameters
    ----------
    config : ModelConfig
        With one cover encoder, or two.
    stored : mapping
        Arrays as `cover.CoverModel.state_dict` names them.

    Raises
    ------
    ValueError
        If the config's encoder is of another kind.
    """

    def __init__(self, config: ModelConfig, stored: Weights) -> None:
        held = {name: np.asarray(value, np.float32) for name, value in stored.items()}
        if isinstance(config.encoder, PairConfig):
            named = {"first": config.encoder.first, "second": config.encoder.second}
            self._encoders = [
                _Encoder(one, _below(held, f"encoder.{name}.")) for name, one in named.items()
            ]
        elif isinstance(config.encoder, CoverConfig):
            self._encoders = [_Encoder(config.encoder, _below(held, "encoder."))]
        else:
            raise ValueError(f"preset {config.preset!r} has no cover encoder")  # noqa: TRY004 (a value)
        self._head, self._offset = _head(_below(held, "head."))

    def __call__(self, segments: Floats) -> Floats:
        """Embed segments.

        Parameters
        ----------
        segments : float32 array, shape (B, F, T)
            84 semitones in dB, 5 frames a second, and 36 rows of harmony in 0..1 where an
            encoder reads it.

        Returns
        -------
        float32 array, shape (B, D)
            Unit vectors.
        """
        starts = range(0, len(segments), _SEGMENTS_AT_ONCE)
        few = [segments[i : i + _SEGMENTS_AT_ONCE] for i in starts]
        with ThreadPoolExecutor(n_cores()) as pool:
            features = list(pool.map(self._features, few))
        empty = np.zeros((0, len(self._head)), np.float32)
        projected = np.concatenate([empty, *features]) @ self._head + self._offset
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.maximum(lengths, 1e-12), np.float32)

    def _features(self, segments: Floats) -> Floats:
        patches = _patches(_contrast(segments[:, :N_BINS]))
        harmony = segments[:, N_BINS:]
        return np.concatenate([one(patches, harmony) for one in self._encoders], axis=1)


class _Encoder:
    """Patches (B, F, T, 50) and harmony (B, 36, 2 T) to features (B, dim)."""

    def __init__(self, config: CoverConfig, of: Weights) -> None:
        scale, self._stem_shift = _norm(of, "stem_norm")
        self._stem = _columns(of["stem.weight"] * scale[:, None, None, None])
        self._n_harmony = config.n_harmony
        if config.n_harmony:
            scale, self._harmony_shift = _norm(of, "harmony_norm")
            self._harmony = _columns(of["harmony_stem.weight"] * scale[:, None, None, None])
        names = ["early", *(f"late.{index}" for index in range(1 + len(config.dilations)))]
        dilations = [1, 1, *config.dilations]
        blocks = [_Block(_below(of, f"{n}."), d) for n, d in zip(names, dilations, strict=True)]
        blocks[0].take_octaves_first(config.n_stem)
        self._early, *self._late = blocks
        self._last, self._last_bias = of["last.weight"][:, :, 0, 0].T, of["last.bias"]

    def __call__(self, patches: Floats, harmony: Floats) -> Floats:
        n_batch, _, n_frames, _ = patches.shape
        x = _rectified(_times(patches, self._stem) + self._stem_shift)  # (B, 84, T, C)
        x = x.reshape(n_batch, -1, N_PITCH_CLASSES, n_frames, x.shape[-1])
        folded = x.transpose(2, 3, 0, 1, 4).reshape(N_PITCH_CLASSES, n_frames, n_batch, -1)
        if self._n_harmony:
            folded = np.concatenate([folded, self._heard(harmony, n_frames)], axis=3)
        y = self._early(folded)
        n_pairs = n_frames // 2
        y = y[:, : 2 * n_pairs].reshape(len(y), n_pairs, 2, *y.shape[2:]).mean(axis=2)
        for block in self._late:
            y = block(y)
        y = _rectified(_times(y, self._last) + self._last_bias)
        return np.asarray(np.sqrt(np.square(y, out=y).mean(axis=(0, 1)) + POWER_FLOOR))

    def _heard(self, harmony: Floats, n_frames: int) -> Floats:
        """Map harmony (B, 36, 2 T) to (12, T, B, C); (B, 0, 2 T) is as if none sounded."""
        shape = (N_PITCH_CLASSES, n_frames, len(harmony), self._n_harmony)
        if not harmony.shape[1]:
            return np.broadcast_to(np.maximum(self._harmony_shift, 0), shape)
        pictures = harmony.reshape(len(harmony), -1, N_PITCH_CLASSES, harmony.shape[2])
        padded = np.pad(pictures, ((0, 0), (0, 0), (0, 0), (2, 2)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=3)[:, :, :, ::2]
        rows = seen.transpose(2, 3, 0, 1, 4).reshape(*shape[:3], -1)  # (12, T, B, 3 * 5)
        return _rectified(_times(rows, self._harmony) + self._harmony_shift)


class _Block:
    """Looks around the circle of pitch classes, then along time: (12, T, B, C) to the same."""

    def __init__(self, of: Weights, dilation: int) -> None:
        scale, self._shift = _norm(of, "norm")
        taps = of["along.weight"][:, :, 0] * scale[:, None, None]  # (O, O, taps)
        self._dilation = dilation
        self._into, kernel, self._out = _shared_products(taps.shape[2])
        self._along = np.einsum("nk,oik->nio", kernel, taps)  # (N, C, O)
        self._basis = _circle_basis()
        kernel = np.einsum("kq,ocq->kco", self._basis, of["around.weight"][..., 0])
        self._kernel = kernel * np.float32(np.sqrt(N_PITCH_CLASSES))
        self._is_residual = kernel.shape[1] == kernel.shape[2]

    def take_octaves_first(self, n_channels: int) -> None:
        """Put inputs of (channel, octave) in the order of (octave, channel)."""
        n_octaves = N_BINS // N_PITCH_CLASSES
        order = np.arange(self._kernel.shape[1])
        order[: n_channels * n_octaves] = (
            order[: n_channels * n_octaves].reshape(n_channels, n_octaves).T.reshape(-1)
        )
        self._kernel = self._kernel[:, order]

    def __call__(self, x: Floats) -> Floats:
        y = self._looked_along(self._looked_around(x))
        y += self._shift
        if self._is_residual:
            y += x
        return _rectified(y)

    def _looked_around(self, x: Floats) -> Floats:
        """Multiply the coefficients on the circle; each turn is a complex one, of three products.

        (x + iy)(a + ib) for a row vector of channels and a matrix, with one product shared by
        both parts.
        """
        coefficients = (self._basis @ x.reshape(N_PITCH_CLASSES, -1)).reshape(12, -1, x.shape[3])
        cosine, sine = coefficients[1:11:2], coefficients[2:11:2]  # (5, R, C)
        root = np.float32(np.sqrt(0.5))
        a, b = self._kernel[1:11:2] * root, self._kernel[2:11:2] * root
        found = np.empty((N_PITCH_CLASSES, coefficients.shape[1], a.shape[2]), np.float32)
        found[[0, 11]] = coefficients[[0, 11]] @ self._kernel[[0, 11]]
        shared = (cosine + sine) @ a
        found[1:11:2] = shared + sine @ (b - a)
        found[2:11:2] = shared - cosine @ (a + b)
        turned = self._basis.T @ found.reshape(N_PITCH_CLASSES, -1)
        return turned.reshape(*x.shape[:3], -1)

    def _looked_along(self, x: Floats) -> Floats:
        """Convolve along time, several frames from one set of products.

        Of each run of N frames, as far apart as the taps are, four frames come out.
        """
        n_frames, step, n_sums = x.shape[1], self._dilation, len(self._into)
        reach = step * ((n_sums - _N_AT_ONCE) // 2)
        starts = [
            first + step * place
            for first in range(step)
            for place in range(0, -(-(n_frames - first) // step), _N_AT_ONCE)
        ]
        missing = max(starts) + step * (n_sums - 1) + 1 - n_frames - reach
        padded = np.pad(x, ((0, 0), (reach, missing), (0, 0), (0, 0)))
        sums = np.empty((n_sums, len(starts), len(x), x.shape[2] * x.shape[3]), np.float32)
        for run, start in enumerate(starts):
            frames = padded[:, start : start + step * n_sums : step]
            sums[:, run] = (self._into @ frames.reshape(len(x), n_sums, -1)).swapaxes(0, 1)
        found = self._out @ (sums.reshape(n_sums, -1, x.shape[3]) @ self._along).reshape(n_sums, -1)
        runs = found.reshape(_N_AT_ONCE, len(starts), len(x), x.shape[2], -1).swapaxes(0, 2)
        y = np.empty((*x.shape[:3], runs.shape[-1]), np.float32)
        for run, start in enumerate(starts):
            frames = y[:, start : start + step * _N_AT_ONCE : step]
            frames[:] = runs[:, run, : frames.shape[1]]
        return y


def _shared_products(n_taps: int) -> tuple[Floats, Floats, Floats]:
    """Say how four frames of a convolution along time come from fewer products.

    Polynomials are multiplied by their values at N = 4 + taps - 1 points, infinity among them, and
    a convolution is that transposed.

    Returns
    -------
    three float32 arrays, of shapes (N, N), (N, taps) and (4, N)
        What N frames, the taps, and the products of both are multiplied with.

    References
    ----------
    .. [1] Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
    """
    n_sums = _N_AT_ONCE + n_taps - 1
    points = np.array([0, 1, -1, 2, -2, 0.5, -0.5])[: n_sums - 1]

    def values(n_terms: int) -> NDArray[np.float64]:
        return np.vstack([np.vander(points, n_terms, increasing=True), np.eye(n_terms)[-1]])

    into = np.linalg.inv(values(n_sums)).T
    parts = (into, values(n_taps), values(_N_AT_ONCE).T)
    first, second, third = (np.ascontiguousarray(part, np.float32) for part in parts)
    return first, second, third


def _contrast(spectrogram: Floats) -> Floats:
    """Make two pictures (B, 2, F, T) of a spectrogram (B, F, T), as `cover.contrast` does."""
    loudest = spectrogram.max(axis=(1, 2), keepdims=True)
    heard = np.maximum(spectrogram, loudest - np.float32(RANGE_DB))
    smooth = _smoothing(heard.shape[1])
    over_average = heard - smooth @ heard.mean(axis=2, keepdims=True)
    over_average -= over_average.mean(axis=(1, 2), keepdims=True)
    pictures = np.stack([over_average, heard - smooth @ heard], axis=1)
    spread = pictures.std(axis=(2, 3), keepdims=True, ddof=1)
    return np.asarray(pictures / (spread + np.float32(1e-3)), np.float32)


def _smoothing(n_bins: int) -> Floats:
    """Average over neighbouring bins, (F, F)."""
    gaps = np.abs(np.arange(n_bins) - np.arange(n_bins)[:, None])
    is_near = gaps <= NEIGHBOURHOOD // 2
    return np.asarray(is_near / is_near.sum(axis=1, keepdims=True), np.float32)


def _patches(pictures: Floats) -> Floats:
    """Lay out what the stem sees at each place: (B, 2, F, T) to (B, F, T / 2, 2 * 5 * 5)."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))[:, :, :, ::2]
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(*seen.shape[:1], *seen.shape[2:4], -1)


def _circle_basis() -> Floats:
    """Return what `cover.circle_basis` returns."""
    place = np.arange(N_PITCH_CLASSES) * (2 * np.pi / N_PITCH_CLASSES)
    turns = [wave(turn * place) for turn in range(1, 6) for wave in (np.cos, np.sin)]
    rows = np.stack([np.ones(N_PITCH_CLASSES), *turns, np.cos(6 * place)])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _norm(of: Weights, name: str) -> tuple[Floats, Floats]:
    """Scale and shift of a batch norm in evaluation mode."""
    scale = of.get(f"{name}.weight", np.float32(1))
    scale = scale / np.sqrt(of[f"{name}.running_var"] + np.float32(_NORM_FLOOR))
    shift = of.get(f"{name}.bias", np.float32(0)) - of[f"{name}.running_mean"] * scale
    return np.asarray(scale, np.float32), np.asarray(shift, np.float32)


def _head(of: Weights) -> tuple[Floats, Floats]:
    """Features to what becomes the embedding: a matrix (dim, D) and an offset (D,)."""
    scale, shift = _norm(of, "feature_norm")
    after, offset = _norm(of, "embedding_norm")
    matrix = of["project.weight"].T * after
    return np.ascontiguousarray(matrix * scale[:, None]), shift @ matrix + offset


def _columns(kernel: Floats) -> Floats:
    """Lay out a convolution's kernel (O, C, ...) as a matrix (C * ..., O)."""
    return np.ascontiguousarray(kernel.reshape(len(kernel), -1).T)


def _times(rows: Floats, matrix: Floats) -> Floats:
    """One product of all rows, (..., C) to (..., O); NumPy would take it apart."""
    return (rows.reshape(-1, rows.shape[-1]) @ matrix).reshape(*rows.shape[:-1], -1)


def _rectified(x: Floats) -> Floats:
    return np.maximum(x, 0, out=x)


def _below(of: Weights, prefix: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): value for name, value in of.items() if name.startswith(prefix)
    }
