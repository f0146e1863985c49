"""Candidates as rows and as a playlist."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import (
    Candidate,
    Span,
    candidate_columns,
    candidate_rows,
    candidate_table,
    m3u,
    span_lines,
)

FIRST = Candidate(
    rank=1,
    score=0.9,
    track_id=7,
    title="A\nTune",
    artist="Somebody",
    album=None,
    duration_s=61.6,
    path=Path("/music/a, tune \udcff.mp3"),
    transposition=-2,
    embedding_score=0.4,
    alignment_score=5.0,
    spans=(
        Span(
            query_start_s=1.0,
            query_end_s=30.0,
            start_s=12.0,
            end_s=40.0,
            transposition=-2,
            tempo=1.04,
        ),
        Span(
            query_start_s=40.0,
            query_end_s=50.0,
            start_s=50.0,
            end_s=60.0,
            transposition=1,
            tempo=0.9,
        ),
    ),
    probability=0.93,
)
SECOND = Candidate(
    rank=2,
    score=0.3,
    track_id=3,
    title=None,
    artist=None,
    album="Songs",
    duration_s=10.0,
    path=Path("/music/b.ogg"),
    transposition=None,
    embedding_score=0.3,
    alignment_score=None,
)


def test_rows_hold_plain_values_and_every_span():
    rows = candidate_rows([FIRST, SECOND])
    assert rows[0] == {
        "rank": 1,
        "score": 0.9,
        "track_id": 7,
        "title": "A\nTune",
        "artist": "Somebody",
        "album": None,
        "duration_s": 61.6,
        "path": "/music/a, tune \udcff.mp3",
        "transposition": -2,
        "embedding_score": 0.4,
        "alignment_score": 5.0,
        "probability": 0.93,
        "n_copies": 1,
        "is_same_recording": None,
        "is_missing": False,
        "query_start_s": 1.0,
        "query_end_s": 30.0,
        "start_s": 12.0,
        "end_s": 40.0,
        "tempo": 1.04,
        "spans": [vars(span) for span in FIRST.spans],
    }
    assert rows[1].keys() == rows[0].keys()
    assert rows[1]["spans"] == []
    columns = candidate_columns([FIRST, SECOND])
    assert columns == [{k: v for k, v in row.items() if k != "spans"} for row in rows]
    assert rows[1]["start_s"] is None
    assert json.loads(json.dumps(rows)) == rows


def test_the_table_marks_whose_file_is_missing():
    first, second = candidate_table([FIRST, replace(SECOND, is_missing=True)])
    assert (first["state"], second["state"]) == ("", "missing")


def test_the_table_tells_times_and_keys_as_people_do():
    first, second = candidate_table([FIRST, SECOND])
    assert first == {
        "rank": 1,
        "score": 0.9,
        "probability": 0.93,
        "recording": "other",
        "title": "A\nTune",
        "artist": "Somebody",
        "duration": "1:02",
        "semitones": "-2",
        "path": "/music/a, tune \udcff.mp3",
    }
    assert (second["semitones"], second["probability"]) == (None, None)


@pytest.mark.parametrize(("transposition", "shown"), [(0, "0"), (6, "+6"), (-5, "-5")])
def test_a_transposition_carries_its_sign(transposition, shown):
    row = candidate_table([replace(FIRST, transposition=transposition)])[0]
    assert row["semitones"] == shown


def test_copies_are_counted_where_there_are_any():
    first, second = candidate_table([replace(FIRST, n_copies=3), SECOND])
    assert (first["copies"], second["copies"]) == (3, 1)
    assert candidate_rows([replace(FIRST, n_copies=3)])[0]["n_copies"] == 3


def test_spans_are_said_in_words():
    assert span_lines([FIRST, SECOND]) == [
        "1: query 0:01-0:30 = track 0:12-0:40, -2 semitones, 1.04x tempo",
        "1: query 0:40-0:50 = track 0:50-1:00, +1 semitone, 0.90x tempo",
    ]


def test_a_playlist_names_each_file_on_a_line_of_its_own():
    assert m3u([FIRST, SECOND]).splitlines() == [
        "#EXTM3U",
        "#EXTINF:62,Somebody - A Tune",
        "/music/a, tune \udcff.mp3",
        "#EXTINF:10,b",
        "/music/b.ogg",
    ]


@pytest.mark.parametrize("make", [candidate_rows, candidate_table, m3u])
def test_no_candidate_is_no_row(make):
    assert make([]) in ([], "#EXTM3U\n")


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\u2028"], ids=ascii)
def test_a_name_cannot_break_the_line_of_a_playlist(letter):
    odd = replace(FIRST, path=Path(f"/music/a{letter}b.mp3"), title=f"a{letter}b")
    text = m3u([odd])
    assert len(text.splitlines()) == 3
    assert text.endswith(".mp3\n")
    assert "file:///music/a%" in text
