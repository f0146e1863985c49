"""Candidates as rows and as a playlist."""

import json
from pathlib import Path

import pytest

from retrieval import Candidate, candidate_rows, m3u

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


def test_rows_hold_every_field_in_plain_values():
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
    }
    assert json.loads(json.dumps(rows)) == rows


def test_a_playlist_names_each_file_on_a_line_of_its_own():
    assert m3u([FIRST, SECOND]).splitlines() == [
        "#EXTM3U",
        "#EXTINF:62,Somebody - A Tune",
        "/music/a, tune \udcff.mp3",
        "#EXTINF:10,b",
        "/music/b.ogg",
    ]


@pytest.mark.parametrize("make", [candidate_rows, m3u])
def test_no_candidate_is_no_row(make):
    assert make([]) in ([], "#EXTM3U\n")
