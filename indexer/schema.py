"""The tables of `catalog.db`.

SQLite has no checksums of its pages, so every row that decides answers or is shown carries one of
its own: `indexer.signed` and `indexer.sounds` write and check them.

Vectors are kept as float32, as they are compared: half precision would save half of the file and
move scores by 1e-3, which is more than separates neighbours in a ranking.
"""

import re

from sqlalchemy import (
    BigInteger,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every schema that this program can read or bring up to date, oldest first."""

_REFUSED = re.compile("[\x00\x1b\ud800-\udfff]")
_ESCAPED = re.compile("\x1b([0-9a-f]{4})")


class Words(TypeDecorator[str]):
    """Any text, without loss: what a database refuses in text stands there as ESC and four digits.

    PostgreSQL takes no NUL, and neither it nor SQLite takes the surrogate escapes in which Python
    holds bytes that are no UTF-8.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (the same for all)
        """Write a text as it is stored."""
        if value is None:
            return None
        return _REFUSED.sub(lambda found: f"\x1b{ord(found[0]):04x}", value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (the same for all)
        """Read a text as it was before."""
        return None if value is None else unescaped(value)


def unescaped(stored: str) -> str:
    """Read a text of `Words` that was read as plain text."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), stored)


class Base(DeclarativeBase):
    """Holds the tables' metadata."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own way to say it)
        float: Double,
        str: Words,
        int: BigInteger().with_variant(Integer(), "sqlite"),  # which counts ids of this type alone
    }


class CatalogRow(Base):
    """The one row that says what this catalog is made with."""

    __tablename__ = "catalog"

    id: Mapped[int] = mapped_column(primary_key=True)
    embedder: Mapped[str]
    dim: Mapped[int]
    generation: Mapped[int]
    """Counts every change to the vectors."""
    merged: Mapped[int] = mapped_column(BigInteger, default=-1)
    """The generation that the vector file or the engine holds; -1 where there is none."""
    token: Mapped[int] = mapped_column(BigInteger, default=0)
    """A number drawn for that file, so that no other is taken for it; on a server for this
    generation."""
    n_tracks: Mapped[int] = mapped_column(BigInteger, default=0)
    """How many tracks there are: a row that is lost is missed."""
    n_sounding: Mapped[int] = mapped_column(BigInteger, default=0)
    """How many of them have vectors."""
    vectors: Mapped[str] = mapped_column(default="")
    """The address of an engine that keeps the vectors; empty where files do."""
    n_roots: Mapped[int] = mapped_column(BigInteger, default=0)
    """How many folders, labels and skipped files there are."""
    n_labels: Mapped[int] = mapped_column(BigInteger, default=0)
    n_skips: Mapped[int] = mapped_column(BigInteger, default=0)
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)


class RootRow(Base):
    """A folder that the user asked to index."""

    __tablename__ = "root"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[bytes] = mapped_column(unique=True)
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)


class TrackRow(Base):
    """An audio file."""

    __tablename__ = "track"
    __table_args__ = (
        Index("ix_track_audio_hash", "audio_hash"),
        Index(
            "ix_track_missing",
            "id",
            sqlite_where=text("is_missing"),
            postgresql_where=text("is_missing"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[bytes] = mapped_column(unique=True)
    """As the file system has it; SQLite's TEXT refuses names that are not UTF-8."""
    path_text: Mapped[str]
    """The same to be read by people, with replacement characters where it must."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    audio_hash: Mapped[str]
    title: Mapped[str]
    artist: Mapped[str | None]
    album: Mapped[str | None]
    duration_s: Mapped[float]
    is_silent: Mapped[bool]
    is_missing: Mapped[bool]
    damage: Mapped[str] = mapped_column(default="")
    """What is wrong with its sound, as a sentence; empty where nothing is."""
    promised_s: Mapped[float | None]
    """How long its own header says that the sound is, where the format says it."""
    album_artist: Mapped[str | None]
    year: Mapped[int | None]
    track_number: Mapped[int | None]
    isrc: Mapped[str | None]
    """The International Standard Recording Code."""
    mb_recording: Mapped[str | None]
    """MusicBrainz identifiers: of the recording, its release, its artist and its work."""
    mb_release: Mapped[str | None]
    mb_artist: Mapped[str | None]
    mb_work: Mapped[str | None]
    raw_tags: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Tags that are not in UTF-8 as they stand in the file: `key=bytes`, with a NUL between."""
    added_s: Mapped[float | None]
    """When it came into the catalog, seconds since 1970; unknown of the oldest."""
    n_segments: Mapped[int] = mapped_column(BigInteger, default=0)
    pitches_checksum: Mapped[int] = mapped_column(BigInteger, default=0)
    """CRC-32 of chroma and harmony of its recording as they are stored."""
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)


class SpansRow(Base):
    """Where a track's segments begin and end, in order of time: float64 (S, 2) in seconds, raw."""

    __tablename__ = "spans"

    track_id: Mapped[int] = mapped_column(
        ForeignKey("track.id", ondelete="CASCADE"), primary_key=True
    )
    spans: Mapped[bytes] = mapped_column(LargeBinary)
    checksum: Mapped[int] = mapped_column(BigInteger)
    """CRC-32 of the spans, begun with the track's id."""


class EmbeddingRow(Base):
    """The vectors of a track's segments, in order of time: float32 (S, D), raw."""

    __tablename__ = "embedding"
    __table_args__ = (Index("ix_embedding_generation", "generation"),)

    track_id: Mapped[int] = mapped_column(
        ForeignKey("track.id", ondelete="CASCADE"), primary_key=True
    )
    vectors: Mapped[bytes] = mapped_column(LargeBinary)
    generation: Mapped[int] = mapped_column(BigInteger)
    """When they came."""
    checksum: Mapped[int] = mapped_column(BigInteger)
    """CRC-32 of the vectors, begun with the track's id, and of the generation."""


class RemovalRow(Base):
    """A track whose vectors went since the vector file was made, and when."""

    __tablename__ = "removal"

    track_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)


class ChangeRow(Base):
    """A state of the vectors of a catalog on a server, where each machine has files of its own.

    A file of a state that is not here is of another history: the database was put back from a copy.
    That of generation 0 names the catalog.
    """

    __tablename__ = "change"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[int] = mapped_column(BigInteger)
    """A number drawn for it."""


class ClaimRow(Base):
    """A file that is to be indexed by one of several processes, and which of them does."""

    __tablename__ = "claim"
    __table_args__ = (
        Index("ix_claim_owner", "owner"),
        Index(
            "ix_claim_audio_hash",
            "audio_hash",
            unique=True,
            sqlite_where=text("owner IS NOT NULL"),
            postgresql_where=text("owner IS NOT NULL"),
        ),
    )

    path: Mapped[bytes] = mapped_column(primary_key=True)
    owner: Mapped[int | None]
    """The number of the process; nobody's where there is none."""
    audio_hash: Mapped[str | None]
    """What is embedded, so that two copies of a recording are not embedded at once."""


class RecordingRow(Base):
    """What is kept of the sound of a track: uint8 at 5 frames a second, each part deflated.

    Every track that has been through the embedder has this row, silent ones too. A part without
    frames is empty: harmony where nobody asked for it, the spectrogram of a track from before
    catalogs kept it.
    """

    __tablename__ = "recording"

    track_id: Mapped[int] = mapped_column(
        ForeignKey("track.id", ondelete="CASCADE"), primary_key=True
    )
    chroma: Mapped[bytes] = mapped_column(LargeBinary)
    """(12, T); the first, because it is read most and a row is read from its start."""
    harmony: Mapped[bytes] = mapped_column(LargeBinary)
    """(36, T)."""
    spectrogram: Mapped[bytes] = mapped_column(LargeBinary)
    """(84, T)."""
    checksum: Mapped[int] = mapped_column(BigInteger)
    """CRC-32 of spectrogram, chroma and harmony as they are stored, in this order."""


class LabelRow(Base):
    """Which work a track is a performance of, as the user says."""

    __tablename__ = "label"

    track_id: Mapped[int] = mapped_column(
        ForeignKey("track.id", ondelete="CASCADE"), primary_key=True
    )
    work: Mapped[str]
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)


class SkipRow(Base):
    """A file that could not be indexed; not tried again before it changes."""

    __tablename__ = "skip"

    path: Mapped[bytes] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    checksum: Mapped[int] = mapped_column(BigInteger, default=0)
