"""Gains of tracks from moment to moment → the stretches in which one of them occurs.

Letters: S moments, K tracks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Occurrence(NamedTuple):
    """One track for a while.

    Parameters
    ----------
    start, end : int
        First moment, and the one after the last.
    track : int
        Its index.
    """

    start: int
    end: int
    track: int


def find_occurrences(gains: Floats, cost: float) -> list[Occurrence]:
    """Find the occurrences that gain most together.

    Nothing known is a choice too, and gains nothing. Every occurrence costs the same once, however
    long it is, so that a single moment makes none; going over to nothing known is free.

    Parameters
    ----------
    gains : float64 array, shape (S, K)
        What each moment gains if each track plays then, above 0 where that is likely.
    cost : float
        Of each occurrence.

    Returns
    -------
    list of Occurrence
        In order of time, none over another.
    """
    n_moments, n_tracks = gains.shape
    if not n_moments or not n_tracks:
        return []
    nothing = n_tracks  # a state of its own, behind those of the tracks
    gains = np.column_stack([gains, np.zeros(n_moments)])
    came_from = np.zeros((n_moments, n_tracks + 1), np.int32)
    totals = np.full(n_tracks + 1, -cost)
    totals[nothing] = 0.0
    totals += gains[0]
    for moment in range(1, n_moments):
        best = int(totals.argmax())
        changed = np.full(n_tracks + 1, totals[best] - cost)
        changed[nothing] = totals[best]
        stays = totals >= changed
        came_from[moment] = np.where(stays, np.arange(n_tracks + 1), best)
        totals = np.where(stays, totals, changed) + gains[moment]
    states = [int(totals.argmax())]
    for moment in range(n_moments - 1, 0, -1):
        states.append(int(came_from[moment, states[-1]]))
    return _runs(np.array(states[::-1]), nothing)


def _runs(states: NDArray[np.int64], nothing: int) -> list[Occurrence]:
    edges = np.flatnonzero(np.diff(states)) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(states)]
    return [
        Occurrence(start, end, int(states[start]))
        for start, end in zip(starts, ends, strict=True)
        if states[start] != nothing
    ]
