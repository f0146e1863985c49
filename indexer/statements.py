"""The statements of the catalog: a Session and plain values in, plain values out.

Nothing here opens a Session; `indexer.catalog` and `indexer.writer` do, and decide what shares
a transaction.

Letters: D embedding, S segments, T frames of chroma.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, delete, func, insert, select, text, update
from sqlalchemy.orm import Mapped, Session

from indexer import packing
from indexer.records import (
    N_ROWS,
    Embedded,
    Ids,
    KeptRecording,
    Known,
    Parts,
    Pitches,
    Recording,
    SkippedFile,
    Track,
    Vectors,
)
from indexer.scan import AudioFile
from indexer.schema import (
    CatalogRow,
    EmbeddingRow,
    LabelRow,
    RecordingRow,
    RemovalRow,
    RootRow,
    SegmentRow,
    SkipRow,
    TrackRow,
)
from indexer.tags import Tags

_AT_ONCE = 500  # ids in one statement; databases bound them


def catalog_row(session: Session) -> CatalogRow | None:
    """Look up what the catalog is made with; None in one that is not made yet."""
    return session.get(CatalogRow, 1)


def embedder_name(session: Session) -> str | None:
    """Name the embedder, whatever else the schema holds; None in a catalog not made yet."""
    return session.scalar(select(CatalogRow.embedder))


def tracks(session: Session, *conditions: ColumnElement[bool]) -> list[Track]:
    """List the tracks that meet some conditions, by id."""
    n_segments = (
        select(func.count(SegmentRow.id))
        .where(SegmentRow.track_id == TrackRow.id)
        .correlate(TrackRow)
        .scalar_subquery()
    )
    tags = (TrackRow.title, TrackRow.artist, TrackRow.album)
    facts = (TrackRow.duration_s, TrackRow.is_silent, TrackRow.is_missing, n_segments)
    sound = (TrackRow.audio_hash, TrackRow.damage, TrackRow.promised_s)
    edition = (TrackRow.album_artist, TrackRow.year)
    columns = (TrackRow.id, TrackRow.path, *tags, *facts, *sound, *edition)
    statement = select(*columns).where(*conditions)
    found = session.execute(statement.order_by(TrackRow.id))
    return [Track(row[0], packing.unpacked_path(*row[:2]), *row[2:]) for row in found]


def tracks_of(session: Session, track_ids: Sequence[int]) -> dict[int, Track]:
    """Look up some tracks by their ids; those that there are not are left out."""
    found = (tracks(session, TrackRow.id.in_(some)) for some in batched(track_ids))
    return {track.id: track for some in found for track in some}


def _some(
    session: Session, statement: Select[*tuple[Any, ...]], column: Mapped[int], ids: Sequence[int]
) -> Iterator[Any]:
    for some in batched(ids):
        yield from session.execute(statement.where(column.in_(some)))


def batched(ids: Iterable[int]) -> Iterator[list[int]]:
    """Cut a list of ids into lists that one statement can name."""
    rest = iter(ids)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def known(session: Session) -> list[Known]:
    """List what is remembered of each track's file, by id."""
    file = (TrackRow.path, TrackRow.size_bytes, TrackRow.mtime_ns, TrackRow.audio_hash)
    is_embedded = RecordingRow.track_id.is_not(None)
    is_recorded = func.coalesce(func.length(RecordingRow.spectrogram), 0) > 0
    facts = (TrackRow.is_missing, is_embedded, is_recorded, TrackRow.damage)
    statement = select(TrackRow.id, *file, *facts).order_by(TrackRow.id)
    with_recordings = statement.outerjoin(RecordingRow, RecordingRow.track_id == TrackRow.id)
    found: Iterable[Any] = session.execute(with_recordings)
    return [
        Known(row[0], AudioFile(packing.unpacked_path(*row[:2]), *row[2:5]), *row[5:])
        for row in found
    ]


def skipped(session: Session) -> list[SkippedFile]:
    """List the files that could not be indexed, by path."""
    return [
        SkippedFile(
            AudioFile(Path(os.fsdecode(row.path)), row.size_bytes, row.mtime_ns), row.reason
        )
        for row in session.scalars(select(SkipRow).order_by(SkipRow.path))
    ]


def skip(session: Session, file: AudioFile, reason: str) -> None:
    """Remember that a file could not be indexed."""
    path = os.fsencode(file.path)
    session.merge(
        SkipRow(path=path, size_bytes=file.size_bytes, mtime_ns=file.mtime_ns, reason=reason)
    )


def unskip(session: Session, path: Path) -> None:
    """Forget that a file could not be indexed."""
    session.execute(delete(SkipRow).where(SkipRow.path == os.fsencode(path)))


def roots(session: Session) -> list[Path]:
    """List the folders that the user asked to index."""
    found = session.scalars(select(RootRow.path).order_by(RootRow.path))
    return [Path(os.fsdecode(path)) for path in found]


def add_root(session: Session, path: Path) -> None:
    """Note a folder that the user asked to index; others may note it at the same time."""
    statement = text("INSERT INTO root (path) VALUES (:path) ON CONFLICT DO NOTHING")
    session.execute(statement, {"path": os.fsencode(path)})


def forget_root(session: Session, path: Path) -> None:
    """Forget a folder that the user asked to index."""
    session.execute(delete(RootRow).where(RootRow.path == os.fsencode(path)))


def track_at(session: Session, path: Path) -> TrackRow | None:
    """Look up the row of a file."""
    return session.scalar(select(TrackRow).where(TrackRow.path == os.fsencode(path)))


def embedded_track(session: Session, audio_hash: str) -> int | None:
    """Find the first track that holds this audio and has been through the embedder."""
    statement = select(TrackRow.id).join(RecordingRow, RecordingRow.track_id == TrackRow.id)
    is_recorded = func.length(RecordingRow.spectrogram) > 0
    same = statement.where(TrackRow.audio_hash == audio_hash)
    return session.scalar(same.order_by(is_recorded.desc(), TrackRow.id))


def insert_track(session: Session, file: AudioFile, tags: Tags) -> TrackRow:
    """Make the row of a file."""
    row = TrackRow(duration_s=0.0, is_silent=False, damage="")  # `attach` knows them
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
    row.title, row.artist, row.album = tags.title, tags.artist, tags.album
    row.album_artist, row.year = tags.album_artist, tags.year
    row.is_missing = False


def attach(session: Session, row: TrackRow, embedded: Embedded, generation: int) -> None:
    """Store what the embedder made of a track."""
    row.duration_s = embedded.recording.duration_s
    row.is_silent = not len(embedded.vectors)
    row.damage, row.promised_s = embedded.recording.damage, embedded.recording.promised_s
    segments = [
        SegmentRow(track_id=row.id, start_s=float(start_s), end_s=float(end_s))
        for start_s, end_s in embedded.spans_s
    ]
    session.add_all(segments)
    vectors = np.ascontiguousarray(embedded.vectors, dtype="<f4")
    if len(vectors):
        blob = vectors.tobytes()
        found = packing.vectors_checksum(row.id, blob)
        session.add(
            EmbeddingRow(track_id=row.id, vectors=blob, generation=generation, checksum=found)
        )
    session.flush()


def keep(session: Session, track_id: int, recording: Recording) -> None:
    """Store a recording, in place of what was kept of the track before."""
    parts = {name: packing.packed(getattr(recording, name)) for name in N_ROWS}
    row = RecordingRow(track_id=track_id, checksum=packing.checksum(parts.values()), **parts)
    session.merge(row)
    session.flush()


def detach(session: Session, track_ids: Sequence[int], generation: int) -> None:
    """Delete the vectors of some tracks, and note that they went; the tracks stay."""
    with_vectors = select(EmbeddingRow.track_id).where(EmbeddingRow.track_id.in_(track_ids))
    gone = session.scalars(with_vectors).all()
    for table in (SegmentRow, EmbeddingRow):
        session.execute(delete(table).where(table.track_id.in_(track_ids)))
    if gone:  # others may have gone before: of them it is noted already
        session.execute(delete(RemovalRow).where(RemovalRow.track_id.in_(gone)))
        rows = [{"track_id": track_id, "generation": generation} for track_id in gone]
        session.execute(insert(RemovalRow), rows)


def detach_all(session: Session) -> None:
    """Delete the vectors of all tracks."""
    for table in (SegmentRow, EmbeddingRow, RemovalRow):
        session.execute(delete(table))


def forget_recording(session: Session, track_id: int) -> None:
    """Delete what is kept of the sound of a track, which then counts as not embedded."""
    session.execute(delete(RecordingRow).where(RecordingRow.track_id == track_id))


def parts_of(session: Session, track_ids: Sequence[int]) -> dict[int, Parts]:
    """Read the recordings of some tracks; one that is damaged is left out."""
    statement = select(
        RecordingRow, TrackRow.duration_s, TrackRow.damage, TrackRow.promised_s
    ).join(TrackRow, TrackRow.id == RecordingRow.track_id)
    found: dict[int, Parts] = {}
    for row, *facts in _some(session, statement, RecordingRow.track_id, track_ids):
        packed = {name: getattr(row, name) for name in N_ROWS}
        if packing.checksum(packed.values()) == row.checksum:
            parts: dict[str, Any] = {
                name: packing.unpacked(name, packed[name], row.track_id) for name in N_ROWS
            }
            about = zip(("duration_s", "damage", "promised_s"), facts, strict=True)
            found[row.track_id] = parts | dict(about)
    return found


def counts(session: Session) -> dict[str, Any]:
    """Count what the catalog holds, under the names of `CatalogStats`."""
    n_bytes = sum(func.length(getattr(RecordingRow, name)) for name in N_ROWS)
    is_sounding = RecordingRow.track_id.in_(select(EmbeddingRow.track_id))
    is_unrecorded = is_sounding & (func.length(RecordingRow.spectrogram) == 0)
    n_tracks = func.count(TrackRow.id)
    of_tracks = select(
        n_tracks.label("n_tracks"),
        n_tracks.filter(TrackRow.is_silent).label("n_silent"),
        n_tracks.filter(TrackRow.is_missing).label("n_missing"),
        n_tracks.filter(TrackRow.damage != "").label("n_damaged"),
        func.coalesce(func.sum(TrackRow.duration_s), 0.0).label("duration_s"),
    )
    others = {
        "n_segments": select(func.count(SegmentRow.id)),
        "n_skipped": select(func.count()).select_from(SkipRow),
        "n_labelled": select(func.count()).select_from(LabelRow),
        "n_unrecorded": select(func.count()).where(is_unrecorded),
        "recordings_bytes": select(func.coalesce(func.sum(n_bytes), 0)),
    }
    found = {name: session.scalar(statement) for name, statement in others.items()}
    return found | dict(session.execute(of_tracks).one()._mapping)


def embedded(session: Session, track_id: int, dim: int) -> Embedded:
    """Recall what the embedder made of a track."""
    duration_s = session.get_one(TrackRow, track_id).duration_s
    parts = parts_of(session, [track_id]).get(track_id)
    return Embedded(
        vectors_of(session, [track_id], dim).get(track_id, np.zeros((0, dim), np.float32)),
        spans_s(session, track_id),
        KeptRecording(**parts) if parts else KeptRecording.without_frames(duration_s),
    )


def vectors_of(session: Session, track_ids: Sequence[int], dim: int) -> dict[int, Vectors]:
    """Read the embeddings of some tracks, float32 (S, D) each; silent ones are left out."""
    statement = select(EmbeddingRow.track_id, EmbeddingRow.vectors, EmbeddingRow.checksum)
    return {
        track_id: packing.unpacked_vectors(track_id, blob, checksum, dim)
        for track_id, blob, checksum in _some(session, statement, EmbeddingRow.track_id, track_ids)
    }


def spans_s(session: Session, track_id: int) -> NDArray[np.float64]:
    """Read start and end of a track's segments in seconds, float64 (S, 2)."""
    statement = select(SegmentRow.start_s, SegmentRow.end_s).where(SegmentRow.track_id == track_id)
    found = session.execute(statement.order_by(SegmentRow.id)).all()
    return np.array([tuple(span) for span in found], dtype=np.float64).reshape(-1, 2)


def pitches_of(session: Session, track_ids: Sequence[int]) -> dict[int, Pitches]:
    """Read chroma and harmony of some tracks; those that were never embedded are left out."""
    statement = select(RecordingRow.track_id, RecordingRow.chroma, RecordingRow.harmony)
    return {
        track_id: Pitches(
            packing.unpacked("chroma", chroma, track_id),
            packing.unpacked("harmony", harmony, track_id),
        )
        for track_id, chroma, harmony in _some(session, statement, RecordingRow.track_id, track_ids)
    }


def all_vectors(session: Session, dim: int, since: int = -1) -> Iterator[tuple[int, Vectors]]:
    """Id and vectors of every track that has segments, or whose vectors came after `since`."""
    statement = select(EmbeddingRow.track_id, EmbeddingRow.vectors, EmbeddingRow.checksum)
    if since >= 0:
        statement = statement.where(EmbeddingRow.generation > since)
    in_order = statement.order_by(EmbeddingRow.track_id).execution_options(yield_per=256)
    for track_id, blob, found in session.execute(in_order):
        yield track_id, packing.unpacked_vectors(track_id, blob, found, dim)


def n_sounding(session: Session) -> int:
    """Count the tracks that have segments."""
    return int(session.scalar(select(func.count(EmbeddingRow.track_id))) or 0)


def missing(session: Session) -> Ids:
    """List the tracks whose file is gone."""
    statement = select(TrackRow.id).where(text("is_missing"))  # as the index says it
    return np.array(session.scalars(statement).all(), dtype=np.int64)


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
    detach(session, track_ids, generation)
    session.execute(delete(TrackRow).where(TrackRow.id.in_(track_ids)))


def mark_missing(session: Session, track_ids: Sequence[int], *, is_missing: bool) -> None:
    """Note whether the files of some tracks are gone."""
    statement = update(TrackRow).where(TrackRow.id.in_(track_ids))
    session.execute(statement.values(is_missing=is_missing))


def labels(session: Session) -> dict[int, str]:
    """Read the work of each labelled track."""
    found = session.execute(select(LabelRow.track_id, LabelRow.work).order_by(LabelRow.track_id))
    return {row.track_id: row.work for row in found}


def set_labels(session: Session, works: Mapping[int, str]) -> None:
    """Label some tracks, in place of what they were labelled before."""
    for track_id, work in works.items():
        session.merge(LabelRow(track_id=track_id, work=work))
