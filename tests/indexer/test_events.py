from pathlib import Path

import pytest

from indexer import Added, Missing, Removed, Skipped, Tally, Unchanged, Updated
from indexer.events import reason_of

EVENTS = (
    Added(Path("/a"), 1, 60.0, is_silent=False),
    Added(Path("/b"), 2, 30.0, is_silent=True),
    Skipped(Path("/c"), "no sound"),
    Missing(Path("/d")),
    Unchanged(Path("/e")),
)


def tally_of(events) -> Tally:
    tally = Tally()
    for event in events:
        tally.count(event)
    return tally


def test_a_tally_counts_every_kind():
    assert tally_of(EVENTS).row() == {
        "added": 2,
        "unchanged": 1,
        "updated": 0,
        "skipped": 1,
        "removed": 0,
        "missing": 1,
        "damaged": 0,
        "audio_s": 90.0,
    }
    others = tally_of([Updated(Path("/a"), "renamed"), Removed(Path("/b"))])
    assert (others.counts["updated"], others.counts["removed"]) == (1, 1)


def test_a_tally_keeps_the_reasons():
    assert tally_of(EVENTS).skipped == [Skipped(Path("/c"), "no sound")]


def test_speed_is_audio_over_time(monkeypatch):
    monkeypatch.setattr("indexer.events.time.monotonic", lambda: 104.0)
    tally = Tally(started_s=100.0, duration_s=60.0)
    assert tally.speed == pytest.approx(15)


class WithReasonError(Exception):
    reason = "too short"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (WithReasonError("/a/b.mp3: too short"), "too short"),
        (OSError(5, "Input/output error", "/a"), "input/output error"),
        (ValueError("odd"), "odd"),
    ],
)
def test_a_reason_does_not_repeat_the_file(error, reason):
    assert reason_of(error) == reason
