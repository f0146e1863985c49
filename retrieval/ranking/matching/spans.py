"""Two recordings' pitch classes → all stretches of the one that follow stretches of the other.

Letters: T frames at 5 a second, P pictures of pitch classes, X and Y stacked frames of the query
and of the candidate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.align import (
    FRAME_RATE,
    N_TRANSPOSITIONS,
    best_shifts,
    common_factor,
    comparable,
    pool,
    signed,
)
from retrieval.ranking.matching.lines import HIT, RATIOS, best_line, near_line, slope
from retrieval.ranking.matching.qmax import (
    STACK_LENGTH,
    longest_path,
    recurrence,
    stacked_distances,
)
from retrieval.ranking.ranking import PLAIN

N_SPANS = 8  # the longest list that anybody reads
SHORTEST_SPAN = 1 / 3  # of the best; a shorter one is mostly chance
FEWEST_FRAMES = 20  # that a further span needs: eight seconds of a song
BAND = 8  # pooled frames that a performance may drift from a straight line


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the query and the stretch of the candidate that follows it.

    Parameters
    ----------
    query_start_s, query_end_s : float
        In the query, in seconds.
    start_s, end_s : float
        In the candidate, in seconds.
    transposition : int
        Semitones from the query up to the candidate, -5..6.
    tempo : float
        How many times faster the candidate is played.
    """

    query_start_s: float
    query_end_s: float
    start_s: float
    end_s: float
    transposition: int
    tempo: float


@dataclass(frozen=True)
class _Match:
    """A path through a plot, and what its line is worth."""

    score: int
    shift: int
    path: NDArray[np.int64]  # (n, 2)
    tempo: float


def find_spans(
    query: NDArray[np.uint8],
    candidate: NDArray[np.uint8],
    transposition: int,
    *,
    weights: Sequence[float] = PLAIN.harmony_weights,
    n_spans: int = N_SPANS,
) -> list[Span]:
    """Find where a candidate follows a query.

    The first span lies on the straight line, at any tempo from 2/3 to 3/2, along which the two
    agree longest. The next is the best in what is left, and so on, until one is much shorter than
    the first. What of the candidate follows nothing by then is asked in other keys.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T)
        As in `retrieval.ranking.matching.align.align`.
    transposition : int
        Semitones from the query up to the candidate, as `align` found them; tried beside those
        that fit best.
    weights : sequence of float
        As in `align`.
    n_spans : int
        The longest list wanted.

    Returns
    -------
    list of Span
        The best first. No two share both a moment of the query and one of the candidate, so a
        verse that repeats has a span for each time. Empty where a recording is too short, or
        nothing recurs.
    """
    return [
        span
        for span, _ in find_paths(query, candidate, transposition, weights=weights, n_spans=n_spans)
    ]


def find_paths(
    query: NDArray[np.uint8],
    candidate: NDArray[np.uint8],
    transposition: int,
    *,
    weights: Sequence[float] = PLAIN.harmony_weights,
    n_spans: int = N_SPANS,
) -> list[tuple[Span, NDArray[np.float64]]]:
    """Find where a candidate follows a query, and along which path; parameters of `find_spans`.

    Returns
    -------
    list of (Span, float64 array, shape (n, 2))
        Each span with the moments that its path visits, of the query and of the candidate, in
        seconds.
    """
    factor = common_factor(query.shape[1], candidate.shape[1])
    ours, theirs = comparable(pool(query, factor, weights), pool(candidate, factor, weights))
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return []
    frame_s, middle = factor / FRAME_RATE, STACK_LENGTH / 2
    shifts = {transposition % 12, *best_shifts(ours, theirs)[:N_TRANSPOSITIONS].tolist()}
    plots = {shift: recurrence(stacked_distances(ours, theirs, shift)) for shift in sorted(shifts)}
    found = _best_first(plots, n_spans)
    left = _left_over(theirs, found)
    if found and left.sum() >= FEWEST_FRAMES + STACK_LENGTH:
        others = best_shifts(ours, theirs[:, left])[:N_TRANSPOSITIONS].tolist()
        plots = {
            shift: recurrence(stacked_distances(ours, theirs, shift)) * left[: -STACK_LENGTH + 1]
            for shift in others
            if shift not in shifts
        }
        found += _best_first(plots, n_spans, max(match.score for match in found))
    found.sort(key=lambda match: -match.score)
    return [
        (_span(one, frame_s), np.asarray((one.path + middle) * frame_s, np.float64))
        for one in found[:n_spans]
    ]


def _best_first(
    plots: dict[int, NDArray[np.uint8]], n_spans: int, best_score: float = 0
) -> list[_Match]:
    """Take the best match out of the plots, again and again."""
    matches = {shift: _best_match(plot, shift) for shift, plot in plots.items()}
    found: list[_Match] = []
    while len(found) < n_spans and matches:
        match = max(matches.values(), key=lambda one: one.score)
        least = max(best_score * SHORTEST_SPAN, HIT * FEWEST_FRAMES) if best_score else 1
        if not len(match.path) or match.score < least:
            break
        found.append(match)
        best_score = max(best_score, match.score)
        (top, left), (bottom, right) = match.path[0], match.path[-1]
        for shift, plot in plots.items():
            plot[top : bottom + 1, left : right + 1] = 0
            if _touches(matches[shift], match):
                matches[shift] = _best_match(plot, shift)
    return found


def _best_match(plot: NDArray[np.uint8], shift: int) -> _Match:
    score, which, offset = _best_line(plot)
    _, path = longest_path(near_line(plot, RATIOS[which], offset, BAND))
    on_it = path[plot[path[:, 0], path[:, 1]] > 0] if len(path) else path
    ratio = slope(on_it) if len(on_it) > 1 else RATIOS[which]
    return _Match(score, shift, path, float(1 / ratio))


def _best_line(plot: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Find the best line of the plot: its score, which of the ratios it has, and its offset.

    Every third ratio is tried, then those between the best of them and its neighbours.
    """
    _, rough, _ = best_line(plot, RATIOS[1::3])
    first = max(0, 3 * rough - 1)
    score, near, offset = best_line(plot, RATIOS[first : 3 * rough + 4])
    return score, first + near, offset


def _touches(match: _Match, other: _Match) -> bool:
    """Whether two matches may share pairs of the plot."""
    if not len(match.path):
        return False
    return bool((match.path[-1] >= other.path[0]).all() and (match.path[0] <= other.path[-1]).all())


def _left_over(theirs: NDArray[np.uint8], found: Iterable[_Match]) -> NDArray[np.bool_]:
    """Say which pooled frames of the candidate are in no span."""
    is_left = np.ones(theirs.shape[1], bool)
    for match in found:
        is_left[match.path[0, 1] : match.path[-1, 1] + STACK_LENGTH] = False
    return is_left


def _span(match: _Match, frame_s: float) -> Span:
    (query_start, start), (query_end, end) = match.path[0].tolist(), match.path[-1].tolist()
    return Span(
        query_start_s=query_start * frame_s,
        query_end_s=(query_end + STACK_LENGTH) * frame_s,
        start_s=start * frame_s,
        end_s=(end + STACK_LENGTH) * frame_s,
        transposition=signed(match.shift),
        tempo=match.tempo,
    )
