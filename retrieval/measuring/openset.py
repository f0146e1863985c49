"""Queries asked in catalogs that may hold no answer become figures of how honest probabilities are.

Each query is asked twice in every catalog that is drawn: once with other performances of its work
in it, once without any. So half of all queries have no answer, which is the prior of the figures.

Letters: K candidates, A answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.alignment import fuse
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import hubness
from retrieval.ranking.matching.align import Alignment, align_many
from retrieval.ranking.nearest import mean_length
from retrieval.ranking.pool import Pool, Ranked
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.stages import ALL, rank

N_BINS: Final = 15
FALSELY_REJECTED: Final = 0.05

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The best candidate for a query in one catalog.

    Parameters
    ----------
    query, candidate : int
        Their numbers in the scorer.
    work : str
        The query's.
    n_tracks : int
        Tracks in the catalog.
    n_segments : int
        Segments of the query.
    has_answer : bool
        Whether the catalog held a performance of the query's work.
    is_right : bool
        Whether the candidate is one.
    embedding_score, alignment_score : float
        Of the candidate; NaN where it was not aligned.
    probability : float
        That it is right, as the ranking says; NaN without a calibration.
    """

    query: int
    candidate: int
    work: str
    n_tracks: int
    n_segments: int
    has_answer: bool
    is_right: bool
    embedding_score: float
    alignment_score: float
    probability: float


class Asked:
    """One query asked in many catalogs; a candidate is aligned with it once.

    Parameters
    ----------
    query : Query
        What to ask with: a performance, or an excerpt of it.
    number : int
        Of that performance, which is never a candidate.
    scorer : SegmentScorer
        All performances, and what ranks them.
    works : sequence of str
        The work of each.
    """

    def __init__(
        self, query: Query, number: int, scorer: SegmentScorer, works: Sequence[str]
    ) -> None:
        self._query, self._number, self._scorer = query, number, scorer
        self._works = np.asarray(works)
        is_own = self._works == self._works[number]
        self._strangers = np.flatnonzero(~is_own)
        self._relatives = np.flatnonzero(is_own & (np.arange(len(is_own)) != number))
        self._alignments: dict[int, Alignment] = {}

    def answer(self, n_tracks: int, rng: Generator, *, has_answer: bool) -> Answer:
        """Draw a catalog of so many tracks, or of all there are, and ask it."""
        relatives = rng.permutation(self._relatives)[: n_tracks if has_answer else 0]
        strangers = rng.permutation(self._strangers)[: max(n_tracks - len(relatives), 0)]
        tracks = np.sort(np.concatenate([relatives, strangers]))
        ranked = self._ranked(tracks)
        best = int(np.argmax(ranked.scores))
        return Answer(
            query=self._number,
            candidate=int(tracks[best]),
            work=str(self._works[self._number]),
            n_tracks=len(tracks),
            n_segments=len(self._query.embeddings),
            has_answer=has_answer,
            is_right=bool(self._works[tracks[best]] == self._works[self._number]),
            embedding_score=float(ranked.embedding_scores[best]),
            alignment_score=float(ranked.alignment_scores[best]),
            probability=float(ranked.probabilities[best]),
        )

    def _ranked(self, tracks: Ints) -> Ranked:
        embeddings = [self._scorer.embeddings[track] for track in tracks]
        pool = Pool(
            embeddings=embeddings,
            is_candidate=np.ones(len(tracks), bool),
            mean_length=mean_length(embeddings),
            hubness=lambda: hubness(self._scorer.means[tracks]),
            tonal_of=lambda columns: (self._scorer.tonal[tracks[one]] for one in columns),
        )

        def by_remembered(_query: Query, _pool: Pool, ranked: Ranked, ranking: Ranking) -> Ranked:
            return self._aligned(tracks, ranked, ranking)

        return rank(self._query, pool, self._scorer.ranking, (*ALL[:3], by_remembered, *ALL[4:]))

    def _aligned(self, tracks: Ints, ranked: Ranked, ranking: Ranking) -> Ranked:
        """Do what `retrieval.ranking.alignment.by_alignment` does, but each pair once."""
        best = np.argsort(-ranked.scores, kind="stable")[: ranking.n_aligned]
        new = [int(track) for track in tracks[best] if int(track) not in self._alignments]
        theirs = [self._scorer.tonal[track] for track in new]
        found = align_many(self._query.tonal, theirs, ranking.harmony_weights)
        self._alignments.update(zip(new, found, strict=True))
        scores = np.full(len(tracks), np.nan)
        scores[best] = [self._alignments[int(track)].score for track in tracks[best]]
        weight, half_way = ranking.alignment_weight, ranking.alignment_half_way
        fused = fuse(ranked.scores, scores, weight, half_way)
        return replace(ranked, scores=fused, alignment_scores=scores)


def calibration_error(
    probabilities: NDArray[np.float64], is_right: NDArray[np.bool_], n_bins: int = N_BINS
) -> float:
    """Measure how far probabilities are from the share that was right.

    Parameters
    ----------
    probabilities : float64 array, shape (A,)
        Of A answers.
    is_right : bool array, shape (A,)
        Whether each was right.
    n_bins : int
        Bins of equally many answers, from the least to the most probable.

    Returns
    -------
    float
        Mean over all answers of the gap between the mean probability of their bin and the share
        that was right in it; 0 is best.
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        len(part) * abs(float(probabilities[part].mean()) - float(is_right[part].mean()))
        for part in np.array_split(order, n_bins)
        if len(part)
    ]
    return sum(gaps) / len(order)


def rejected(answers: Sequence[Answer], falsely: float = FALSELY_REJECTED) -> float:
    """Measure how many queries without an answer are told from those with one.

    Parameters
    ----------
    answers : sequence of Answer
        With a probability.
    falsely : float
        Share of the right answers, to queries that have one, that may be rejected.

    Returns
    -------
    float
        Share of the queries without an answer whose best candidate is less probable than all but
        that share of the right answers.
    """
    right = [one.probability for one in answers if one.has_answer and one.is_right]
    without = np.array([one.probability for one in answers if not one.has_answer])
    return float((without < np.quantile(right, falsely)).mean())
