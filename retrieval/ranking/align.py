"""Two chroma sequences become a transposition, an alignment score, and spans that match.

Chroma is pooled to the few frames a second at which a chord lasts some
frames, the transpositions that fit the two tracks' overall pitch content best
are tried, and Qmax measures the longest stretch in which one track follows
the other.

Letters: T frames at 5 a second, K candidates.

References
----------
.. [1] Serrà, Serra and Andrzejak, "Cross recurrence quantification for cover
   song identification", New Journal of Physics 11, 2009.
.. [2] Serrà, Gómez and Herrera, "Transposing chroma representations to a
   common key using optimal transposition indices", Universitat Pompeu Fabra
   technical report, 2008.
"""

import logging
import math
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.qmax import STACK_LENGTH, longest_path, qmax, recurrence, stacked_distances

log = logging.getLogger(__name__)

FRAME_RATE = 5  # frames of chroma a second
MAX_LENGTH = 500  # pooled frames; a longer pair is pooled further until both fit
POOLING = 2  # frames at 5 a second that make one, near the 2.15 a second of [1]
MIN_LENGTH = 100  # pooled frames below which a short pair is pooled less
SHORTEST_SPAN = 1 / 3  # of the longest; a shorter one is mostly chance
N_TRANSPOSITIONS = 2  # how many of the best fitting are tried, as in [1]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How well one track follows another.

    Parameters
    ----------
    transposition : int
        Semitones from the query up to the candidate, -5..6.
    score : float
        Qmax divided by the square root of the candidate's length in frames;
        the inverse of the distance of [1], so that higher is better and 0
        means that nothing matches.
    """

    transposition: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the query and the stretch of the candidate that follows it.

    Parameters
    ----------
    query_start_s, query_end_s : float
        In the query, in seconds.
    start_s, end_s : float
        In the candidate, in seconds.
    """

    query_start_s: float
    query_end_s: float
    start_s: float
    end_s: float


def align(query_chroma: NDArray[np.uint8], candidate_chroma: NDArray[np.uint8]) -> Alignment:
    """Find how well a candidate follows a query, and in which transposition.

    The score is not symmetric: of two candidates that share equally much with
    the query, the shorter one scores higher, as published.

    Parameters
    ----------
    query_chroma, candidate_chroma : uint8 array, shape (12, T)
        Chroma at 5 frames a second, row 0 is C. The two may differ in T.

    Returns
    -------
    Alignment
        Of the better of the transpositions tried. Sequences shorter than one
        stack of frames, silence, and constant chroma score 0.
    """
    return _align(_Pooled(query_chroma), candidate_chroma)


def align_many(
    query_chroma: NDArray[np.uint8],
    candidate_chromas: Iterable[NDArray[np.uint8]],
    *,
    n_workers: int | None = None,
) -> list[Alignment]:
    """Align one query with many candidates, several at a time.

    Parameters
    ----------
    query_chroma : uint8 array, shape (12, T)
        Chroma at 5 frames a second.
    candidate_chromas : iterable of uint8 arrays, each of shape (12, T)
        One per candidate.
    n_workers : int, optional
        Threads; as many as the process may use cores if not given.

    Returns
    -------
    list of Alignment, length K
        In the order of the candidates.
    """
    query = _Pooled(query_chroma)
    _warm_up()
    with ThreadPoolExecutor(n_workers or _n_cores()) as pool:
        return list(pool.map(partial(_align, query), candidate_chromas))


def find_spans(
    query_chroma: NDArray[np.uint8],
    candidate_chroma: NDArray[np.uint8],
    transposition: int,
    *,
    n_spans: int = 3,
) -> list[Span]:
    """Find where a candidate follows a query.

    The first span is the one that the alignment score measures. The next is the longest in what
    is left of both tracks, and so on, until one is much shorter than the first.

    Parameters
    ----------
    query_chroma, candidate_chroma : uint8 array, shape (12, T)
        Chroma at 5 frames a second.
    transposition : int
        Semitones from the query up to the candidate, as `align` found them.
    n_spans : int
        The longest list wanted.

    Returns
    -------
    list of Span
        The longest first; no two share a moment of either track but for the length of a stack.
    """
    factor = common_factor(query_chroma.shape[1], candidate_chroma.shape[1])
    ours, theirs = pool_chroma(query_chroma, factor), pool_chroma(candidate_chroma, factor)
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return []
    plot = recurrence(stacked_distances(ours, theirs, transposition % 12))
    spans: list[Span] = []
    shortest = 0.0
    while len(spans) < n_spans:
        length, path = longest_path(plot)
        if not len(path) or length < shortest:
            break
        spans.append(_span(path, factor / FRAME_RATE))
        shortest = shortest or length * SHORTEST_SPAN
        plot[path[0, 0] : path[-1, 0] + 1, :] = 0
        plot[:, path[0, 1] : path[-1, 1] + 1] = 0
    return spans


def pool_chroma(chroma: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Average every `factor` frames, and give each the same maximum.

    Parameters
    ----------
    chroma : uint8 array, shape (12, T)
        Chroma; an incomplete last group is left out unless it is the only one.
    factor : int
        Frames that become one.

    Returns
    -------
    uint8 array, shape (12, max(1, T // factor)), or (12, 0) for no frames
        Each frame's largest value is 255; a silent frame stays 0.
    """
    factor = min(factor, max(1, chroma.shape[1]))
    n_frames = chroma.shape[1] // factor
    grouped = chroma[:, : n_frames * factor].reshape(12, n_frames, factor)
    mean = grouped.mean(axis=2, dtype=np.float64)
    largest = mean.max(axis=0)
    scaled: NDArray[np.uint8] = np.rint(mean * (255 / np.maximum(largest, 1e-9))).astype(np.uint8)
    return scaled


def common_factor(query_length: int, candidate_length: int) -> int:
    """Choose the pooling of a pair: the usual, more for a long pair, less for a short one.

    Parameters
    ----------
    query_length, candidate_length : int
        Frames at 5 a second.

    Returns
    -------
    int
        The same for both, so that one tempo stays one tempo.
    """
    shorter, longer = sorted((query_length, candidate_length))
    usual = min(POOLING, max(1, shorter // MIN_LENGTH))
    return max(usual, math.ceil(longer / MAX_LENGTH))


def best_shifts(query: NDArray[np.uint8], candidate: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Order the twelve transpositions by how well the overall pitch content fits.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12, T)
        Pooled chroma.

    Returns
    -------
    int64 array, shape (12,)
        Semitones in 0..11 by which to transpose the query upwards, the best
        first: the optimal transposition indices of [2].
    """
    of_query = query.sum(axis=1, dtype=np.int64)
    of_candidate = candidate.sum(axis=1, dtype=np.int64)
    fit = [np.roll(of_query, shift) @ of_candidate for shift in range(12)]
    return np.argsort(-np.array(fit), kind="stable")


class _Pooled:
    """One chroma sequence at every pooling that its pairs ask for, each made once."""

    def __init__(self, chroma: NDArray[np.uint8]) -> None:
        if chroma.ndim != 2 or chroma.shape[0] != 12 or chroma.dtype != np.uint8:
            raise ValueError(f"chroma must be uint8 (12, T), not {chroma.dtype} {chroma.shape}")
        self.length = chroma.shape[1]
        self.at = cache(partial(pool_chroma, chroma))


def _align(query: _Pooled, candidate_chroma: NDArray[np.uint8]) -> Alignment:
    candidate = _Pooled(candidate_chroma)
    factor = common_factor(query.length, candidate.length)
    ours, theirs = query.at(factor), candidate.at(factor)
    shifts = best_shifts(ours, theirs)[:N_TRANSPOSITIONS]
    n_stacks = theirs.shape[1] - STACK_LENGTH + 1
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return Alignment(transposition=_signed(shifts[0]), score=0.0)
    _warm_up()
    longest = [qmax(ours, theirs, shift) for shift in shifts]
    best = int(np.argmax(longest))
    return Alignment(
        transposition=_signed(shifts[best]), score=float(longest[best]) / math.sqrt(n_stacks)
    )


def _span(path: NDArray[np.int64], frame_s: float) -> Span:
    (query_start, start), (query_end, end) = path[0].tolist(), path[-1].tolist()
    return Span(
        query_start_s=query_start * frame_s,
        query_end_s=(query_end + STACK_LENGTH) * frame_s,
        start_s=start * frame_s,
        end_s=(end + STACK_LENGTH) * frame_s,
    )


def _signed(shift: int) -> int:
    """Name an upward shift of 0..11 semitones as the nearer of up and down, -5..6."""
    return int(shift) - 12 if shift > 6 else int(shift)


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _warm_up() -> None:
    """Load the machine code, once a process, with a word about the wait."""
    log.info("loading the alignment code; the first run on a machine compiles it, some seconds")
    start = time.perf_counter()
    frames = np.zeros((12, STACK_LENGTH), dtype=np.uint8)
    qmax(frames, frames, 0)
    log.info("alignment code ready after %.1f s", time.perf_counter() - start)
