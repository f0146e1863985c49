"""A query and a pool become ranked: every stage in its turn, the same for all who ask."""

from collections.abc import Sequence
from typing import Final

from retrieval.ranking.alignment import by_alignment
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import less_hubs
from retrieval.ranking.nearest import by_embedding
from retrieval.ranking.neighbours import by_neighbours
from retrieval.ranking.pool import Pool, Ranked, Stage, unranked
from retrieval.ranking.probability import by_probability
from retrieval.ranking.ranking import Ranking

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
