"""Scores and relevance become the numbers of this field, one query each.

Goal
    Say how well a ranking puts the performances of the query's work first.

Conventions
    - A score is higher for a better candidate. The ranking is complete: every candidate of the
      query has a score (minus infinity is allowed and ranks last).
    - The query itself is removed by its index, never by being first.
    - Candidates of equal score have no order. Every metric is the expected value over all
      orders of the tied candidates [1]_; equal scores throughout give the random ranking.
    - A query without a relevant candidate has no value and is refused; drop and count it before.
    - Nothing is rounded here.

Metrics
    - average precision (its mean is MAP)
    - rank of the first relevant candidate (its mean is MR1, its median is reported beside it)
    - mean rank of all relevant candidates
    - reciprocal rank (its mean is MRR)
    - precision at 10, which divides by 10 even when fewer candidates are relevant
    - hit at 1, 5, 10: whether the first relevant candidate is that early
    - normalised average rank (NAR) in percent

Letters: Q queries, K candidates, R relevant (query, candidate) pairs.

References
----------
.. [1] McSherry and Najork, "Computing information retrieval performance measures efficiently
   in the presence of tied scores", ECIR 2008.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import NoRelevantCandidateError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Where the relevant candidates stand, ties kept as ties.

    The arrays of shape (R,) hold one entry for each relevant candidate of each query, in the
    order of the queries and, for one query, best first.
    """

    query: Ints  # (R,) row of the query
    above: Ints  # (R,) candidates with a higher score
    tied: Ints  # (R,) candidates with this score, itself included
    relevant_above: Ints  # (R,) relevant ones among those above
    relevant_tied: Ints  # (R,) relevant ones among those tied
    n_relevant: Ints  # (Q,)
    n_candidates: Ints  # (Q,)
    best_relevant: Floats  # (Q,) highest score of a relevant candidate
    best_other: Floats  # (Q,) highest score of any other candidate; -inf when there is none

    @property
    def first(self) -> Ints:
        """Position in the (R,) arrays of the best relevant candidate of each query, (Q,)."""
        return np.concatenate([[0], np.cumsum(self.n_relevant)[:-1]]).astype(np.int64)


def rank_relevant(
    scores: NDArray[np.floating], relevant: NDArray[np.bool_], own: Ints | None = None
) -> Ranks:
    """Find the rank, or the tie of ranks, of every relevant candidate.

    Parameters
    ----------
    scores : float array, shape (Q, K)
        Higher is better.
    relevant : bool array, shape (Q, K)
        Whether each candidate is of the query's clique.
    own : int array, shape (Q,), optional
        The column that is the query itself, which is no candidate; -1 where it is not among them.

    Returns
    -------
    Ranks
        Enough for every metric, without the scores.

    Raises
    ------
    NoRelevantCandidateError
        If a query has no relevant candidate.
    ValueError
        If the shapes differ or a score is NaN.

    Examples
    --------
    >>> ranks = rank_relevant(np.array([[0.9, 0.5, 0.5, 0.1]]), np.array([[0, 1, 0, 1]], bool))
    >>> ranks.above, ranks.tied
    (array([1, 3]), array([2, 1]))
    """
    _check(scores, relevant)
    scores, relevant, n_removed = _without_own(scores, relevant, own)
    n_relevant = relevant.sum(axis=1)
    if not n_relevant.all():
        raise NoRelevantCandidateError
    ascending = np.sort(scores, axis=1)
    rows = [
        _row_ranks(ascending[row], np.sort(scores[row][relevant[row]])[::-1], n_removed[row])
        for row in range(len(scores))
    ]
    above, tied, relevant_above, relevant_tied = (
        np.concatenate([row[part] for row in rows]) if rows else np.empty(0, np.int64)
        for part in range(4)
    )
    return Ranks(
        query=np.repeat(np.arange(len(scores)), n_relevant),
        above=above,
        tied=tied,
        relevant_above=relevant_above,
        relevant_tied=relevant_tied,
        n_relevant=n_relevant,
        n_candidates=scores.shape[1] - n_removed,
        best_relevant=_best(scores, relevant),
        best_other=_best(scores, ~relevant),
    )


def _check(scores: NDArray[np.floating], relevant: NDArray[np.bool_]) -> None:
    if scores.ndim != 2 or scores.shape != relevant.shape:
        raise ValueError(
            f"scores and relevant must both be (Q, K), not {scores.shape} and {relevant.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError("a score is NaN, so there is no ranking")


def _without_own(
    scores: NDArray[np.floating], relevant: NDArray[np.bool_], own: Ints | None
) -> tuple[NDArray[np.floating], NDArray[np.bool_], Ints]:
    """Push the query itself below every candidate and say in which rows that was done."""
    if own is None:
        return scores, relevant, np.zeros(len(scores), np.int64)
    rows = np.flatnonzero(own >= 0)
    scores, relevant = scores.copy(), relevant.copy()
    scores[rows, own[rows]] = -np.inf
    relevant[rows, own[rows]] = False
    return scores, relevant, (own >= 0).astype(np.int64)


def _row_ranks(
    ascending: NDArray[np.floating], descending_relevant: NDArray[np.floating], n_removed: int
) -> tuple[Ints, Ints, Ints, Ints]:
    above, at_least = _above(ascending, descending_relevant)
    relevant_above, relevant_at_least = _above(descending_relevant[::-1], descending_relevant)
    tied = at_least - above - n_removed * np.isneginf(descending_relevant)
    return above, tied, relevant_above, relevant_at_least - relevant_above


def _above(ascending: NDArray[np.floating], values: NDArray[np.floating]) -> tuple[Ints, Ints]:
    """How many entries are higher than each value, and how many at least as high."""
    higher = len(ascending) - np.searchsorted(ascending, values, side="right")
    at_least = len(ascending) - np.searchsorted(ascending, values, side="left")
    return higher, at_least


def _best(scores: NDArray[np.floating], chosen: NDArray[np.bool_]) -> Floats:
    best: Floats = np.max(scores, axis=1, where=chosen, initial=-np.inf).astype(np.float64)
    return best


def average_precision(ranks: Ranks) -> Floats:
    """Average the precision at the rank of every relevant candidate.

    MAP, the headline number of SHS100K and Covers80, is the mean of this over all queries.

    Parameters
    ----------
    ranks : Ranks
        Of the complete ranking.

    Returns
    -------
    float array, shape (Q,)
        In (0, 1]; 1 when every relevant candidate leads the list.

    References
    ----------
    .. [1] Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008,
       section 8.4.
    .. [2] McSherry and Najork, ECIR 2008, for ties.

    Examples
    --------
    >>> ranks = rank_relevant(np.array([[0.9, 0.8, 0.7]]), np.array([[True, False, True]]))
    >>> average_precision(ranks)
    array([0.83333333])
    """
    # A relevant candidate is at each place i = 1..t of its tie with equal probability. There the
    # expected number of relevant ones so far is a + 1 + (i - 1) (r - 1) / (t - 1).
    reciprocals = _reciprocal_sums(ranks.above, ranks.tied)  # sum of 1 / (n + i)
    growth = (ranks.relevant_tied - 1) / np.maximum(ranks.tied - 1, 1)
    rising = ranks.tied - (ranks.above + 1) * reciprocals  # sum of (i - 1) / (n + i)
    rising[ranks.tied == 1] = 0.0
    precision = ((ranks.relevant_above + 1) * reciprocals + growth * rising) / ranks.tied
    return _sum_by_query(ranks, precision) / ranks.n_relevant


def _reciprocal_sums(above: Ints, tied: Ints) -> Floats:
    """1 / (n + 1) + ... + 1 / (n + t) for each pair (n, t)."""
    last = int((above + tied).max(initial=0))
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, last + 1))])
    sums: Floats = (harmonic[above + tied] - harmonic[above]).astype(np.float64)
    sums[tied == 1] = 1.0 / (above[tied == 1] + 1)
    return sums


def _sum_by_query(ranks: Ranks, values: NDArray[np.floating]) -> Floats:
    sums = np.bincount(ranks.query, weights=values, minlength=len(ranks.n_relevant))
    return sums.astype(np.float64)


def first_rank(ranks: Ranks) -> Floats:
    """Rank of the first relevant candidate, counted from 1; its mean is MR1.

    Examples
    --------
    Second or third, and then the other one of two is first just as often:

    >>> first_rank(rank_relevant(np.array([[3, 1, 1, 0.0]]), np.array([[0, 1, 0, 1]], bool)))
    array([2.5])
    """
    first = ranks.first
    return ranks.above[first] + (ranks.tied[first] + 1) / (ranks.relevant_tied[first] + 1)


def mean_rank(ranks: Ranks) -> Floats:
    """Mean of the ranks of all relevant candidates, counted from 1.

    Examples
    --------
    >>> mean_rank(rank_relevant(np.array([[3, 2, 1.0]]), np.array([[1, 0, 1]], bool)))
    array([2.])
    """
    return _sum_by_query(ranks, ranks.above + (ranks.tied + 1) / 2) / ranks.n_relevant


def reciprocal_rank(ranks: Ranks) -> Floats:
    """One over the rank of the first relevant candidate; its mean is MRR.

    Examples
    --------
    Half the time at rank 1, half the time at rank 2:

    >>> reciprocal_rank(rank_relevant(np.array([[1, 1, 0.0]]), np.array([[1, 0, 0]], bool)))
    array([0.75])
    """
    first = ranks.first
    above, tied = ranks.above[first], ranks.tied[first]
    values = 1.0 / (above + 1)
    for query in np.flatnonzero(tied > 1):
        chance = _chance_of_place(tied[query], ranks.relevant_tied[first[query]])
        values[query] = chance @ (1.0 / (above[query] + np.arange(1, len(chance) + 1)))
    return values


def _chance_of_place(tied: int, relevant: int) -> Floats:
    """Probability that the first of `relevant` among `tied` is at place 1, 2, ..."""
    passed = np.arange(tied - relevant)
    none_before = np.cumprod(np.concatenate([[1.0], (tied - relevant - passed) / (tied - passed)]))
    return none_before * relevant / (tied - np.arange(tied - relevant + 1))


def precision_at(ranks: Ranks, k: int) -> Floats:
    """Relevant candidates among the first k, divided by k even when fewer are relevant.

    Examples
    --------
    >>> ranks = rank_relevant(np.array([[3, 2, 1.0]]), np.array([[1, 0, 1]], bool))
    >>> precision_at(ranks, 2), precision_at(ranks, 10)
    (array([0.5]), array([0.2]))
    """
    share = np.clip(k - ranks.above, 0, ranks.tied) / ranks.tied
    return _sum_by_query(ranks, share) / k


def hit_at(ranks: Ranks, k: int) -> Floats:
    """Probability that a relevant candidate is among the first k.

    Examples
    --------
    >>> ranks = rank_relevant(np.array([[3, 2, 2, 2.0]]), np.array([[0, 1, 0, 0]], bool))
    >>> hit_at(ranks, 1), hit_at(ranks, 2), hit_at(ranks, 4)
    (array([0.]), array([0.33333333]), array([1.]))
    """
    first = ranks.first
    tied, relevant = ranks.tied[first], ranks.relevant_tied[first]
    places = np.clip(k - ranks.above[first], 0, tied)
    none = np.ones(len(first))
    for place in range(k):
        others = np.maximum(tied - relevant - place, 0)
        none *= np.where(place < places, others / np.maximum(tied - place, 1), 1.0)
    return 1.0 - none


def normalised_average_rank(ranks: Ranks) -> Floats:
    """How far the relevant candidates are from leading the list, in percent.

    NAR = 100 / (M (K - M)) · sum over i of (rank_i - i), for the M relevant of K candidates in
    the order of their ranks: 0 when they lead, 100 when they are last, 50 for a random ranking.
    When every candidate is relevant it is 0.

    References
    ----------
    .. [1] Serra, Araz, Bogdanov and Mitsufuji, "Supervised contrastive learning from
       weakly-labeled audio segments for musical version matching", ICML 2025.

    Examples
    --------
    >>> ranks = rank_relevant(np.array([[4, 3, 2, 1.0]]), np.array([[0, 1, 0, 1]], bool))
    >>> normalised_average_rank(ranks)  # 100 / (2 · 2) · ((2 - 1) + (4 - 2))
    array([75.])
    """
    excess = (mean_rank(ranks) - (ranks.n_relevant + 1) / 2) * ranks.n_relevant
    room = ranks.n_relevant * (ranks.n_candidates - ranks.n_relevant)
    return 100.0 * excess / np.maximum(room, 1)


@dataclass(frozen=True, kw_only=True)
class QueryScores:
    """Every metric of each query; all arrays have shape (Q,)."""

    n_relevant: Ints
    average_precision: Floats
    first_rank: Floats
    mean_rank: Floats
    reciprocal_rank: Floats
    p10: Floats
    hit1: Floats
    hit5: Floats
    hit10: Floats
    nar: Floats  # percent
    best_relevant: Floats  # score of the best relevant candidate
    best_other: Floats  # score of the best other candidate

    def __len__(self) -> int:
        return len(self.n_relevant)

    def take(self, order: Ints) -> "QueryScores":
        """Put the queries in another order, or pick some."""
        names = [field.name for field in fields(QueryScores)]
        return QueryScores(**{name: getattr(self, name)[order] for name in names})

    @staticmethod
    def join(parts: "list[QueryScores]") -> "QueryScores":
        """Put the queries of several blocks one after the other."""
        names = [field.name for field in fields(QueryScores)]
        return QueryScores(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        )


def score_queries(
    scores: NDArray[np.floating], relevant: NDArray[np.bool_], own: Ints | None = None
) -> QueryScores:
    """Compute every metric of a block of queries; parameters as in `rank_relevant`."""
    ranks = rank_relevant(scores, relevant, own)
    return QueryScores(
        n_relevant=ranks.n_relevant,
        average_precision=average_precision(ranks),
        first_rank=first_rank(ranks),
        mean_rank=mean_rank(ranks),
        reciprocal_rank=reciprocal_rank(ranks),
        p10=precision_at(ranks, 10),
        hit1=hit_at(ranks, 1),
        hit5=hit_at(ranks, 5),
        hit10=hit_at(ranks, 10),
        nar=normalised_average_rank(ranks),
        best_relevant=ranks.best_relevant,
        best_other=ranks.best_other,
    )
