"""Reports written, read again and laid out."""

import json
from dataclasses import fields, replace

import pytest

from retrieval.errors import BenchmarkError
from retrieval.measuring.results import Counts, QueryRow, Report, worst
from retrieval.measuring.summary import METRICS, Figure
from retrieval.ranking.ranking import Ranking
from retrieval.reporting.provenance import Trace
from retrieval.reporting.report import (
    RULES,
    count_rows,
    final_line,
    heading,
    markdown,
    metric_rows,
    read_report,
    report_json,
    write_json,
)

TRACE = Trace(
    command="pemr benchmark run toy --root DATA/toy",
    commit="0123abc",
    hardware="2 CPU cores",
    date="2026-11-23",
    versions={"python": "3.11", "numpy": "2"},
)


@pytest.fixture
def report():
    def row(name, precision, first_rank):
        return QueryRow(
            query=name,
            work="w",
            n_relevant=1,
            average_precision=precision,
            first_rank=first_rank,
            hit1=float(first_rank == 1),
            best_relevant="b/♪ | x.mp3",
            best_relevant_score=0.5,
            best_other=None,
            best_other_score=None,
            length_ratio=1.25,
            transposition=-3,
        )

    return Report(
        benchmark="toy",
        title="Toy",
        data="mine",
        subset=None,
        convention="160",
        embedder="cover@1a2b3c4d",
        ranking=Ranking(n_aligned=100, hub_weight=0.4),
        counts=Counts(
            performances=9,
            works=4,
            scored=8,
            queries=3,
            cliques=2,
            candidates=8,
            noise=1,
            dropped_queries=2,
            extra_files=5,
        ),
        metrics={name: Figure(value=0.12345, low=0.1, high=0.2) for name in METRICS},
        queries=(row("a", 1.0, 1.0), row("b", 0.1, 10.0), row("c", 0.1, 12.5)),
        missing=("m",),
        unusable=("u", "v"),
        duplicates=(("a", "b"),),
        files={"a": "a.mp3"},
    )


def test_report_reads_back_as_it_was_written(report, tmp_path):
    write_json(report, TRACE, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


def test_json_states_every_field_the_rules_and_the_weights(report):
    written = json.loads(json.dumps(report_json(report, TRACE)))
    assert {field.name for field in fields(Report)} <= set(written) | set(written["run"])
    assert {field.name for field in fields(Trace)} <= set(written["run"])
    assert written["rules"] == list(RULES)
    assert written["run"]["weights_hash"] == "1a2b3c4d"


def test_embedder_without_weights_has_no_hash(report):
    assert replace(report, embedder="ftm2d").weights_hash is None


def test_final_line_is_for_machines_and_people(report):
    assert final_line(report) == "MAP 0.123  MR1 0.12  P@10 0.123  hit@1 0.123"


def test_every_metric_has_a_row(report):
    assert len(metric_rows(report)) == len(METRICS)


def test_every_count_has_a_row(report):
    numbers = {row["count"]: row["number"] for row in count_rows(report)}
    assert numbers["missing audio"] == "1"
    assert numbers["unusable audio (silent or unreadable)"] == "2"
    assert {numbers[name] for name in numbers} >= {"9", "4", "8", "3", "2", "1", "5"}


def test_worst_queries_come_first(report):
    assert [row.query for row in worst(report.queries, 2)] == ["c", "b"]


def test_heading_names_the_choice_and_the_alignment(report):
    expected = "toy 160 (mine): cover@1a2b3c4d, hubs 0.4, alignment of the best 100"
    assert heading(report) == expected


def test_heading_of_alignment_alone_names_no_embedder(report):
    alone = replace(report, ranking=report.ranking.only("alignment"))
    assert heading(alone) == "toy 160 (mine): alignment of every candidate"


def test_markdown_states_how_to_print_it_again(report):
    text = markdown(report, TRACE)
    assert "pemr benchmark run toy --root DATA/toy" in text
    for part in ("0123abc", "1a2b3c4d", "2 CPU cores", "2026-11-23", "numpy 2", "missing audio"):
        assert part in text


def test_markdown_lists_the_failures_and_no_perfect_query(report):
    text = markdown(report, TRACE)
    assert "| c | 0.100 | 12.5 | b/♪ ¦ x.mp3 | - |" in text
    assert "| a | 1.000" not in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}', "\x00"])
def test_file_that_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BenchmarkError, match="not a report of this program"):
        read_report(tmp_path / "report.json")


def test_absent_report_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="not a report"):
        read_report(tmp_path / "absent.json")
