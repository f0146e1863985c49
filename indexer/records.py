"""What a catalog holds and says, as plain values; nothing here knows how they are stored.

Letters: D embedding, S segments, T frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.scan import AudioFile

Ids: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]
Parts: TypeAlias = Mapping[str, Any]
"""A recording as it is kept: `spectrogram`, `chroma` and `harmony` by name, and `duration_s`."""


FRAME_RATE: Final = 5
"""Frames a second of a recording."""

N_ROWS: Final = {"spectrogram": 84, "chroma": 12, "harmony": 36}
"""The parts of a recording, and how many values each has in a frame."""


class Pitches(NamedTuple):
    """What is aligned of a recording: uint8, 5 frames a second."""

    chroma: NDArray[np.uint8]
    """Shape (12, T)."""
    harmony: NDArray[np.uint8]
    """Shape (36, T); no frames where nobody has heard it."""


NO_PITCHES: Final = Pitches(np.zeros((12, 0), np.uint8), np.zeros((36, 0), np.uint8))
"""Of a track that is not kept."""


class Recording(Protocol):
    """What is kept of the sound of a track: bytes, 5 frames a second.

    A part that nobody has computed has no frames.
    """

    @property
    def spectrogram(self) -> NDArray[np.uint8]:
        """Semitones, shape (84, T)."""

    @property
    def chroma(self) -> NDArray[np.uint8]:
        """Pitch classes, shape (12, T)."""

    @property
    def harmony(self) -> NDArray[np.uint8]:
        """Pitch classes, basses and roots of the chords, shape (36, T)."""

    @property
    def duration_s(self) -> float:
        """How long it is in seconds."""

    @property
    def damage(self) -> str:
        """What is wrong with the sound, as a sentence; empty where nothing is."""

    @property
    def promised_s(self) -> float | None:
        """How long its header says that it is, where the format says it."""


@dataclass(frozen=True, slots=True)
class Track:
    """One audio file of the catalog."""

    id: int
    path: Path
    title: str
    artist: str | None
    album: str | None
    duration_s: float
    is_silent: bool
    is_missing: bool
    n_segments: int
    audio_hash: str
    damage: str = ""
    promised_s: float | None = None
    album_artist: str | None = None
    year: int | None = None
    track_number: int | None = None
    isrc: str | None = None
    mb_recording: str | None = None
    mb_release: str | None = None
    mb_artist: str | None = None
    mb_work: str | None = None
    raw_tags: bytes | None = None
    """Tags that are not in UTF-8 as they stand in the file: `key=bytes`, with a NUL between."""
    added_s: float | None = field(default=None, compare=False)
    """When it came into the catalog, seconds since 1970; unknown of the oldest."""
    modified_s: float | None = field(default=None, compare=False)
    """When its file was changed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog remembers of a file, to tell whether it has changed."""

    track_id: int
    file: AudioFile
    is_missing: bool
    is_embedded: bool
    """Whether it has been through this catalog's embedder."""
    is_recorded: bool
    """Whether the catalog keeps its spectrogram, so that it need not be decoded again."""
    damage: str = ""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that could not be indexed, and why."""

    file: AudioFile
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecording:
    """A `Recording` as a catalog holds it."""

    duration_s: float
    spectrogram: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    harmony: NDArray[np.uint8]
    damage: str = ""
    promised_s: float | None = None

    @classmethod
    def without_frames(cls, duration_s: float) -> "KeptRecording":
        """Make one of which nothing but the length is known."""
        parts: dict[str, Any] = {
            name: np.zeros((n_rows, 0), np.uint8) for name, n_rows in N_ROWS.items()
        }
        return cls(duration_s=duration_s, **parts)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A recording after the embedder.

    Parameters
    ----------
    vectors : float32 array, shape (S, D)
        Unit embeddings of the segments in order of time; S is 0 for a silent recording.
    spans_s : float64 array, shape (S, 2)
        Start and end of each segment in seconds.
    recording : Recording
        What was embedded.
    """

    vectors: Vectors
    spans_s: NDArray[np.float64]
    recording: Recording


@dataclass(frozen=True, slots=True)
class CatalogStats:
    """A catalog in figures."""

    embedder: str
    dim: int
    generation: int
    n_tracks: int
    n_segments: int
    n_silent: int
    n_missing: int
    n_skipped: int
    n_labelled: int
    duration_s: float
    n_unrecorded: int
    """Tracks embedded before catalogs kept recordings."""
    recordings_bytes: int
    size_bytes: int
    roots: tuple[Path, ...]
    n_damaged: int = 0
    vectors_at: str = "files"
    """Where they are searched: `files`, or the address of an engine."""
