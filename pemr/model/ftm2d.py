"""Chroma segments → the magnitude of their two-dimensional Fourier transform.

Rotating the pitch classes, which is what a change of key does, and shifting in
time change only the phase of the transform. So its magnitude describes a
passage whatever its key, and nothing has to be trained.

Letters: S segments, T frames, D embedding.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SEGMENT_LENGTH: Final = 100  # frames of chroma: 20 s at 5 frames a second
HOP_LENGTH: Final = 50
N_TIME_FREQUENCIES: Final = 25  # the lowest ones, on either side of zero
DIM: Final = 7 * (2 * N_TIME_FREQUENCIES + 1)

_POWER = 0.5  # compresses the magnitudes, which a few low ones would rule otherwise


def embed(segments: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed chroma segments.

    The transform of real numbers is symmetric, so 7 of 12 frequencies along
    pitch classes say everything; of those along time the low ones are kept. The
    constant term is dropped.

    Parameters
    ----------
    segments : float32 array, shape (S, 12, T)
        Chroma, 5 frames a second.

    Returns
    -------
    float32 array, shape (S, D)
        Unit vectors.

    References
    ----------
    .. [1] Bertin-Mahieux and Ellis, "Large-scale cover song recognition using
       the 2D Fourier transform magnitude", ISMIR 2012.
    """
    spectrum = np.fft.fft(np.fft.rfft(segments, axis=1), axis=2)  # (S, 7, T)
    low = np.concatenate(
        [spectrum[:, :, -N_TIME_FREQUENCIES:], spectrum[:, :, : N_TIME_FREQUENCIES + 1]], axis=2
    )
    magnitude = np.abs(low).astype(np.float32) ** _POWER
    magnitude[:, 0, N_TIME_FREQUENCIES] = 0.0
    vectors = magnitude.reshape(len(segments), DIM)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
