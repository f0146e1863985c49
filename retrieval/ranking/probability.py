"""What was found out about candidates becomes a probability for each; the last stage of a ranking.

Letters: K candidates.
"""

from dataclasses import replace

import numpy as np

from retrieval.ranking.candidate import Query
from retrieval.ranking.pool import Pool, Ranked
from retrieval.ranking.ranking import Ranking


def by_probability(query: Query, pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
    """Say how likely each candidate is right; a stage of `retrieval.ranking.stages.rank`.

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
