"""Two reports of one benchmark."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.benchmarks.base import Benchmark, Card, Performance
from retrieval.errors import BenchmarkError
from retrieval.measuring.comparison import changed_rows, compare, difference_rows
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.scorers import MatrixScorer

N = 60
WORKS = np.arange(N) % 20
CARD = Card(name="toy", title="Toy", licence="", citation="", source="", layout="")


def report(noise, seed=0):
    rng = np.random.default_rng(seed)
    scores = (WORKS[:, None] == WORKS) + noise * rng.standard_normal((N, N))
    performances = tuple(
        Performance(name=f"p{i}", work=str(work), path=None) for i, work in enumerate(WORKS)
    )
    benchmark = Benchmark(card=CARD, root=Path(), performances=performances)
    scorer = MatrixScorer(names=[p.name for p in performances], scores=scores)
    return evaluate(benchmark, scorer, "toy")


def test_difference_is_that_of_the_figures():
    first, second = report(1.0), report(0.5)
    comparison = compare(first, second)
    for label, name in (("MAP", "map"), ("MR1", "mr1"), ("hit@1", "hit1")):
        expected = second.metrics[name].value - first.metrics[name].value
        assert comparison.differences[label].value == pytest.approx(expected)
    assert comparison.n_queries == N
    assert comparison.n_unpaired == 0


def test_report_does_not_differ_from_itself():
    comparison = compare(report(1.0), report(1.0))
    assert comparison.changed == []
    assert all(row["differs"] == "not surely" for row in difference_rows(comparison))


def test_plain_gain_excludes_zero_and_turns_its_sign_when_swapped():
    first, second = report(1.5), report(0.3)
    gain, loss = (
        compare(first, second).differences["MAP"],
        compare(second, first).differences["MAP"],
    )
    assert gain.low > 0
    assert (gain.low, gain.high) == pytest.approx((-loss.high, -loss.low))


def test_pairing_narrows_the_interval():
    first, second = report(1.0), report(0.95)
    paired = compare(first, second).differences["MAP"]
    single = first.metrics["map"]
    assert paired.high - paired.low < 0.6 * (single.high - single.low)


def test_largest_changes_come_first():
    rows = changed_rows(compare(report(1.5), report(0.3)), n_rows=5)
    gains = [abs(float(row["AP second"]) - float(row["AP first"])) for row in rows]
    assert gains == sorted(gains, reverse=True)
    assert len(rows) == 5


def test_queries_of_only_one_report_are_counted_and_left_out():
    first = report(1.0)
    second = replace(first, queries=first.queries[3:])
    comparison = compare(first, second)
    assert (comparison.n_queries, comparison.n_unpaired) == (N - 3, 3)


@pytest.mark.parametrize("what", ["benchmark", "subset", "convention"])
def test_reports_of_different_things_are_refused(what):
    first = report(1.0)
    with pytest.raises(BenchmarkError, match=f"the reports differ in {what}"):
        compare(first, replace(first, **{what: "other"}))


def test_reports_without_a_common_query_are_refused():
    first = report(1.0)
    renamed = tuple(replace(row, query="x" + row.query) for row in first.queries)
    with pytest.raises(BenchmarkError, match="no query in common"):
        compare(first, replace(first, queries=renamed))
