"""Segments of a query and of candidates become a score for each candidate.

Letters: S segments, D embedding, K candidates.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.candidate import Query
from retrieval.ranking.pool import Pool, Ranked, Scores
from retrieval.ranking.ranking import Ranking


def by_embedding(query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Score every candidate by its embeddings; a stage of `retrieval.ranking.stages.rank`."""
    if not ranking.is_by_embedding:
        return ranked
    others = query.at_other_tempos if ranking.tempos else ()
    found = best_scores((query.embeddings, *others), pool.embeddings, pool.mean_length)
    scores = np.where(pool.is_candidate, found, -np.inf)
    return replace(ranked, scores=scores, embedding_scores=found)


def track_scores(
    query_embeddings: NDArray[np.float32],
    candidates: Sequence[NDArray[np.float32]],
    mean_length: float | None = None,
) -> Scores:
    """Score candidates by their segments: what search and evaluation share.

    Each segment of the query looks for its nearest in the candidate, and each of the candidate
    for its nearest in the query; both means of cosines are averaged. A query that is shorter than
    tracks are on average may be an excerpt, of which they need hold no more: the second mean then
    counts less, by the same measure for all candidates.

    Parameters
    ----------
    query_embeddings : float32 array, shape (S, D), S at least 1
        Unit vectors.
    candidates : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of each candidate's segments; S differs, and may be 0.
    mean_length : float, optional
        Segments that a track has on average; of these candidates, where nothing is said.

    Returns
    -------
    float64 array, shape (K,)
        In -1..1; -1 for a candidate without segments.
    """
    scores = np.full(len(candidates), -1.0)
    sounding = [index for index, segments in enumerate(candidates) if len(segments)]
    if not sounding:
        return scores
    lengths = np.array([len(candidates[index]) for index in sounding])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    cosines = query_embeddings @ np.concatenate([candidates[index] for index in sounding]).T
    there = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0, dtype=np.float64)  # (K,)
    back = np.add.reduceat(cosines.max(axis=0), starts) / lengths
    weight = min(1.0, len(query_embeddings) / (mean_length or lengths.mean()))
    scores[sounding] = (there + weight * back) / (1 + weight)
    return scores


def mean_length(embeddings: Sequence[NDArray[np.float32]]) -> float:
    """Average the number of segments of the tracks that sound; 1 where none does."""
    lengths = [len(segments) for segments in embeddings if len(segments)]
    return float(np.mean(lengths)) if lengths else 1.0


def best_scores(
    versions: Sequence[NDArray[np.float32]],
    candidates: Sequence[NDArray[np.float32]],
    mean_length: float | None = None,
) -> Scores:
    """Score candidates by that version of the query, at whatever tempo, which suits each best.

    Parameters
    ----------
    versions : sequence of float32 arrays, each of shape (S, D)
        Unit vectors; at least one has a segment.
    candidates : sequence of float32 arrays, each of shape (S, D)
    mean_length : float, optional
        As in `track_scores`.

    Returns
    -------
    float64 array, shape (K,)
        In -1..1.
    """
    heard = [track_scores(one, candidates, mean_length) for one in versions if len(one)]
    return np.asarray(np.max(heard, axis=0))
