"""What a long job says of each file, as it goes along."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Added:
    """A recording was stored."""

    path: Path
    track_id: int
    duration_s: float
    is_silent: bool


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file is as it was."""

    path: Path


@dataclass(frozen=True, slots=True)
class Updated:
    """A recording that the catalog holds has a new name or new tags; it was not embedded again."""

    path: Path
    change: str
    """`renamed` or `retagged`."""


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
