"""A query and a pool become ranked: every stage in its turn, the same for all who ask."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from retrieval.ranking.alignment import by_alignment
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import less_hubs
from retrieval.ranking.nearest import by_embedding
from retrieval.ranking.neighbours import by_neighbours
from retrieval.ranking.pool import Pool, Ranked, Stage, unranked
from retrieval.ranking.ranking import Ranking


def by_probability(query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Say how likely each candidate is right; the last stage.

    It changes no order. Without a calibration nothing is said.
    """
    if ranking.calibration is None:
        return ranked
    likely = ranking.calibration.probability(
        ranked.embedding_scores,
        ranked.alignment_scores,
        n_tracks=pool.n_tracks or len(ranked.scores),
        n_segments=len(query.embeddings),
    )
    return replace(ranked, probabilities=np.where(pool.is_candidate, likely, 0.0))


ALL: Final[tuple[Stage, ...]] = (
    by_embedding,
    less_hubs,
    by_neighbours,
    by_alignment,
    by_probability,
)


def rank(query: Query, pool: Pool, ranking: Ranking, stages: Sequence[Stage] = ALL) -> Ranked:
    """Score the tracks of a pool as answers to a query.

    Parameters
    ----------
    query : Query
        What to ask with.
    pool : Pool
        What to ask.
    ranking : Ranking
        Every number that decides.
    stages : sequence of callable, optional
        What is done, in this order; each changes what the one before made, or leaves it as it was
        where the ranking switches it off.

    Returns
    -------
    Ranked
        For all K tracks of the pool.
    """
    ranked = unranked(pool)
    for stage in stages:
        ranked = stage(query, pool, ranked, ranking)
    return ranked
