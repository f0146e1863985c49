"""What a long job says of each file, as it goes along."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args


@dataclass(frozen=True, slots=True)
class Added:
    """A recording was stored."""

    path: Path
    track_id: int
    duration_s: float
    is_silent: bool
    damage: str = ""
    """What is wrong with its sound; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file is as it was."""

    path: Path
    damage: str = ""
    """What was wrong with its sound when it was decoded."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A recording that the catalog holds has a new name or new tags; it was not embedded again."""

    path: Path
    change: str
    """`renamed` or `retagged`."""
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder could not be used."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A track whose file is gone was deleted from the catalog."""

    path: Path


@dataclass(frozen=True, slots=True)
class Missing:
    """A track's file is gone; the track stays, marked."""

    path: Path


Event = Added | Unchanged | Updated | Skipped | Removed | Missing


def reason_of(error: BaseException) -> str:
    """Say why a file cannot be used, without its name.

    Parameters
    ----------
    error : BaseException
        Of this room or another, or the system's.

    Returns
    -------
    str
        The error's own `reason` where it carries one.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(getattr(error, "reason", error))


@dataclass(slots=True)
class Tally:
    """Counts the events of a long job.

    Parameters
    ----------
    counts : Counter of str
        Events by the name of their kind, in lower case.
    skipped : list of Skipped
        What could not be used.
    duration_s : float
        Audio embedded so far.
    n_damaged : int
        Tracks whose sound is damaged, whether they are new or not.
    started_s : float
        When the job began, on a monotonic clock.
    """

    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
    duration_s: float = 0.0
    n_damaged: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def count(self, event: Event) -> None:
        """Take note of an event."""
        self.counts[type(event).__name__.lower()] += 1
        self.n_damaged += bool(getattr(event, "damage", ""))
        if isinstance(event, Skipped):
            self.skipped.append(event)
        if isinstance(event, Added):
            self.duration_s += event.duration_s

    @property
    def speed(self) -> float:
        """Seconds of audio embedded per second."""
        return self.duration_s / max(time.monotonic() - self.started_s, 1e-9)

    def row(self) -> dict[str, int | float]:
        """Write the counts as one row, with the kinds that did not happen as zeros."""
        counts = {kind.__name__.lower(): 0 for kind in get_args(Event)} | self.counts
        return {**counts, "damaged": self.n_damaged, "audio_s": round(self.duration_s, 1)}
