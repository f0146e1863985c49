"""The metrics of each query become figures of a whole benchmark, each with its interval.

Metrics
    - the means over queries of the values in `retrieval.measuring.metrics`: MAP, MR1, mean rank,
      MRR, P@10, hit at 1, 5 and 10, NAR
    - the median over queries of the rank of the first relevant candidate
    - recall at a false-alarm rate of 1 %, for the "no cover here" answer

Letters: Q queries, M metrics.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.measuring.metrics import QueryScores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_REPLICATES = 1000
FALSE_ALARM_RATE = 0.01
METRICS = (
    "map",
    "mr1",
    "median_rank1",
    "mean_rank",
    "mrr",
    "p10",
    "hit1",
    "hit5",
    "hit10",
    "nar",
    "recall_fa1",
)


def recall_at_false_alarm(
    scores: QueryScores, rate: float = FALSE_ALARM_RATE, weights: Ints | None = None
) -> float:
    """Share of queries answered rightly when at most this share of them may raise a false alarm.

    A system that may say "no cover here" answers with its best candidate when that one scores
    above a threshold. Every query is tried twice. Without its clique in the catalog, any answer
    is a false alarm: the threshold is the lowest score that at most `rate` of the queries
    exceed. With its clique, the answer is right when the best candidate is relevant.

    Parameters
    ----------
    scores : QueryScores
        Of all queries.
    rate : float, optional
        Allowed share of false alarms, in [0, 1).
    weights : int array, shape (Q,), optional
        How often each query counts; once when absent.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    Three queries; the best wrong candidates score 1, 2 and 3. One alarm in three is allowed, so
    the threshold is 2, which the right answers of the first and third exceed.

    >>> from retrieval.measuring.metrics import score_queries
    >>> scores = score_queries(
    ...     np.array([[5.0, 1, 0], [2, 1.5, 0], [0, 3, 4]]),
    ...     np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], bool),
    ... )
    >>> recall_at_false_alarm(scores, rate=1 / 3)
    0.6666666666666666
    """
    weights = np.ones(len(scores), np.int64) if weights is None else weights
    total = int(weights.sum())
    descending = np.argsort(-scores.best_other, kind="stable")
    alarms = np.cumsum(weights[descending])
    beyond = int(np.searchsorted(alarms, np.floor(rate * total + 1e-9), side="right"))
    threshold = scores.best_other[descending[beyond]] if beyond < len(descending) else -np.inf
    answered = scores.best_relevant > threshold
    return float((weights * answered * scores.hit1).sum() / total)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric over all queries with its 95 % interval."""

    value: float
    low: float
    high: float


def summarise(
    scores: QueryScores, clique: Ints, n_replicates: int = N_REPLICATES, seed: int = 0
) -> dict[str, Figure]:
    """Sum up each metric over the queries, with a 95 % interval bootstrapped over cliques.

    Queries of one clique rise and fall together, so cliques are drawn, not queries.

    Parameters
    ----------
    scores : QueryScores
        Of all Q queries.
    clique : int array, shape (Q,)
        The clique of each query, any integers.
    n_replicates : int, optional
        Bootstrap replicates.
    seed : int, optional
        Of the draw; the same seed gives the same interval.

    Returns
    -------
    dict from the names in `METRICS` to Figure
    """
    figures = _Figures(scores)
    draws = clique_draws(clique, n_replicates, seed)
    replicates = np.array([figures.weighted(weights) for weights in draws])  # (replicates, M)
    low, high = np.percentile(replicates, [2.5, 97.5], axis=0)
    value = figures.weighted(np.ones(len(scores), np.int64))
    return {
        name: Figure(value=float(value[m]), low=float(low[m]), high=float(high[m]))
        for m, name in enumerate(METRICS)
    }


def clique_draws(clique: Ints, n_replicates: int, seed: int) -> Iterator[Ints]:
    """Draw cliques with replacement and yield how often each query counts, shape (Q,)."""
    _, member = np.unique(clique, return_inverse=True)
    n_cliques = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    for _ in range(n_replicates):
        drawn = rng.integers(0, n_cliques, n_cliques)
        yield np.bincount(drawn, minlength=n_cliques)[member]


_MEANS = {
    "map": "average_precision",
    "mr1": "first_rank",
    "mean_rank": "mean_rank",
    "mrr": "reciprocal_rank",
    "p10": "p10",
    "hit1": "hit1",
    "hit5": "hit5",
    "hit10": "hit10",
    "nar": "nar",
}  # metric -> the per-query value it is the mean of


class _Figures:
    """The figures of some queries, for any weights; what does not depend on them is done once."""

    def __init__(self, scores: QueryScores) -> None:
        self._by_rank = np.argsort(scores.first_rank)  # sorting what is sorted costs little
        self._ranks = scores.first_rank[self._by_rank]
        self._by_alarm = np.argsort(-scores.best_other)
        self._alarms = scores.take(self._by_alarm)
        self._values = np.stack([getattr(scores, value) for value in _MEANS.values()])  # (M, Q)

    def weighted(self, weights: Ints) -> Floats:
        means = self._values @ weights / weights.sum()
        by_name = dict(zip(_MEANS, means, strict=True))
        by_name["median_rank1"] = weighted_median(self._ranks, weights[self._by_rank])
        by_name["recall_fa1"] = recall_at_false_alarm(
            self._alarms, FALSE_ALARM_RATE, weights[self._by_alarm]
        )
        return np.array([by_name[name] for name in METRICS])


def weighted_median(values: Floats, weights: Ints) -> float:
    """Median of the values when each occurs as often as its weight says.

    Examples
    --------
    >>> weighted_median(np.array([1.0, 5, 2]), np.array([1, 1, 2]))
    2.0
    """
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order])
    total = upto[-1]
    lower, upper = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return float((values[order[lower]] + values[order[upper]]) / 2)
