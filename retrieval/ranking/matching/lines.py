"""A cross recurrence plot → the straight line along which two recordings agree longest.

A path of Qmax may wander between half and twice the tempo, and does where music repeats itself. Two
performances of one work keep one tempo ratio for long, so the line tells tempo and ends better.

Letters: X and Y stacked frames of the query and of the candidate, R ratios.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.kernels import compiled

HIT = 2  # what a recurrence on the line is worth
MISS = 1  # what a pair on it that does not recur costs
RATIOS = np.exp(np.arange(-20, 21) * 0.02)  # frames of the candidate for one of the query


@compiled
def best_line(plot: NDArray[np.uint8], ratios: NDArray[np.float64]) -> tuple[int, int, int]:
    """Find the line with the best stretch: that of most hits, less its misses.

    Parameters
    ----------
    plot : uint8 array, shape (X, Y)
        1 where a pair recurs.
    ratios : float64 array, shape (R,)
        Slopes to try, in rows' frames of the candidate for one of the query.

    Returns
    -------
    score : int
        `HIT` for each recurrence of the stretch, less `MISS` for each pair of it that does not
        recur; 0 when nothing recurs.
    ratio : int
        Which of the ratios.
    offset : int
        Column where the line crosses row 0; it may lie outside of the plot.
    """
    n_rows, n_columns = plot.shape
    score, ratio, offset = 0, 0, 0
    gains = plot.astype(np.int16) * np.int16(HIT + MISS) - np.int16(MISS)
    for which in range(len(ratios)):
        lowest = -int(ratios[which] * n_rows) - 1
        ending = np.zeros(n_columns - lowest, np.int16)  # the best stretch that ends in this row
        top = np.zeros(n_columns - lowest, np.int16)
        for i in range(n_rows):
            first = lowest + round(ratios[which] * i)  # column of the first line, below 0
            begin, end = max(0, first), min(n_columns, first + len(ending))
            gain = gains[i, begin:end]  # whole rows, which are added up several at a time
            ends, tops = ending[begin - first : end - first], top[begin - first : end - first]
            for k in range(len(gain)):
                here = max(np.int16(ends[k] + gain[k]), np.int16(0))
                ends[k] = here
                tops[k] = max(tops[k], here)
        best = int(top.argmax())
        if top[best] > score:
            score, ratio, offset = int(top[best]), which, best + lowest
    return score, ratio, offset


@compiled
def near_line(plot: NDArray[np.uint8], ratio: float, offset: int, width: int) -> NDArray[np.uint8]:
    """Leave of a plot what is near to a line.

    Parameters
    ----------
    plot : uint8 array, shape (X, Y)
        1 where a pair recurs.
    ratio : float
        Slope of the line.
    offset : int
        Column where it crosses row 0.
    width : int
        How many columns to either side are near.

    Returns
    -------
    uint8 array, shape (X, Y)
        0 elsewhere.
    """
    kept = np.zeros_like(plot)
    for i in range(plot.shape[0]):
        middle = offset + round(ratio * i)
        begin, end = max(0, middle - width), min(plot.shape[1], middle + width + 1)
        for j in range(begin, end):
            kept[i, j] = plot[i, j]
    return kept


def slope(points: NDArray[np.int64]) -> float:
    """Fit a line to points so that their distances to it are least, and measure its slope.

    Parameters
    ----------
    points : int64 array, shape (n, 2)
        Rows and columns, rising in both; at least two that differ.

    Returns
    -------
    float
        Columns for one row.
    """
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    rows, columns = directions[0]
    return float(columns / rows)
