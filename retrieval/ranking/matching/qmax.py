"""Two chroma sequences become a cross recurrence plot, and that a matrix of alignment lengths.

These are the equations of Qmax, compiled: everything counts in integers up to
the last step, so that every machine gives the same answer. They are kept apart
so that the matrix can be traced back to where two tracks match.

Letters: T frames (of query and candidate), X and Y stacked frames of the query
and of the candidate (``T - STACK_LENGTH + 1``).

References
----------
.. [1] Serrà, Serra and Andrzejak, "Cross recurrence quantification for cover
   song identification", New Journal of Physics 11, 2009.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.kernels import compiled

STACK_LENGTH = 9  # frames in one delay-coordinate vector: m of [1], with tau = 1
NEIGHBOUR_SHARE = 0.095  # kappa of [1]: this share of a row, and of a column, may recur
ONSET_PENALTY = 5.0  # gamma_o of [1]: what it costs to leave a match
EXTENSION_PENALTY = 0.5  # gamma_e of [1]: what it costs to stay out of one
_FARTHEST = 36 * STACK_LENGTH * 255**2 + 1  # above every squared distance of three pictures
_BISECTIONS = int(_FARTHEST).bit_length()


@compiled
def stacked_distances(
    query: NDArray[np.uint8], candidate: NDArray[np.uint8], shift: int
) -> NDArray[np.int32]:
    """Measure how far every stack of query frames is from every stack of candidate frames.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T), each at least ``STACK_LENGTH`` frames long
        Chroma, or as many pictures of pitch classes as `retrieval.ranking.matching.harmony` stacks.
    shift : int
        Semitones, in 0..11, by which the query is transposed upwards first.

    Returns
    -------
    int32 array, shape (X, Y)
        Squared Euclidean distances of the delay-coordinate vectors.
    """
    n_query, n_candidate = query.shape[1], candidate.shape[1]
    of_frames = np.zeros((n_query, n_candidate), dtype=np.int32)
    for i in range(n_query):
        for pitch in range(len(candidate)):
            at_query = np.int32(query[pitch // 12 * 12 + (pitch - shift) % 12, i])
            for j in range(n_candidate):
                gap = at_query - np.int32(candidate[pitch, j])
                of_frames[i, j] += gap * gap
    n_rows, n_columns = n_query - STACK_LENGTH + 1, n_candidate - STACK_LENGTH + 1
    stacked = np.zeros((n_rows, n_columns), dtype=np.int32)
    for i in range(n_rows):
        for frame in range(STACK_LENGTH):
            for j in range(n_columns):
                stacked[i, j] += of_frames[i + frame, j + frame]
    return stacked


@compiled
def _row_bounds(distances: NDArray[np.int32], n_neighbours: int) -> NDArray[np.int32]:
    """Find each row's (n_neighbours + 1)-th smallest distance by bisection."""
    n_rows, n_columns = distances.shape
    bounds = np.empty(n_rows, dtype=np.int32)
    for i in range(n_rows):
        low, high = np.int32(0), np.int32(_FARTHEST)
        for _ in range(_BISECTIONS):
            middle = np.int32((low + high) // 2)
            n_below = np.int32(0)
            for j in range(n_columns):
                n_below += np.int32(distances[i, j] <= middle)
            if n_below > n_neighbours:
                high = middle
            else:
                low = np.int32(min(middle + 1, high))
        bounds[i] = high
    return bounds


@compiled
def _column_bounds(distances: NDArray[np.int32], n_neighbours: int) -> NDArray[np.int32]:
    """Find each column's (n_neighbours + 1)-th smallest distance, all columns side by side."""
    n_rows, n_columns = distances.shape
    low = np.zeros(n_columns, dtype=np.int32)
    high = np.full(n_columns, _FARTHEST, dtype=np.int32)
    middle = np.empty(n_columns, dtype=np.int32)
    n_below = np.empty(n_columns, dtype=np.int32)
    for _ in range(_BISECTIONS):
        for j in range(n_columns):
            middle[j] = (low[j] + high[j]) // 2
            n_below[j] = 0
        for i in range(n_rows):
            for j in range(n_columns):
                n_below[j] += np.int32(distances[i, j] <= middle[j])
        for j in range(n_columns):
            if n_below[j] > n_neighbours:
                high[j] = middle[j]
            else:
                low[j] = min(middle[j] + 1, high[j])
    return high


@compiled
def recurrence(distances: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Mark the pairs that are among each other's nearest neighbours.

    Row and column each admit at most ``NEIGHBOUR_SHARE`` of their pairs, and
    at least one. A tie at the border admits none of the tied, so that frames
    which all look alike, as in silence, recur nowhere.

    Parameters
    ----------
    distances : int32 array, shape (X, Y)
        As `stacked_distances` returns them.

    Returns
    -------
    uint8 array, shape (X, Y)
        1 where a pair recurs.
    """
    n_rows, n_columns = distances.shape
    in_row = _row_bounds(distances, max(1, int(NEIGHBOUR_SHARE * n_columns)))
    in_column = _column_bounds(distances, max(1, int(NEIGHBOUR_SHARE * n_rows)))
    plot = np.empty((n_rows, n_columns), dtype=np.uint8)
    for i in range(n_rows):
        for j in range(n_columns):
            distance = distances[i, j]
            plot[i, j] = (distance < in_row[i]) & (distance < in_column[j])
    return plot


@compiled
def alignment_lengths(plot: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count the recurrences of the best path that ends at each pair, less its penalties.

    A path steps by (1, 1), (2, 1) or (1, 2), so it follows tempo changes up to
    a factor of two. Its largest value over the matrix is Qmax.

    Parameters
    ----------
    plot : uint8 array, shape (X, Y)
        1 where a pair recurs.

    Returns
    -------
    float32 array, shape (X, Y)
        Q of [1]; zero in the first two rows and columns.
    """
    n_rows, n_columns = plot.shape
    lengths = np.zeros((n_rows, n_columns), dtype=np.float32)
    fallen = np.zeros((n_rows, n_columns), dtype=np.float32)  # the same, less the penalty to leave
    for i in range(2, n_rows):
        for j in range(2, n_columns):
            if plot[i, j]:
                best = max(lengths[i - 1, j - 1], lengths[i - 2, j - 1], lengths[i - 1, j - 2])
                best += np.float32(1.0)
            else:
                best = max(fallen[i - 1, j - 1], fallen[i - 2, j - 1], fallen[i - 1, j - 2])
                best = max(best, np.float32(0.0))
            lengths[i, j] = best
            penalty = ONSET_PENALTY if plot[i, j] else EXTENSION_PENALTY
            fallen[i, j] = best - np.float32(penalty)
    return lengths


@compiled
def _predecessor(
    plot: NDArray[np.uint8], lengths: NDArray[np.float32], i: int, j: int
) -> tuple[int, int]:
    """Find where the best path to a pair came from; of equals the one that keeps the tempo."""
    best, found = -np.inf, (i - 1, j - 1)
    for before in ((i - 1, j - 1), (i - 2, j - 1), (i - 1, j - 2)):
        value = lengths[before]
        if not plot[i, j]:
            value -= ONSET_PENALTY if plot[before] else EXTENSION_PENALTY
        if value > best:
            best, found = value, before
    return found


@compiled
def longest_path(plot: NDArray[np.uint8]) -> tuple[float, NDArray[np.int64]]:
    """Trace the path that Qmax is the length of, back from its end.

    Parameters
    ----------
    plot : uint8 array, shape (X, Y)
        1 where a pair recurs.

    Returns
    -------
    length : float
        Qmax.
    path : int64 array, shape (n, 2)
        The pairs (i, j) that the path visits, in order; none when nothing recurs.
    """
    lengths = alignment_lengths(plot)
    end = lengths.argmax()
    i, j = end // plot.shape[1], end % plot.shape[1]
    length = float(lengths[i, j])
    visited = np.empty((plot.shape[0], 2), dtype=np.int64)
    n_visited = 0
    while i >= 2 and j >= 2 and lengths[i, j] > 0:
        visited[n_visited] = i, j
        n_visited += 1
        i, j = _predecessor(plot, lengths, i, j)
    return length, visited[:n_visited][::-1]


@compiled
def qmax(query: NDArray[np.uint8], candidate: NDArray[np.uint8], shift: int) -> float:
    """Measure the longest alignment of two chroma sequences.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T), each at least ``STACK_LENGTH`` frames long
        As in `stacked_distances`.
    shift : int
        Semitones, in 0..11, by which the query is transposed upwards first.

    Returns
    -------
    float
        Qmax of [1]: stacked frames, not yet set against a track's length.
    """
    plot = recurrence(stacked_distances(query, candidate, shift))
    return float(alignment_lengths(plot).max())
