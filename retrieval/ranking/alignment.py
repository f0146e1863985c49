"""The best candidates are aligned with the query, which only ever raises a score.

So an aligned candidate never falls behind one that was not.

Letters: K candidates.
"""

from dataclasses import replace

import numpy as np

from retrieval.ranking.candidate import Query
from retrieval.ranking.matching.align import align_many
from retrieval.ranking.pool import Pool, Ranked, Scores
from retrieval.ranking.ranking import Ranking


def by_alignment(query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Align the best candidates, and fuse both scores; a stage of `retrieval.ranking.stages.rank`.

    What is no candidate is never aligned.
    """
    if ranking.n_aligned == 0:
        return ranked
    order = np.argsort(-ranked.scores, kind="stable")[: ranking.n_aligned]
    best = order[np.isfinite(ranked.scores[order])]
    theirs = pool.tonal_of(best.tolist())
    alignments = align_many(query.tonal, theirs, ranking.harmony_weights)
    alignment_scores = np.full(len(ranked.scores), np.nan)
    transpositions = np.zeros(len(ranked.scores), dtype=np.int64)
    alignment_scores[best] = [alignment.score for alignment in alignments]
    transpositions[best] = [alignment.transposition for alignment in alignments]
    weight, half_way = ranking.alignment_weight, ranking.alignment_half_way
    return replace(
        ranked,
        scores=fuse(ranked.scores, alignment_scores, weight, half_way),
        alignment_scores=alignment_scores,
        transpositions=transpositions,
    )


def fuse(
    embedding_scores: Scores, alignment_scores: Scores, weight: float, half_way: float
) -> Scores:
    """Join the scores of both stages.

    An alignment adds ``weight * a / (a + half_way)``, which is at least 0 and below `weight`. Those
    aligned had the better embedding scores, so they stay ahead of the others, and the score means
    the same for every query.

    Parameters
    ----------
    embedding_scores : float64 array, shape (K,)
        Of the stages before.
    alignment_scores : float64 array, shape (K,)
        From `retrieval.ranking.matching.align`; NaN where a candidate was not aligned.
    weight : float
        How much a perfect alignment adds.
    half_way : float
        The alignment score that adds half of it.

    Returns
    -------
    float64 array, shape (K,)
        Higher is better.
    """
    added = np.nan_to_num(alignment_scores / (alignment_scores + half_way), nan=0.0)
    fused: Scores = embedding_scores + weight * added
    return fused
