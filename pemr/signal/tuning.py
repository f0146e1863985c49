"""Constant-Q frames → how far a recording is off concert pitch.

Letters: T frames.
"""

import math

import numpy as np
from numpy.typing import NDArray

_TUNING_BINS = slice(72, 217)  # so chosen that its second bin is in tune
_STEP = 5  # one frame in so many is heard


class Tuning:
    """How far a recording is off concert pitch, from all of it heard so far."""

    def __init__(self) -> None:
        self._sum = 0j
        self._deviation = 0.0

    def update(self, magnitude: NDArray[np.float32]) -> float:
        """Hear the next frames.

        Each spectral peak between C3 and C7 has a position within its semitone;
        their mean on the circle, weighted by magnitude, is the deviation. It
        never jumps by a semitone.

        Parameters
        ----------
        magnitude : float32 array, shape (252, T)
            From `Cqt`.

        Returns
        -------
        float
            Deviation in thirds of a semitone, positive when sharp. Within
            -1.5 to 1.5 at first; later within 1.5 of what was returned before.
        """
        positions, weights = _peaks(magnitude[:, ::_STEP])
        self._sum += complex(np.dot(weights, np.exp(2j * np.pi / 3 * positions)))
        if self._sum != 0:
            deviation = float(np.angle(self._sum)) * 3 / (2 * math.pi)
            self._deviation += (deviation - self._deviation + 1.5) % 3 - 1.5
        return self._deviation


def _peaks(
    magnitude: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions in thirds of a semitone from the middle of one, and magnitudes, of peaks."""
    band = np.log(np.maximum(magnitude[_TUNING_BINS], 1e-6))
    below, here, above = band[:-2], band[1:-1], band[2:]
    rows, frames = np.nonzero((here > below) & (here >= above))
    a, b, c = below[rows, frames], here[rows, frames], above[rows, frames]
    positions = rows + 0.5 * (a - c) / (a - 2 * b + c)  # vertex of the parabola
    return positions.astype(np.float32), np.exp(b)
