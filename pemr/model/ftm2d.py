"""Chroma segments → the magnitude of their two-dimensional Fourier transform.

Rotating the pitch classes, which is what a change of key does, changes only the
phase of the transform. So its magnitude describes a passage whatever its key,
and nothing has to be trained.

Letters: S segments, T frames, D embedding.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

REVISION: Final = (
    "r1"  # raised when the same recording gets another embedding: old ones are refused
)
SEGMENT_LENGTH: Final = 100  # frames of chroma: 20 s at 5 frames a second
HOP_LENGTH: Final = 20
N_TIME_FREQUENCIES: Final = 16  # on either side of zero, 0.05 Hz apart
DIM: Final = 6 * (2 * N_TIME_FREQUENCIES + 1)

_POWER = 0.7  # compresses the magnitudes, which a few low ones would rule otherwise


def embed(segments: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed chroma segments.

    The transform of real numbers is symmetric, so 7 of 12 frequencies along
    pitch classes say everything. The first of them, how much sounds whatever
    its pitch, is dropped; of the frequencies along time the low ones are kept.
    A window over time makes it matter little where a segment begins.

    Parameters
    ----------
    segments : float32 array, shape (S, 12, T)
        Chroma, 5 frames a second.

    Returns
    -------
    float32 array, shape (S, D)
        Unit vectors; 0 for a segment in which all pitch classes are equal.

    References
    ----------
    .. [1] Bertin-Mahieux and Ellis, "Large-scale cover song recognition using
       the 2D Fourier transform magnitude", ISMIR 2012.
    """
    window = np.hanning(segments.shape[2] + 2)[1:-1].astype(np.float32)
    spectrum = np.fft.rfft(segments * window, axis=1)[:, 1:]  # (S, 6, T)
    spectrum = np.fft.fft(spectrum, axis=2)
    low = np.arange(-N_TIME_FREQUENCIES, N_TIME_FREQUENCIES + 1)
    magnitude = np.abs(spectrum[:, :, low]).astype(np.float32) ** _POWER
    vectors = magnitude.reshape(len(segments), DIM)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
