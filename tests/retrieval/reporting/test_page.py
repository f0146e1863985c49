"""The web page: everything is in it, nothing is fetched, and names cannot break it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from retrieval.benchmarks import published
from retrieval.measuring.results import Counts, QueryRow, Report
from retrieval.measuring.summary import METRICS, Figure
from retrieval.ranking.ranking import Ranking
from retrieval.reporting import svg
from retrieval.reporting.page import page, write_report
from retrieval.reporting.provenance import Trace
from retrieval.reporting.report import read_report


def query(i, **changes):
    row = QueryRow(
        query=f"w{i}/a <b>&.mp3",
        work=f"w{i}",
        n_relevant=1 + i % 3,
        average_precision=1 / (1 + i),
        first_rank=1.0 + i,
        hit1=float(i == 0),
        best_relevant=f"w{i}/b.mp3",
        best_relevant_score=0.9 - 0.05 * i,
        best_other="other/o.mp3",
        best_other_score=0.6,
        length_ratio=0.4 + 0.3 * i,
        transposition=(i % 12) - 5,
    )
    return replace(row, **changes)


TRACE = Trace(
    command="pemr benchmark run covers80 --root DATA/covers80",
    commit="0123abc",
    hardware="2 CPU cores",
    date="2026-11-23",
    versions={"python": "3.11"},
)


@pytest.fixture
def report():
    return Report(
        benchmark="covers80",
        title="Covers80",
        data="mine",
        subset=None,
        convention="160",
        embedder="cover@1a2b3c4d",
        ranking=Ranking(n_aligned=100, hub_weight=0.4),
        counts=Counts(
            performances=160,
            works=80,
            scored=159,
            queries=9,
            cliques=9,
            candidates=159,
            noise=0,
            dropped_queries=1,
            extra_files=4,
        ),
        metrics={name: Figure(value=0.5, low=0.4, high=0.6) for name in METRICS},
        queries=tuple(query(i) for i in range(9)),
        missing=("m",),
        unusable=(),
        duplicates=(("a", "b"),),
        files={"w8/a <b>&.mp3": "w8/a <b>&.mp3", "other/o.mp3": "other/o.mp3"},
    )


class Reader(HTMLParser):
    """Counts tags, checks their nesting, and keeps text and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.text, self.tags = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in {"meta", "line", "rect", "path"}:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_startendtag(self, tag, _attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in {"rect"}:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def test_page_is_well_formed_and_needs_nothing_else(report):
    read = Reader(page(report, TRACE, published.COVERS80))
    assert read.open == []
    assert read.links == []
    assert "script" not in read.tags
    assert read.tags.count("svg") == 5


def test_page_shows_figures_with_intervals_counts_and_command(report):
    text = Reader(page(report, TRACE)).text
    for part in (
        "0.400 to 0.600",
        "missing audio",
        "pemr benchmark run covers80",
        "1a2b3c4d",
        "a, b",
    ):
        assert part in text


def test_failures_link_to_their_audio_and_names_are_escaped(report):
    read = Reader(page(report, TRACE, audio_root="../data set"))
    assert read.links[0] == "../data%20set/w8/a%20%3Cb%3E%26.mp3"
    assert "w8/a <b>&.mp3" in read.text
    assert "b" not in [tag for tag in read.tags if tag == "b"][5:]


def test_perfect_queries_are_no_failures(report):
    perfect = replace(report, queries=(query(0), query(0, query="other")))
    assert "None failed." in Reader(page(perfect, TRACE)).text


def test_published_figures_say_that_they_were_not_run_here(report):
    text = Reader(page(report, TRACE, published.COVERS80)).text
    assert text.count("not run here") == len(published.COVERS80) + 1
    assert "164 files" in text


def test_unknown_lengths_and_transpositions_are_said_to_be_unknown(report):
    rows = tuple(replace(row, length_ratio=None, transposition=None) for row in report.queries)
    text = Reader(page(replace(report, queries=rows), TRACE)).text
    assert text.count("Not known in this run.") == 2


def test_written_report_names_its_root_only_in_links(report, tmp_path):
    root = tmp_path / "far/away"
    paths = write_report(report, TRACE, tmp_path / "out", root)
    assert [path.name for path in paths] == ["report.json", "report.md", "report.html"]
    assert read_report(paths[0]) == report
    assert "../far/away/other/o.mp3" in paths[2].read_text()
    assert "away" not in paths[0].read_text() + paths[1].read_text()


def numbers(pattern, chart):
    return [float(value) for value in re.findall(pattern, chart)]


def test_bars_are_as_high_as_their_values():
    chart = svg.bars([("a", 1.0, 3), ("b", 0.5, 4), ("c", None, 0)], "group", "MAP")
    heights = numbers(r'<rect class="first"[^>]* height="([\d.]+)"', chart)
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert len(heights) == 2


def test_curve_ends_where_the_last_rank_stands():
    chart = svg.curve([1, 10, 100], [0.2, 0.6, 1.0], "rank", "share")
    steps = numbers(r"V([\d.]+)", chart)
    assert steps == sorted(steps, reverse=True)
    assert "100" in chart


def test_histogram_of_equal_values_and_of_none_is_drawn():
    same = np.full(5, 0.25)
    assert "<rect" in svg.histograms(same, same, ("a", "b"), "score")
    assert svg.histograms(np.array([]), np.array([]), ("a", "b"), "score").startswith("<svg")
