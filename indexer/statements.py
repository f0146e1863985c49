"""The statements of the catalog: a Session and plain values in, plain values out.

Nothing here opens a Session; `indexer.catalog` and `indexer.writer` do, and decide what shares
a transaction. What is kept of sound is in `indexer.sounds`.
"""

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Executable,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.orm import Session

from indexer import signed, sounds
from indexer.records import N_ROWS, CatalogStats, Ids, Known, SkippedFile, Track
from indexer.scan import AudioFile
from indexer.schema import (
    CatalogRow,
    EmbeddingRow,
    LabelRow,
    RecordingRow,
    RootRow,
    SkipRow,
    TrackRow,
)
from indexer.tags import Tags

_NAMES = signed.NAMES[TrackRow]
_ID, _PATH, _SIZE, _MTIME = map(_NAMES.index, ("id", "path", "size_bytes", "mtime_ns"))
_HASH, _DAMAGE, _MISSING = map(_NAMES.index, ("audio_hash", "damage", "is_missing"))
_SEGMENTS, _SILENT, _DURATION = map(_NAMES.index, ("n_segments", "is_silent", "duration_s"))
_in_order = itemgetter(
    *(_NAMES.index(one.name) for one in fields(Track)[2:-1])
)  # as `Track` has it
_FROM_TAGS = tuple(field.name for field in fields(Tags))


def catalog_row(session: Session) -> CatalogRow | None:
    """Look up what the catalog is made with; None in one that is not made yet."""
    return session.get(CatalogRow, 1)


def embedder_name(session: Session) -> str | None:
    """Name the embedder, whatever else the schema holds; None in a catalog not made yet."""
    return session.scalar(select(CatalogRow.embedder))


def count(session: Session, **more: int) -> None:
    """Count folders, labels or skipped files that came or went, by the names of `CatalogRow`.

    On a server, others who count wait from here on.
    """
    if not any(more.values()):
        return
    session.flush()
    about = session.get_one(CatalogRow, 1, with_for_update=True, populate_existing=True)
    for name, n_more in more.items():
        setattr(about, name, getattr(about, name) + n_more)


def tracks(
    session: Session, *conditions: ColumnElement[bool], by_path: bool = False
) -> list[Track]:
    """List the tracks that meet some conditions, by id or by path."""
    rows = signed.rows(session, TrackRow, *conditions)
    return _tracks(sorted(rows, key=itemgetter(_PATH)) if by_path else rows)


def some_tracks(session: Session, offset: int, limit: int) -> list[Track]:
    """List some tracks by their paths, after so many others."""
    these = select(TrackRow.id).order_by(TrackRow.path).offset(offset).limit(limit)
    found = tracks_of(session, list(session.scalars(these)))
    return sorted(found.values(), key=lambda track: bytes(track.path))


def _tracks(rows: Iterable[tuple[Any, ...]]) -> list[Track]:
    return [
        Track(*(row[_ID], Path(os.fsdecode(row[_PATH])), *_in_order(row), row[_MTIME] / 1e9))
        for row in rows
    ]


def tracks_of(session: Session, track_ids: Sequence[int]) -> dict[int, Track]:
    """Look up some tracks by their ids; those that there are not are left out."""
    found = (tracks(session, TrackRow.id.in_(some)) for some in signed.batched(track_ids))
    return {track.id: track for some in found for track in some}


def known(
    session: Session,
    paths: Sequence[Path] | None = None,
    audio_hashes: Sequence[str] | None = None,
) -> list[Known]:
    """List what is remembered of the file of each track, by id.

    Of those alone that are at some paths, or hold some audio, where that is asked.
    """
    is_recorded = func.length(RecordingRow.spectrogram) > 0
    of_rows = select(RecordingRow.track_id, is_recorded)
    conditions = [] if paths is None else [TrackRow.path.in_(map(os.fsencode, paths))]
    if audio_hashes is not None:
        conditions.append(TrackRow.audio_hash.in_(audio_hashes))
    if conditions:
        of_rows = of_rows.join(TrackRow, TrackRow.id == RecordingRow.track_id).where(*conditions)
    kept = session.execute(of_rows)
    recorded = {track_id: is_whole for track_id, is_whole in kept}  # noqa: C416 (rows)
    return [
        Known(
            row[_ID],
            AudioFile(Path(os.fsdecode(row[_PATH])), row[_SIZE], row[_MTIME], row[_HASH]),
            is_missing=row[_MISSING],
            is_embedded=row[_ID] in recorded,
            is_recorded=recorded.get(row[_ID], False),
            damage=row[_DAMAGE],
        )
        for row in signed.rows(session, TrackRow, *conditions)
    ]


def skipped(session: Session, paths: Sequence[Path] | None = None) -> list[SkippedFile]:
    """List the files that could not be indexed, or those at some paths, by path."""
    conditions = [] if paths is None else [SkipRow.path.in_(map(os.fsencode, paths))]
    return [
        SkippedFile(AudioFile(Path(os.fsdecode(path)), size_bytes, mtime_ns), reason)
        for path, size_bytes, mtime_ns, reason in signed.rows(session, SkipRow, *conditions)
    ]


def skip(session: Session, file: AudioFile, reason: str) -> None:
    """Remember that a file could not be indexed."""
    path = os.fsencode(file.path)
    count(session, n_skips=int(session.get(SkipRow, path) is None))
    session.merge(
        SkipRow(path=path, size_bytes=file.size_bytes, mtime_ns=file.mtime_ns, reason=reason)
    )


def unskip(session: Session, path: Path) -> None:
    """Forget that a file could not be indexed."""
    statement = delete(SkipRow).where(SkipRow.path == os.fsencode(path))
    count(session, n_skips=-_n_changed(session, statement))


def roots(session: Session) -> list[Path]:
    """List the folders that the user asked to index."""
    return [Path(os.fsdecode(path)) for (path,) in signed.rows(session, RootRow)]


def add_root(session: Session, path: Path) -> None:
    """Note a folder that the user asked to index; others may note it at the same time."""
    values = "INSERT INTO root (path, checksum) VALUES (:path, :checksum) ON CONFLICT DO NOTHING"
    statement = text(values).bindparams(**signed.signature(path=os.fsencode(path)))
    count(session, n_roots=_n_changed(session, statement))


def forget_root(session: Session, path: Path) -> None:
    """Forget a folder that the user asked to index."""
    statement = delete(RootRow).where(RootRow.path == os.fsencode(path))
    count(session, n_roots=-_n_changed(session, statement))


def track_at(session: Session, path: Path) -> TrackRow | None:
    """Look up the row of a file, to change it."""
    return session.scalar(
        select(TrackRow).where(TrackRow.path == os.fsencode(path)).with_for_update()
    )


def embedded_track(session: Session, audio_hash: str) -> int | None:
    """Find the first track that holds this audio and has been through the embedder."""
    statement = select(TrackRow).join(RecordingRow, RecordingRow.track_id == TrackRow.id)
    is_recorded = func.length(RecordingRow.spectrogram) > 0
    same = statement.where(TrackRow.audio_hash == audio_hash)
    row = session.scalar(same.order_by(is_recorded.desc(), TrackRow.id).limit(1))
    return None if row is None else row.id


def has_heard(session: Session, audio_hash: str, *, is_recorded: bool) -> bool:
    """Whether a track of this audio has been embedded, and its recording kept where that counts."""
    statement = select(TrackRow.id).join(RecordingRow, RecordingRow.track_id == TrackRow.id)
    if is_recorded:
        statement = statement.where(func.length(RecordingRow.spectrogram) > 0)
    return session.scalar(statement.where(TrackRow.audio_hash == audio_hash).limit(1)) is not None


def insert_track(session: Session, file: AudioFile, tags: Tags) -> TrackRow:
    """Make the row of a file."""
    row = TrackRow(duration_s=0.0, is_silent=False, damage="")  # `sounds.attach` knows them
    row.added_s = time.time()
    describe(row, file, tags)
    session.add(row)
    session.flush()
    return row


def describe(row: TrackRow, file: AudioFile, tags: Tags) -> None:
    """Write what a file and its tags say into its row."""
    if file.audio_hash is None:
        raise ValueError(f"{file.path} has not been hashed")
    row.path = os.fsencode(file.path)
    row.path_text = row.path.decode("utf-8", "replace")
    row.size_bytes, row.mtime_ns, row.audio_hash = file.size_bytes, file.mtime_ns, file.audio_hash
    for name in _FROM_TAGS:
        setattr(row, name, getattr(tags, name))
    row.is_missing = False


def stats(session: Session, about: CatalogRow, size_bytes: int) -> CatalogStats:
    """Count what the catalog holds."""
    n_bytes = sum(func.length(getattr(RecordingRow, name)) for name in N_ROWS)
    is_sounding = RecordingRow.track_id.in_(select(EmbeddingRow.track_id))
    is_unrecorded = is_sounding & (func.length(RecordingRow.spectrogram) == 0)
    others = {
        "n_skipped": select(func.count()).select_from(SkipRow),
        "n_labelled": select(func.count()).select_from(LabelRow),
        "n_unrecorded": select(func.count()).where(is_unrecorded),
        "recordings_bytes": select(func.coalesce(func.sum(n_bytes), 0)),
    }
    found: dict[str, Any] = {name: session.scalar(one) for name, one in others.items()}
    found |= dict.fromkeys(("n_tracks", "n_segments", "n_silent", "n_missing", "n_damaged"), 0)
    durations = []
    for row in signed.rows(session, TrackRow):
        found["n_tracks"] += 1
        found["n_segments"] += row[_SEGMENTS]
        found["n_silent"] += row[_SILENT]
        found["n_missing"] += row[_MISSING]
        found["n_damaged"] += row[_DAMAGE] != ""
        durations.append(row[_DURATION])
    return CatalogStats(
        embedder=about.embedder,
        dim=about.dim,
        generation=about.generation,
        size_bytes=size_bytes,
        roots=tuple(roots(session)),
        duration_s=math.fsum(durations),
        **found,
    )


def missing(session: Session) -> Ids:
    """List the tracks whose file is gone."""
    statement = select(TrackRow.id, TrackRow.is_missing).where(text("is_missing"))  # as the index
    found = [track_id for track_id, is_missing in session.execute(statement) if is_missing]
    return np.array(found, dtype=np.int64)


def tracks_below(session: Session, path: Path) -> list[int]:
    """Ids of the track at this path, or of all tracks in this folder."""
    exact = os.fsencode(path)
    folder = exact.rstrip(os.fsencode(os.sep)) + os.fsencode(os.sep)
    after = folder[:-1] + bytes([folder[-1] + 1])
    is_below = (TrackRow.path > folder) & (TrackRow.path < after)
    statement = select(TrackRow.id).where((TrackRow.path == exact) | is_below)
    return list(session.scalars(statement.order_by(TrackRow.id)))


def delete_tracks(session: Session, track_ids: Sequence[int], generation: int) -> None:
    """Delete some tracks with all that belongs to them, and note that their vectors went."""
    sounds.detach(session, track_ids, generation)
    are_these = TrackRow.id.in_(track_ids)
    n_labels = _n_changed(session, delete(LabelRow).where(LabelRow.track_id.in_(track_ids)))
    n_deleted = _n_changed(session, delete(TrackRow).where(are_these))
    count(session, n_tracks=-n_deleted, n_labels=-n_labels)


def mark_missing(session: Session, track_ids: Sequence[int], *, is_missing: bool) -> None:
    """Note whether the files of some tracks are gone."""
    signed.change_tracks(session, track_ids, is_missing=is_missing)


def labels(session: Session) -> dict[int, str]:
    """Read the work of each labelled track."""
    return dict(signed.rows(session, LabelRow))


def set_labels(session: Session, works: Mapping[int, str]) -> None:
    """Label some tracks, in place of what they were labelled before."""
    for some in signed.batched(works):
        are_these = LabelRow.track_id.in_(some)
        n_before = session.scalar(select(func.count()).where(are_these)) or 0
        count(session, n_labels=len(some) - n_before)
    for track_id, work in works.items():
        session.merge(LabelRow(track_id=track_id, work=work))


def _n_changed(session: Session, statement: Executable) -> int:
    """Carry a statement out, and count the rows that it made or deleted."""
    found: CursorResult[Any] = session.connection().execute(statement)
    return found.rowcount
