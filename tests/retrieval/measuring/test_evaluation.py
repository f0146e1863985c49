"""A whole evaluation, from labelled performances and scores to a report."""

from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from retrieval.benchmarks.base import Benchmark, Card, Performance
from retrieval.errors import BenchmarkError
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.scorers import MatrixScorer, SegmentScorer, VectorScorer

MODULE = import_module("retrieval.measuring.evaluation")
CARD = Card(
    name="toy", title="Toy", licence="none", citation="none", source="here", layout="nothing"
)


def benchmark_of(*rows):
    """Each row is (name, work) or (name, work, what differs from a plain performance)."""
    performances = []
    for name, work, *changes in rows:
        fields = {"path": Path("/data") / name, **(changes[0] if changes else {})}
        performances.append(Performance(name=name, work=work, **fields))
    return Benchmark(card=CARD, root=Path("/data"), performances=tuple(performances))


@pytest.fixture(autouse=True)
def no_files(monkeypatch):
    monkeypatch.setattr(MODULE, "duplicates", lambda _performances: [])


def matrix(names, scores):
    return MatrixScorer(names=names, scores=np.array(scores, float))


def slow_precision(hits):
    found = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if hits[k]]
    return sum(found) / len(found)


def slow_map(works, scores, is_query, is_candidate):
    """MAP from the definition, averaged over all orders of tied candidates."""
    precisions = []
    for q in range(len(works)):
        pool = [c for c in range(len(works)) if c != q and is_candidate[c]]
        if not is_query[q] or not any(works[c] == works[q] for c in pool):
            continue
        levels = sorted({scores[q][c] for c in pool}, reverse=True)
        tied = [[works[c] == works[q] for c in pool if scores[q][c] == level] for level in levels]
        orders = product(*(permutations(group) for group in tied))
        values = [slow_precision([hit for group in order for hit in group]) for order in orders]
        precisions.append(sum(values) / len(values))
    return sum(precisions) / len(precisions), len(precisions)


def test_map_equals_a_slow_loop_with_noise_singletons_duplicates_and_one_way_sets(monkeypatch):
    monkeypatch.setattr(MODULE, "summarise", partial(MODULE.summarise, n_replicates=2))
    rng = np.random.default_rng(0)
    for _ in range(250):
        n = int(rng.integers(4, 30))
        works = rng.integers(0, max(2, n // 2), n)
        works[:2] = 0
        is_query, is_candidate = rng.random(n) < 0.8, rng.random(n) < 0.8
        is_query[0], is_candidate[1] = True, True
        scores = rng.standard_normal((n, n))
        for original, duplicate in rng.permutation(n)[:4].reshape(2, 2):
            scores[:, duplicate] = scores[:, original]
        names = [f"p{i}" for i in range(n)]
        benchmark = benchmark_of(
            *(
                (name, str(work), {"is_query": q, "is_candidate": c})
                for name, work, q, c in zip(names, works, is_query, is_candidate, strict=True)
            )
        )
        report = evaluate(benchmark, matrix(names, scores), "toy@12345678")
        expected, n_queries = slow_map(works, scores, is_query, is_candidate)
        assert report.metrics["map"].value == pytest.approx(expected)
        assert report.counts.queries == n_queries


def test_query_is_never_its_own_candidate():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("c", "v"))
    scores = [[9, 1, 0], [1, 9, 0], [9, 9, 9]]
    report = evaluate(benchmark, matrix("abc", scores), "toy@12345678")
    assert report.metrics["map"].value == 1
    assert [row.best_relevant for row in report.queries] == ["b", "a"]


def test_works_with_one_performance_are_noise_that_never_asks():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("n", "x"))
    report = evaluate(benchmark, matrix("abn", np.eye(3)), "toy@12345678")
    assert (report.counts.noise, report.counts.candidates, report.counts.queries) == (1, 3, 2)
    assert report.counts.dropped_queries == 0
    assert report.counts.cliques == 1


def test_queries_left_without_a_relevant_candidate_are_dropped_and_counted():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("c", "v"), ("d", "v", {"path": None}))
    report = evaluate(benchmark, matrix("abc", np.eye(3)), "toy@12345678")
    assert (report.counts.queries, report.counts.dropped_queries) == (2, 1)
    assert report.counts.noise == 0


def test_missing_and_unusable_audio_is_named():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("c", "w", {"path": None}), ("d", "w"))
    report = evaluate(benchmark, matrix("ab", np.eye(2)), "toy@12345678")
    assert report.missing == ("c",)
    assert report.unusable == ("d",)
    assert (report.counts.performances, report.counts.scored) == (4, 2)


def test_all_equal_scores_give_the_random_ranking():
    n = 21
    names = [f"p{i}" for i in range(n)]
    benchmark = benchmark_of(*((name, str(min(i // 2, 9))) for i, name in enumerate(names[:20])),
                             ("p20", "z"))  # fmt: skip
    report = evaluate(benchmark, matrix(names, np.zeros((n, n))), "toy@12345678")
    expected = sum(1 / k for k in range(1, n)) / (n - 1)
    assert report.metrics["map"].value == pytest.approx(expected)


def test_worst_wrong_answer_is_named_with_its_file():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("c", "v"), ("d", "v"))
    scores = [[0, 1, 8, 0], [5, 0, 1, 0], [0, 0, 0, 5], [0, 0, 5, 0]]
    report = evaluate(benchmark, matrix("abcd", scores), "toy@12345678")
    row = report.queries[0]
    assert (row.best_other, row.best_other_score, row.first_rank) == ("c", 8, 2)
    assert report.files["c"] == "c"


def test_length_ratio_compares_the_best_relevant_candidate():
    benchmark = benchmark_of(("a", "w"), ("b", "w"))
    scorer = MatrixScorer(names="ab", scores=np.eye(2), duration_s=np.array([100.0, 150.0]))
    rows = evaluate(benchmark, scorer, "toy@12345678").queries
    assert [row.length_ratio for row in rows] == [pytest.approx(1.5), pytest.approx(1 / 1.5)]


def test_blocks_join_seamlessly():
    rng = np.random.default_rng(1)
    names = [f"p{i}" for i in range(30)]
    benchmark = benchmark_of(*((name, str(i % 7)) for i, name in enumerate(names)))
    scorer = VectorScorer(names=names, embeddings=rng.standard_normal((30, 8)).astype(np.float32))
    whole = evaluate(benchmark, scorer, "toy@12345678")
    pieces = evaluate(benchmark, replace(scorer, block_length=4), "toy@12345678")
    assert pieces.metrics == whole.metrics
    for one, other in zip(pieces.queries, whole.queries, strict=True):
        # A product of other sizes may be summed in another order.
        assert one.best_relevant_score == pytest.approx(other.best_relevant_score, rel=1e-6)
        assert one.best_other_score == pytest.approx(other.best_other_score, rel=1e-6)
        same = {name: getattr(other, name) for name in ("best_relevant_score", "best_other_score")}
        assert replace(one, **same) == other


def test_scorer_may_list_performances_in_any_order():
    benchmark = benchmark_of(("a", "w"), ("b", "w"), ("c", "v"), ("d", "v"))
    embeddings = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1]], np.float32)
    report = evaluate(benchmark, VectorScorer(names="acbd", embeddings=embeddings), "toy@12345678")
    assert report.metrics["map"].value == 1


def test_unknown_name_is_refused():
    benchmark = benchmark_of(("a", "w"), ("b", "w"))
    with pytest.raises(BenchmarkError, match=r"1 of the scored names are not in toy, 'x' first"):
        evaluate(benchmark, matrix("abx", np.eye(3)), "toy@12345678")


def test_nothing_to_ask_prints_no_figure():
    benchmark = benchmark_of(("a", "w"), ("b", "w"))
    with pytest.raises(BenchmarkError, match="so there is no figure"):
        evaluate(benchmark, matrix("a", np.eye(1)), "toy@12345678")


def test_nothing_scored_prints_no_figure():
    benchmark = benchmark_of(("a", "w"), ("b", "w"))
    with pytest.raises(BenchmarkError, match="none of the 0 performances"):
        evaluate(benchmark, matrix("", np.zeros((0, 0))), "toy@12345678")


def test_a_copy_is_told_from_a_cover_and_from_a_fault_of_the_labels(rng):
    def unit(vectors):
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    chords = rng.integers(0, 256, (3, 12, 100), np.uint8).repeat(3, axis=2)
    tonal = [chords[0], chords[0], chords[1], chords[2], chords[1]]
    vectors = unit(rng.normal(size=(3, 2, 16)))
    scorer = SegmentScorer(
        names=["a", "a copy", "b", "another b", "b by mistake"],
        embeddings=[vectors[0], vectors[0], vectors[1], vectors[1], vectors[1]],
        tonal=tonal,
    )
    benchmark = benchmark_of(
        ("a", "A"), ("a copy", "A"), ("b", "B"), ("another b", "B"), ("b by mistake", "C")
    )
    report = evaluate(benchmark, scorer, "fake", None)
    told = {row.query: (row.relevant_is_copy, row.other_is_copy) for row in report.queries}
    assert told["a"] == (True, False)
    assert told["b"] == (False, True)
    assert told["another b"] == (False, False)
    assert not scorer.is_copy(0, 0)
