"""Lower the score of hubs: tracks that are close to everything.

In spaces of many dimensions some vectors are among the nearest of very many others. Such a hub
is an answer to every query. It is recognised without any label, by how close its own nearest
tracks are.

Letters: N tracks, K candidates, D embedding.

References
----------
.. [1] Conneau et al., "Word translation without parallel data", ICLR 2018: cross-domain
   similarity local scaling, of which this is the candidate's half.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.candidate import Query
from retrieval.ranking.pool import Pool, Ranked
from retrieval.ranking.ranking import Ranking

N_NEIGHBOURS = 10
_BLOCK_LENGTH = 1024  # tracks compared with all others at once


def less_hubs(_query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Lower the score of hubs; a stage of `retrieval.ranking.stages.rank`."""
    if not ranking.hub_weight:
        return ranked
    losses = ranking.hub_weight * pool.hubness()
    return replace(ranked, scores=ranked.scores - losses, hub_losses=losses)


def hubness(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure how near each track is to the ten that are nearest to it.

    Parameters
    ----------
    embeddings : float32 array, shape (N, D)
        A unit vector for each track.

    Returns
    -------
    float64 array, shape (N,)
        Mean cosine, in -1..1; 0 for a track that is alone.
    """
    n_tracks = len(embeddings)
    n_kept = min(N_NEIGHBOURS, n_tracks - 1)
    found = np.zeros(n_tracks)
    if n_kept < 1:
        return found
    for start in range(0, n_tracks, _BLOCK_LENGTH):
        cosines = embeddings[start : start + _BLOCK_LENGTH] @ embeddings.T  # (block, N)
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest = np.partition(cosines, n_tracks - n_kept, axis=1)[:, n_tracks - n_kept :]
        found[start : start + len(cosines)] = nearest.mean(axis=1, dtype=np.float64)
    return found


def mean_embeddings(embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Average the segments of each track, (S, D) each, to unit vectors (N, D)."""
    means = np.stack([segments.mean(axis=0) for segments in embeddings])
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)
