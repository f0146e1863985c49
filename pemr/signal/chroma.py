"""Semitone power → chroma: how strong each pitch class is, whatever the octave.

Alignment reads it, so it is small: one byte for each pitch class, five frames a
second. What counts is how far a semitone stands out from its neighbours, in dB,
so that neither timbre nor the balance of a recording weighs much.

Letters: T frames.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pemr.signal.frontend import N_BINS, decibels, pool_frames

SILENCE_DB: Final = -60.0  # a frame whose loudest semitone is below this is silent

_RANGE_DB = 60.0  # nothing is taken to be further below the loudest semitone of its frame
_ENVELOPE_WIDTH = 3.0  # semitones, standard deviation of the average over neighbours
_CENTRE = 45.0  # semitones above C1 where a semitone weighs most: A4
_WIDTH = 30.0  # semitones from there to where the weight is 0.61


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
    level = 10 * np.log10(np.maximum(power, 1e-10))
    level = np.maximum(level, level.max(axis=0) - _RANGE_DB)
    prominence = np.maximum(level - _ENVELOPE @ level, 0)
    weighted = pool_frames(prominence) * _WEIGHTS[:, None]
    classes = weighted.reshape(N_BINS // 12, 12, -1).sum(axis=0)  # (12, T)
    is_heard = (decibels(power).max(axis=0) >= SILENCE_DB) & (classes.max(axis=0) > 0)
    largest = np.where(is_heard, classes.max(axis=0), np.inf)
    return np.asarray(np.rint(classes / largest * 255), dtype=np.uint8)


def _gaussian(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))


_SEMITONES = np.arange(N_BINS, dtype=np.float64)
_WEIGHTS = _gaussian(_SEMITONES - _CENTRE, _WIDTH).astype(np.float32)
_SPREAD = _gaussian(_SEMITONES - _SEMITONES[:, None], _ENVELOPE_WIDTH)
_ENVELOPE = (_SPREAD / _SPREAD.sum(axis=1, keepdims=True)).astype(np.float32)
