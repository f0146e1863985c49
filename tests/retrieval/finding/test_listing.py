"""A setlist as rows and as a cue sheet."""

import json
from pathlib import Path

import pytest

from retrieval import Candidate, Setlist, cue_sheet, setlist_json, setlist_rows, setlist_table
from retrieval.finding.setlist import Entry


def named(start_s, end_s, title, artist):
    candidate = Candidate(
        rank=1,
        score=0.8,
        track_id=7,
        title=title,
        artist=artist,
        album=None,
        duration_s=200.0,
        path=Path("/music/a song.mp3"),
        transposition=-2,
        embedding_score=0.5,
        alignment_score=9.0,
        probability=0.97,
    )
    return Entry(start_s=start_s, end_s=end_s, candidate=candidate)


@pytest.fixture
def setlist():
    return Setlist(
        duration_s=4000.0,
        entries=(
            named(4.0, 200.0, 'The "Best"\nSong', "Them"),
            Entry(start_s=200.0, end_s=3672.5, candidate=None),
            named(3672.5, 4000.0, None, None),
        ),
    )


def test_rows_hold_plain_values(setlist):
    rows = setlist_rows(setlist)
    assert rows[0]["probability"] == 0.97
    assert rows[1] == {
        **dict.fromkeys(rows[0]),
        "start_s": 200.0,
        "end_s": 3672.5,
    }
    assert json.loads(json.dumps(setlist_json(setlist)))["entries"][2]["spans"] == []
    assert setlist_json(setlist)["duration_s"] == 4000.0


def test_a_table_tells_times_as_a_clock(setlist):
    first, second, third = setlist_table(setlist)
    assert (first["start"], first["end"], first["semitones"]) == ("0:04", "3:20", "-2")
    assert (second["title"], second["path"]) == ("unknown", None)
    assert (third["start"], third["title"]) == ("1:01:12", "a song")


def test_a_cue_sheet_is_one_that_players_open(setlist):
    assert cue_sheet(setlist, "set.mp3").splitlines() == [
        'FILE "set.mp3" MP3',
        "  TRACK 01 AUDIO",
        "    TITLE \"The 'Best' Song\"",
        '    PERFORMER "Them"',
        "    INDEX 01 00:00:00",
        "  TRACK 02 AUDIO",
        '    TITLE "unknown"',
        "    INDEX 01 03:20:00",
        "  TRACK 03 AUDIO",
        '    TITLE "a song"',
        "    INDEX 01 61:12:38",
    ]
    assert cue_sheet(setlist, "set.flac").startswith('FILE "set.flac" WAVE\n')
