"""Figures of a whole benchmark: values, intervals, recall at a false-alarm rate."""

import numpy as np
import pytest

from retrieval.measuring.metrics import score_queries
from retrieval.measuring.summary import (
    METRICS,
    clique_draws,
    recall_at_false_alarm,
    summarise,
    weighted_median,
)


def some_scores(seed=0, n=60, n_cliques=20):
    rng = np.random.default_rng(seed)
    cliques = np.arange(n) % n_cliques
    scores = rng.standard_normal((n, n)) + (cliques[:, None] == cliques)
    return score_queries(scores, cliques[:, None] == cliques, np.arange(n)), cliques


def slow_recall(best_relevant, best_other, hit1, rate):
    """Try every threshold between the scores and keep the best one that is allowed."""
    best = 0.0
    for threshold in [-np.inf, *best_other]:
        alarms = np.mean(best_other > threshold)
        if alarms <= rate:
            best = max(best, float(np.mean(hit1 * (best_relevant > threshold))))
    return best


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.5, 0.99])
def test_recall_at_false_alarm_equals_a_search_over_thresholds(rate):
    for seed in range(20):
        scores, _ = some_scores(seed)
        expected = slow_recall(scores.best_relevant, scores.best_other, scores.hit1, rate)
        assert recall_at_false_alarm(scores, rate) == pytest.approx(expected)


def test_weights_count_a_query_as_often_as_they_say():
    scores, _ = some_scores()
    weights = np.random.default_rng(1).integers(0, 4, len(scores))
    repeated = np.repeat(np.arange(len(scores)), weights)
    expected = slow_recall(
        scores.best_relevant[repeated], scores.best_other[repeated], scores.hit1[repeated], 0.1
    )
    assert recall_at_false_alarm(scores, 0.1, weights) == pytest.approx(expected)


def test_weighted_median_is_the_median_of_repeated_values():
    rng = np.random.default_rng(2)
    for _ in range(500):
        values = rng.integers(0, 9, rng.integers(1, 12)).astype(float)
        weights = rng.integers(0, 4, len(values))
        weights[0] += 1
        expected = np.median(np.repeat(values, weights))
        assert weighted_median(values, weights) == expected


def test_summary_has_every_metric_and_its_value_lies_in_the_interval():
    scores, cliques = some_scores()
    summary = summarise(scores, cliques)
    assert tuple(summary) == METRICS
    for name, figure in summary.items():
        assert figure.low <= figure.value <= figure.high, name


def test_values_of_the_summary_are_plain_means_and_medians():
    scores, cliques = some_scores()
    summary = summarise(scores, cliques, n_replicates=3)
    assert summary["map"].value == pytest.approx(scores.average_precision.mean())
    assert summary["mr1"].value == pytest.approx(scores.first_rank.mean())
    assert summary["median_rank1"].value == np.median(scores.first_rank)


def test_same_seed_gives_the_same_interval():
    scores, cliques = some_scores()
    assert summarise(scores, cliques, seed=3) == summarise(scores, cliques, seed=3)


def test_draw_takes_whole_cliques():
    cliques = np.array([5, 5, 9, 7, 7, 7])
    for weights in clique_draws(cliques, n_replicates=20, seed=0):
        assert weights[0] == weights[1]
        assert weights[3] == weights[4] == weights[5]
        assert weights[0] + weights[2] + weights[3] == 3


def test_interval_over_cliques_is_wider_than_over_queries_when_cliques_move_together():
    rng = np.random.default_rng(4)
    cliques = np.repeat(np.arange(20), 6)
    scores = rng.standard_normal((120, 120)) * 0.1
    lucky = rng.random(20) < 0.5
    scores += (cliques[:, None] == cliques) * lucky[cliques][:, None]
    result = score_queries(scores, cliques[:, None] == cliques, np.arange(120))
    together, apart = summarise(result, cliques)["map"], summarise(result, np.arange(120))["map"]
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
