"""The metrics against loops written from their definitions, ties averaged over all orders."""

from itertools import permutations, product
from math import comb

import numpy as np
import pytest

from retrieval.errors import NoRelevantCandidateError
from retrieval.measuring.metrics import (
    average_precision,
    first_rank,
    hit_at,
    mean_rank,
    normalised_average_rank,
    precision_at,
    rank_relevant,
    reciprocal_rank,
    score_queries,
)

# ---- Slow definitions on one strict order, best first ----------------------------------------


def slow_average_precision(relevant):
    precisions = []
    for k in range(1, len(relevant) + 1):
        if relevant[k - 1]:
            precisions.append(sum(relevant[:k]) / k)
    return sum(precisions) / len(precisions)


def slow_ranks(relevant):
    return [place for place, is_relevant in enumerate(relevant, start=1) if is_relevant]


def slow_nar(relevant):
    ranks = slow_ranks(relevant)
    n_relevant, n_candidates = len(ranks), len(relevant)
    if n_relevant == n_candidates:
        return 0.0
    excess = sum(rank - i for i, rank in enumerate(ranks, start=1))
    return 100 / (n_relevant * (n_candidates - n_relevant)) * excess


SLOW = {
    "average_precision": slow_average_precision,
    "first_rank": lambda relevant: slow_ranks(relevant)[0],
    "mean_rank": lambda relevant: float(np.mean(slow_ranks(relevant))),
    "reciprocal_rank": lambda relevant: 1 / slow_ranks(relevant)[0],
    "p10": lambda relevant: sum(relevant[:10]) / 10,
    "hit1": lambda relevant: float(any(relevant[:1])),
    "hit5": lambda relevant: float(any(relevant[:5])),
    "hit10": lambda relevant: float(any(relevant[:10])),
    "nar": slow_nar,
}


def orders(scores, relevant):
    """Every order of the candidates that the scores allow, as lists of relevance."""
    tied = [[bool(r) for s, r in zip(scores, relevant, strict=True) if s == level]
            for level in sorted(set(scores), reverse=True)]  # fmt: skip
    for groups in product(*(permutations(group) for group in tied)):
        yield [is_relevant for group in groups for is_relevant in group]


def expected(scores, relevant):
    every = list(orders(scores, relevant))
    return {name: float(np.mean([slow(order) for order in every])) for name, slow in SLOW.items()}


def random_case(rng, n_candidates, n_levels):
    scores = rng.integers(0, n_levels, n_candidates) / 4
    relevant = rng.random(n_candidates) < rng.uniform(0.1, 0.9)
    relevant[rng.integers(n_candidates)] = True
    return scores, relevant


# ---- Independent derivation ------------------------------------------------------------------


def test_every_metric_is_the_mean_over_all_orders_of_ties():
    rng = np.random.default_rng(1)
    for case in range(2000):
        n_candidates = int(rng.integers(1, 7 if case % 25 == 0 else 6))
        scores, relevant = random_case(rng, n_candidates, n_levels=int(rng.integers(1, 6)))
        result = score_queries(scores[None], relevant[None])
        for name, value in expected(scores, relevant).items():
            assert getattr(result, name)[0] == pytest.approx(value, abs=1e-12), name


def test_without_ties_the_metrics_equal_the_slow_loops_on_thousands_of_cases():
    rng = np.random.default_rng(2)
    for _ in range(150):
        n_queries, n_candidates = 20, int(rng.integers(2, 60))
        scores = rng.permuted(np.tile(np.arange(n_candidates), (n_queries, 1)), axis=1) / 7
        relevant = rng.random((n_queries, n_candidates)) < 0.2
        relevant[np.arange(n_queries), rng.integers(0, n_candidates, n_queries)] = True
        result = score_queries(scores, relevant)
        for row in range(n_queries):
            order = [bool(x) for x in relevant[row][np.argsort(-scores[row])]]
            for name, slow in SLOW.items():
                assert getattr(result, name)[row] == pytest.approx(slow(order), abs=1e-12), name


def test_long_ties_agree_with_random_orders():
    rng = np.random.default_rng(3)
    scores, relevant = random_case(rng, n_candidates=40, n_levels=3)
    relevant[:] = False
    relevant[[3, 11, 25, 30]] = True
    result = score_queries(scores[None], relevant[None])
    draws = []
    for _ in range(4000):
        order = np.lexsort([rng.random(40), -scores])
        draws.append([slow([bool(x) for x in relevant[order]]) for slow in SLOW.values()])
    spread = np.std(draws, axis=0) / np.sqrt(len(draws))
    for m, name in enumerate(SLOW):
        mean = np.mean(draws, axis=0)[m]
        assert abs(getattr(result, name)[0] - mean) <= 4 * spread[m] + 1e-9, name


def test_all_equal_scores_give_the_random_ranking_map():
    n = 159
    relevant = np.zeros((1, n), bool)
    relevant[0, 17] = True
    ranks = rank_relevant(np.full((1, n), 0.25), relevant)
    assert average_precision(ranks)[0] == pytest.approx(sum(1 / k for k in range(1, n + 1)) / n)
    assert first_rank(ranks)[0] == 80
    assert normalised_average_rank(ranks)[0] == pytest.approx(50)


def test_hit_among_ties_is_hypergeometric():
    relevant = np.array([[True] * 4 + [False] * 26])
    ranks = rank_relevant(np.zeros((1, 30)), relevant)
    for k in (1, 5, 10, 29):
        assert hit_at(ranks, k)[0] == pytest.approx(1 - comb(26, k) / comb(30, k))


# ---- Published formulas by hand --------------------------------------------------------------


def test_nar_by_hand():
    # |M| = 2 relevant among |R| = 5 at ranks 2 and 5: 100 / (2 · 3) · ((2 - 1) + (5 - 2))
    ranks = rank_relevant(np.array([[5, 4, 3, 2, 1.0]]), np.array([[0, 1, 0, 0, 1]], bool))
    assert normalised_average_rank(ranks)[0] == pytest.approx(100 / 6 * 4)


def test_nar_is_zero_at_best_and_hundred_at_worst():
    relevant = np.array([[True, True, False, False, False], [False, False, False, True, True]])
    ranks = rank_relevant(np.tile(np.arange(5.0, 0, -1), (2, 1)), relevant)
    assert normalised_average_rank(ranks).tolist() == [0, 100]


def test_nar_is_zero_when_every_candidate_is_relevant():
    ranks = rank_relevant(np.array([[1.0, 2.0]]), np.ones((1, 2), bool))
    assert normalised_average_rank(ranks)[0] == 0


def test_mr1_is_the_mean_rank_of_the_first_relevant_candidate():
    scores = np.array([[4, 3, 2, 1.0], [4, 3, 2, 1.0]])
    relevant = np.array([[0, 0, 1, 1], [1, 0, 0, 1]], bool)
    assert first_rank(rank_relevant(scores, relevant)).mean() == (3 + 1) / 2


def test_precision_at_ten_divides_by_ten():
    ranks = rank_relevant(np.array([[3, 2, 1.0]]), np.array([[1, 1, 0]], bool))
    assert precision_at(ranks, 10)[0] == pytest.approx(0.2)


# ---- Properties ------------------------------------------------------------------------------


def test_query_is_never_its_own_candidate():
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 4, (30, 30)).astype(float)
    cliques = rng.integers(0, 6, 30)
    relevant = cliques[:, None] == cliques
    kept = np.flatnonzero(relevant.sum(axis=1) > 1)
    own = kept.astype(np.int64)
    removed = score_queries(scores[kept], relevant[kept], own)
    for position, query in enumerate(kept):
        others = np.delete(np.arange(30), query)
        alone = score_queries(scores[query, others][None], relevant[query, others][None])
        for name in [*SLOW, "n_relevant", "best_relevant", "best_other"]:
            assert getattr(removed, name)[position] == pytest.approx(getattr(alone, name)[0]), name


def test_query_removed_from_a_tie_at_minus_infinity_leaves_the_tie_smaller():
    scores = np.array([[-np.inf, -np.inf, -np.inf, 1.0]])
    relevant = np.array([[True, True, False, False]])
    ranks = rank_relevant(scores, relevant, own=np.array([0]))
    assert first_rank(ranks)[0] == 2.5


def test_own_of_minus_one_removes_nothing():
    scores, relevant = np.array([[2.0, 1.0]]), np.array([[True, False]])
    ranks = rank_relevant(scores, relevant, own=np.array([-1]))
    assert ranks.n_candidates.tolist() == [2]


def test_permuted_candidates_permute_nothing():
    rng = np.random.default_rng(5)
    scores, relevant = random_case(rng, 50, 8)
    order = rng.permutation(50)
    here = score_queries(scores[None], relevant[None])
    there = score_queries(scores[order][None], relevant[order][None])
    for name in SLOW:
        assert getattr(here, name)[0] == pytest.approx(getattr(there, name)[0], abs=1e-12)


def test_worse_relevant_candidate_cannot_raise_average_precision():
    rng = np.random.default_rng(6)
    for _ in range(200):
        scores, relevant = random_case(rng, 12, 6)
        lowered = scores.copy()
        lowered[rng.choice(np.flatnonzero(relevant))] -= rng.integers(0, 4) / 4
        before = average_precision(rank_relevant(scores[None], relevant[None]))[0]
        after = average_precision(rank_relevant(lowered[None], relevant[None]))[0]
        assert after <= before + 1e-12


def test_duplicate_of_a_relevant_candidate_ties_with_it():
    ranks = rank_relevant(np.array([[2.0, 2.0, 1.0]]), np.array([[True, False, False]]))
    assert reciprocal_rank(ranks)[0] == pytest.approx(0.75)
    assert mean_rank(ranks)[0] == 1.5


def test_float32_scores_rank_as_float64_ones():
    rng = np.random.default_rng(7)
    scores = rng.standard_normal((8, 40)).astype(np.float32)
    relevant = rng.random((8, 40)) < 0.3
    relevant[:, 0] = True
    here, there = score_queries(scores, relevant), score_queries(scores.astype(float), relevant)
    assert np.array_equal(here.average_precision, there.average_precision)


# ---- What is refused -------------------------------------------------------------------------


def test_query_without_relevant_candidate_is_refused():
    with pytest.raises(NoRelevantCandidateError, match="no candidate is relevant"):
        rank_relevant(np.array([[1.0, 2.0]]), np.zeros((1, 2), bool))


def test_query_whose_only_relevant_candidate_is_itself_is_refused():
    with pytest.raises(NoRelevantCandidateError):
        rank_relevant(np.array([[1.0, 2.0]]), np.array([[True, False]]), own=np.array([0]))


def test_nan_score_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        rank_relevant(np.array([[1.0, np.nan]]), np.array([[True, False]]))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="must both be"):
        rank_relevant(np.ones((1, 2)), np.ones((2, 1), bool))
