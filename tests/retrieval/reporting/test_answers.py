"""One answer in every form, as commands print it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import Candidate, Span
from retrieval.ranking.verdict import judge
from retrieval.reporting.answers import verdict_text

SPAN = Span(query_start_s=1, query_end_s=31, start_s=5, end_s=35, transposition=2, tempo=1.0)
CANDIDATE = Candidate(
    rank=1, score=0.5, track_id=7, title="One", artist=None, album=None, duration_s=200.0,
    path=Path("/m/one.mp3"), transposition=2, embedding_score=0.4, alignment_score=5.0,
    spans=(SPAN,), probability=0.9,
)  # fmt: skip


def test_a_table_is_followed_by_what_agrees_where():
    head, row, agrees = verdict_text(judge([CANDIDATE])).splitlines()
    assert head.split()[:2] == ["rank", "score"]
    assert row.endswith("/m/one.mp3")
    assert agrees.startswith("1: query 0:01-0:31 = track 0:05-0:35")


def test_json_has_every_span_and_csv_the_best_alone():
    read = json.loads(verdict_text(judge([CANDIDATE]), "json"))
    assert read["verdict"] == "cover"
    (read,) = read["candidates"]
    assert read["spans"][0]["end_s"] == 35
    head, row = verdict_text(judge([CANDIDATE]), "csv").splitlines()
    assert "spans" not in head
    assert row.startswith("1,0.5,")


@pytest.mark.parametrize(("form", "text"), [("csv", ""), ("m3u", "#EXTM3U\n")])
def test_no_answer_is_an_answer_too(form, text):
    assert verdict_text(judge([]), form) == text


def test_no_cover_is_said_plainly_with_what_comes_nearest():
    verdict = judge([replace(CANDIDATE, probability=0.03)])
    assert json.loads(verdict_text(verdict, "json")) == {"verdict": "no cover", "candidates": []}
    assert verdict_text(verdict) == (
        "no cover here: the likeliest track, one.mp3, has a probability of 0.030\n"
    )
    assert verdict_text(judge([])) == "no cover here\n"
