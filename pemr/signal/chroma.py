"""Semitone power → chroma: how strong each pitch class is, whatever the octave.

Alignment reads it, so it is small: one byte for each pitch class, five frames a
second.

Letters: T frames.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pemr.signal.frontend import FRAME_RATE, N_BINS, decibels

CHROMA_RATE: Final = FRAME_RATE

SILENCE_DB: Final = -60.0  # a frame whose loudest semitone is below this is silent

_RANGE_DB = 60.0  # what lies this far below the loudest semitone of its frame counts nothing
_CENTRE = 45.0  # semitones above C1: the middle of the weighting, near A4
_WIDTH = 18.0  # semitones from there to where the weight is 0.61


def chroma(power: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Fold semitones to pitch classes.

    Parameters
    ----------
    power : float32 array, shape (84, T)
        25 frames a second, from `frontend.semitone_frames`.

    Returns
    -------
    uint8 array, shape (12, ceil(T / 5))
        5 frames a second; row 0 is C. The largest value of a frame is 255; a
        silent frame is all 0.
    """
    return fold(decibels(power))


def fold(spectrogram: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Fold the semitone spectrogram to pitch classes.

    Parameters
    ----------
    spectrogram : float32 array, shape (84, T)
        In dB, 5 frames a second.

    Returns
    -------
    uint8 array, shape (12, T)
        As `chroma` returns.
    """
    weights = np.exp(-0.5 * ((np.arange(N_BINS) - _CENTRE) / _WIDTH) ** 2).astype(np.float32)
    peak = spectrogram.max(axis=0)
    level = np.clip(1 + (spectrogram - peak) / _RANGE_DB, 0, None) * weights[:, None]
    classes = level.reshape(N_BINS // 12, 12, -1).sum(axis=0)  # (12, T)
    largest = np.where(peak >= SILENCE_DB, classes.max(axis=0), np.inf)
    return np.asarray(np.rint(classes / largest * 255), dtype=np.uint8)
