"""Chroma and harmony → the pictures of pitch classes that two recordings are aligned by.

Letters: T frames at 5 a second, P pictures.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

N_PITCH_CLASSES: Final = 12


def no_harmony() -> NDArray[np.uint8]:
    """Make what stands for the harmony of a recording that nobody has heard it in, (36, 0)."""
    return np.zeros((3 * N_PITCH_CLASSES, 0), np.uint8)


def tonal(chroma: NDArray[np.uint8], harmony: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stack what is compared when two recordings are aligned.

    The root is left out: given pitch classes and bass it adds nothing.

    Parameters
    ----------
    chroma : uint8 array, shape (12, T)
        Row 0 is C.
    harmony : uint8 array, shape (36, T) or (36, 0)
        Pitch classes, basses and roots as the chord network hears them, times 255; without
        frames where it was not asked.

    Returns
    -------
    uint8 array, shape (12 * P, T)
        Chroma alone (P = 1), or chroma, pitch classes and bass (P = 3).
    """
    if harmony.shape[1] != chroma.shape[1] or not chroma.shape[1]:
        return chroma
    pitch, bass = harmony[:N_PITCH_CLASSES], harmony[N_PITCH_CLASSES : 2 * N_PITCH_CLASSES]
    return np.concatenate([chroma, pitch, bass])


def turned(pictures: NDArray[np.generic], shift: int) -> NDArray[np.generic]:
    """Transpose pictures (12 * P, ...) upwards by some semitones."""
    circles = pictures.reshape(-1, N_PITCH_CLASSES, *pictures.shape[1:])
    return np.roll(circles, shift, axis=1).reshape(pictures.shape)
