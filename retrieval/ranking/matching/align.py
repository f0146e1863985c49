"""Two recordings' pitch classes become a transposition and an alignment score.

Chroma, and harmony where it was heard (`retrieval.ranking.matching.harmony`), is pooled to the few
frames a second at which a chord lasts some frames, the transpositions that fit the two tracks'
overall pitch content best are tried, and Qmax measures the longest stretch in which one track
follows the other.

Letters: T frames at 5 a second, K candidates, P pictures of pitch classes.

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
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.harmony import N_PITCH_CLASSES, turned
from retrieval.ranking.matching.qmax import STACK_LENGTH, qmax
from retrieval.ranking.ranking import PLAIN

log = logging.getLogger(__name__)

FRAME_RATE = 5  # frames of chroma a second
MAX_LENGTH = 500  # pooled frames; a longer pair is pooled further until both fit
POOLING = 2  # frames at 5 a second that make one, near the 2.15 a second of [1]
MIN_LENGTH = 100  # pooled frames below which a short pair is pooled less
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


def align(
    query: NDArray[np.uint8],
    candidate: NDArray[np.uint8],
    weights: Sequence[float] = PLAIN.harmony_weights,
) -> Alignment:
    """Find how well a candidate follows a query, and in which transposition.

    The score is not symmetric: of two candidates that share equally much with
    the query, the shorter one scores higher, as published.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T)
        Pictures of pitch classes at 5 frames a second, row 0 is C of chroma. The two may differ in
        T; where they differ in P, only what both have is compared.
    weights : sequence of float
        Of the squared distances of chroma, pitch classes and bass.

    Returns
    -------
    Alignment
        Of the better of the transpositions tried. Sequences shorter than one
        stack of frames, silence, and constant chroma score 0.
    """
    return _align(_Pooled(query, weights), candidate)


def align_many(
    query: NDArray[np.uint8],
    candidates: Iterable[NDArray[np.uint8]],
    weights: Sequence[float] = PLAIN.harmony_weights,
    *,
    n_workers: int | None = None,
) -> list[Alignment]:
    """Align one query with many candidates, several at a time.

    Parameters
    ----------
    query : uint8 array, shape (12 * P, T)
        As in `align`.
    candidates : iterable of uint8 arrays, each of shape (12 * P, T)
        One per candidate.
    weights : sequence of float
        As in `align`.
    n_workers : int, optional
        Threads; as many as the process may use cores if not given.

    Returns
    -------
    list of Alignment, length K
        In the order of the candidates.
    """
    asked = _Pooled(query, weights)
    warm_up()
    with ThreadPoolExecutor(n_workers or _n_cores()) as pool:
        return list(pool.map(partial(_align, asked), candidates))


def pool(
    pictures: NDArray[np.uint8], factor: int, weights: Sequence[float] = PLAIN.harmony_weights
) -> NDArray[np.uint8]:
    """Average every `factor` frames, give each frame of chroma the same maximum, and weigh.

    Parameters
    ----------
    pictures : uint8 array, shape (12 * P, T)
        Chroma first; an incomplete last group is left out unless it is the only one.
    factor : int
        Frames that become one.
    weights : sequence of float
        As in `align`; each picture is scaled by the root of its own.

    Returns
    -------
    uint8 array, shape (12 * P, max(1, T // factor)), or (12 * P, 0) for no frames
        The largest value of chroma is 255 in each frame, and a silent frame stays 0; harmony keeps
        its level, since it says how sure the network is.
    """
    factor = min(factor, max(1, pictures.shape[1]))
    n_frames = pictures.shape[1] // factor
    grouped = pictures[:, : n_frames * factor].reshape(len(pictures), n_frames, factor)
    mean = grouped.mean(axis=2, dtype=np.float64)
    mean[:N_PITCH_CLASSES] *= 255 / np.maximum(mean[:N_PITCH_CLASSES].max(axis=0), 1e-9)
    scale = np.repeat(np.sqrt(weights), N_PITCH_CLASSES)[: len(mean), None]
    pooled: NDArray[np.uint8] = np.rint(mean * scale).astype(np.uint8)
    return pooled


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
    query, candidate : uint8 array, shape (12 * P, T)
        Pooled pictures of pitch classes.

    Returns
    -------
    int64 array, shape (12,)
        Semitones in 0..11 by which to transpose the query upwards, the best
        first: the optimal transposition indices of [2].
    """
    of_query = query.sum(axis=1, dtype=np.int64)
    of_candidate = candidate.sum(axis=1, dtype=np.int64)
    fit = [turned(of_query, shift) @ of_candidate for shift in range(12)]
    return np.argsort(-np.array(fit), kind="stable")


def comparable(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Keep of two stacks of pictures (12 * P, T) those that both have."""
    n_rows = min(len(ours), len(theirs))
    return ours[:n_rows], theirs[:n_rows]


class _Pooled:
    """One recording at every pooling that its pairs ask for, each made once."""

    def __init__(self, pictures: NDArray[np.uint8], weights: Sequence[float]) -> None:
        is_right = pictures.ndim == 2 and len(pictures) in (12, 24, 36)
        if not is_right or pictures.dtype != np.uint8:
            raise ValueError(f"chroma must be uint8 (12, T), not {pictures.dtype} {pictures.shape}")
        self.length = pictures.shape[1]
        self.weights = weights
        self.at = cache(partial(pool, pictures, weights=weights))


def _align(query: _Pooled, pictures: NDArray[np.uint8]) -> Alignment:
    candidate = _Pooled(pictures, query.weights)
    factor = common_factor(query.length, candidate.length)
    ours, theirs = comparable(query.at(factor), candidate.at(factor))
    shifts = best_shifts(ours, theirs)[:N_TRANSPOSITIONS]
    n_stacks = theirs.shape[1] - STACK_LENGTH + 1
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return Alignment(transposition=signed(shifts[0]), score=0.0)
    warm_up()
    longest = [qmax(ours, theirs, shift) for shift in shifts]
    best = int(np.argmax(longest))
    return Alignment(
        transposition=signed(shifts[best]), score=float(longest[best]) / math.sqrt(n_stacks)
    )


def signed(shift: int) -> int:
    """Name an upward shift in semitones as the nearer of up and down, -5..6."""
    upward = int(shift) % 12
    return upward - 12 if upward > 6 else upward


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def warm_up() -> None:
    """Load the machine code, once a process, with a word about the wait; in any thread."""
    log.info("loading the alignment code; the first run on a machine compiles it, some seconds")
    start = time.perf_counter()
    frames = np.zeros((12, STACK_LENGTH), dtype=np.uint8)
    qmax(frames, frames, 0)
    log.info("alignment code ready after %.1f s", time.perf_counter() - start)
