"""What a query is ranked against, and what becomes of it from stage to stage.

Letters: K candidates, S segments, D embedding, T frames, P pictures of pitch classes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.candidate import Query
from retrieval.ranking.ranking import Ranking

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """K tracks that may be candidates, wherever they come from.

    Parameters
    ----------
    embeddings : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of each track's segments; S differs, and may be 0.
    is_candidate : bool array, shape (K,)
        False for what is in the pool and no answer: the query itself.
    mean_length : float
        Segments that a sounding track has on average, over all that is searched and not only over
        this pool: scores must not depend on what else is in it.
    hubness : callable
        Returns how near each track is to everything, float64 (K,); asked only where hubs lose.
    tonal_of : callable
        Yields what is aligned of some tracks, given their indices, uint8 (12 * P, T) each.
    n_tracks : int
        How many tracks are searched, of which these are the nearest; 0 where these are all.
    """

    embeddings: Sequence[NDArray[np.float32]]
    is_candidate: NDArray[np.bool_]
    mean_length: float
    hubness: Callable[[], Scores]
    tonal_of: Callable[[Sequence[int]], Iterable[NDArray[np.uint8]]]
    n_tracks: int = 0


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Scores of K candidates, in the order of the pool.

    Parameters
    ----------
    scores : float64 array, shape (K,)
        What to rank by; minus infinity for what is no candidate.
    embedding_scores : float64 array, shape (K,)
        Of each candidate's embeddings by themselves.
    hub_losses : float64 array, shape (K,)
        What each candidate lost as a hub.
    alignment_scores : float64 array, shape (K,)
        NaN where a candidate was not aligned.
    transpositions : int64 array, shape (K,)
        Semitones from the query up to the candidate; 0 where it was not aligned.
    probabilities : float64 array, shape (K,)
        That each is a performance of the query's work; NaN where nothing is known of that.
    """

    scores: Scores
    embedding_scores: Scores
    hub_losses: Scores = field(default_factory=lambda: np.zeros(0))
    alignment_scores: Scores = field(default_factory=lambda: np.zeros(0))
    transpositions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    probabilities: Scores = field(default_factory=lambda: np.zeros(0))


Stage = Callable[[Query, Pool, Ranked, Ranking], Ranked]


def unranked(pool: Pool) -> Ranked:
    """Make what the first stage starts from: every candidate at 0."""
    scores = np.where(pool.is_candidate, 0.0, -np.inf)
    nothing = np.zeros(len(scores))
    return Ranked(
        scores=scores,
        embedding_scores=nothing,
        hub_losses=nothing,
        alignment_scores=np.full(len(scores), np.nan),
        transpositions=np.zeros(len(scores), np.int64),
        probabilities=np.full(len(scores), np.nan),
    )
