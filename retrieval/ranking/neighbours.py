"""Raise the score of candidates that are close to one of the best candidates.

Two covers of one work may share little with each other and much with a third. A chain from the
query over another candidate is as strong as its weaker link, and the strongest chain adds to a
candidate's score. Only what it has above the level of strangers counts: where a work has two
recordings and no third, chains lead over strangers.

Letters: K candidates.

References
----------
.. [1] Serrà, Zanin, Herrera and Serra, "Characterization and exploitation of community structure
   in cover song networks", Pattern Recognition Letters 33, 2012.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from retrieval.ranking.candidate import Query
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.pool import Pool, Ranked, Scores
from retrieval.ranking.ranking import Ranking

_N_LINKS = 10  # best candidates that a chain may lead over
_POOL_LENGTH = 500  # best candidates that a chain may lead to
_COPY = 0.9  # cosine above which two candidates are one recording, which vouches for nothing


def by_neighbours(_query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Raise what is near to the best candidates; a stage of `retrieval.ranking.stages.rank`."""

    def cosines_from(index: int, others: Sequence[int]) -> Scores:
        theirs = [pool.embeddings[other] for other in others]
        return track_scores(pool.embeddings[index], theirs, pool.mean_length)

    weight, level = ranking.neighbour_weight, ranking.neighbour_level
    raised = with_neighbours(ranked.scores, ranked.hub_losses, cosines_from, weight, level)
    return replace(ranked, scores=raised)


def with_neighbours(
    scores: Scores,
    hub_losses: Scores,
    cosines_from: Callable[[int, Sequence[int]], Scores],
    weight: float,
    level: float,
) -> Scores:
    """Raise each of the best candidates by what the strongest chain to it is worth.

    Parameters
    ----------
    scores : float64 array, shape (K,)
        Of each candidate by itself, less what hubs lose; minus infinity for what is no candidate.
    hub_losses : float64 array, shape (K,)
        What each candidate lost as a hub, and loses as the end of a chain.
    cosines_from : callable
        Given a candidate's index and the indices of others: how near these are to it, from
        `track_scores`.
    weight : float
        What a chain adds of what it has above strangers; 0 changes nothing.
    level : float
        A score, less what hubs lose, that few strangers reach.

    Returns
    -------
    float64 array, shape (K,)
        No score falls, and who was not among the best does not pass who was.
    """
    order = np.argsort(-scores, kind="stable")[:_POOL_LENGTH]
    pool = order[np.isfinite(scores[order])]
    if not weight or not len(pool):
        return scores
    strongest = np.full(len(pool), level)
    for link in pool[:_N_LINKS].tolist():
        cosines = cosines_from(link, pool.tolist())
        chain = np.minimum(scores[link], cosines - hub_losses[pool])
        chain[(cosines > _COPY) | (pool == link)] = level
        strongest = np.maximum(strongest, chain)
    raised = scores.copy()
    raised[pool] += weight * (strongest - level)
    return raised
