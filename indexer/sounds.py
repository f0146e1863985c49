"""The statements about what is kept of sound: vectors, spans and recordings of tracks.

As in `indexer.statements`, a Session and plain values go in, plain values come out. What is read
is checked: a row that is damaged or absent is told.

Letters: D embedding, S segments, T frames of chroma.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from indexer import packing, signed
from indexer.errors import DamagedTrackError
from indexer.records import (
    N_ROWS,
    Embedded,
    KeptRecording,
    Parts,
    Pitches,
    Recording,
    Vectors,
)
from indexer.schema import (
    CatalogRow,
    EmbeddingRow,
    RecordingRow,
    RemovalRow,
    SpansRow,
    TrackRow,
)

_STORED_VECTORS = (
    EmbeddingRow.track_id,
    EmbeddingRow.vectors,
    EmbeddingRow.generation,
    EmbeddingRow.checksum,
)


def attach(session: Session, row: TrackRow, embedded: Embedded, generation: int) -> None:
    """Store what the embedder made of a track, whose vectors of before are detached."""
    recording = embedded.recording
    row.duration_s = float(recording.duration_s)
    row.is_silent = not len(embedded.vectors)
    row.damage = recording.damage
    row.promised_s = None if recording.promised_s is None else float(recording.promised_s)
    row.n_segments = len(embedded.vectors)
    if row.n_segments:
        spans = np.ascontiguousarray(embedded.spans_s, dtype="<f8").tobytes()
        found = packing.begun_checksum(row.id, spans)
        session.add(SpansRow(track_id=row.id, spans=spans, checksum=found))
        vectors = np.ascontiguousarray(embedded.vectors, dtype="<f4").tobytes()
        found = packing.vectors_checksum(row.id, vectors, generation)
        session.add(
            EmbeddingRow(track_id=row.id, vectors=vectors, generation=generation, checksum=found)
        )
        session.get_one(CatalogRow, 1).n_sounding += 1
    session.flush()


def keep(session: Session, row: TrackRow, recording: Recording) -> None:
    """Store a recording, in place of what was kept of the track before."""
    parts = {name: packing.packed(getattr(recording, name)) for name in N_ROWS}
    found = packing.checksum(parts.values())
    session.merge(RecordingRow(track_id=row.id, checksum=found, **parts))
    row.pitches_checksum = packing.begun_checksum(row.id, parts["chroma"], parts["harmony"])


def detach(session: Session, track_ids: Sequence[int], generation: int) -> None:
    """Delete the vectors of some tracks, and note that they went; the tracks stay."""
    with_vectors = select(EmbeddingRow.track_id).where(EmbeddingRow.track_id.in_(track_ids))
    gone = session.scalars(with_vectors).all()
    for table in (SpansRow, EmbeddingRow):
        session.execute(delete(table).where(table.track_id.in_(track_ids)))
    if gone:  # others may have gone before: of them it is noted already
        session.get_one(CatalogRow, 1).n_sounding -= len(gone)
        session.execute(delete(RemovalRow).where(RemovalRow.track_id.in_(gone)))
        rows = [signed.signature(track_id=id_, generation=generation) for id_ in gone]
        session.execute(insert(RemovalRow), rows)


def detach_all(session: Session) -> None:
    """Delete the vectors of all tracks."""
    for table in (SpansRow, EmbeddingRow, RemovalRow):
        session.execute(delete(table))
    session.get_one(CatalogRow, 1).n_sounding = 0


def take_over(
    session: Session, embedded_of: Callable[[str], Embedded | None], generation: int
) -> None:
    """Store what another embedder made of all tracks, by their hashes; vectors are detached."""
    of_tracks = session.execute(select(TrackRow.id, TrackRow.audio_hash).order_by(TrackRow.id))
    for track_id, audio_hash in of_tracks.all():
        embedded = embedded_of(audio_hash)
        row = session.get_one(TrackRow, track_id, with_for_update=True)
        if embedded is None:
            forget_recording(session, row)
            session.flush()
            continue
        if embedded.recording.spectrogram.size:  # it was decoded, and not restored
            keep(session, row, embedded.recording)
        attach(session, row, embedded, generation)
        session.expunge_all()


def forget_recording(session: Session, row: TrackRow) -> None:
    """Delete what is kept of the sound of a track, which then counts as not embedded."""
    session.execute(delete(RecordingRow).where(RecordingRow.track_id == row.id))
    row.n_segments = row.pitches_checksum = 0


def parts_of(session: Session, track_ids: Sequence[int]) -> dict[int, Parts]:
    """Read the recordings of some tracks; one that is damaged is left out."""
    statement = select(RecordingRow, TrackRow).join(TrackRow, TrackRow.id == RecordingRow.track_id)
    found: dict[int, Parts] = {}
    for row, track in signed.some_of(session, statement, RecordingRow.track_id, track_ids):
        packed = {name: getattr(row, name) for name in N_ROWS}
        pitches = packing.begun_checksum(track.id, row.chroma, row.harmony)
        is_whole = packing.checksum(packed.values()) == row.checksum
        if is_whole and pitches == track.pitches_checksum:
            parts: dict[str, Any] = {
                name: packing.unpacked(name, packed[name], track.id) for name in N_ROWS
            }
            about = {name: getattr(track, name) for name in ("duration_s", "damage", "promised_s")}
            found[track.id] = parts | about
    return found


def recorded_parts_of(session: Session, track_ids: Sequence[int]) -> dict[int, Parts]:
    """Read the recordings of some tracks, but of those embedded before recordings were kept."""
    found = parts_of(session, track_ids)
    return {
        track_id: parts
        for track_id, parts in found.items()
        if parts["spectrogram"].size or not parts["chroma"].size
    }


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
    statement = select(*_STORED_VECTORS)
    found = {
        row[0]: packing.StoredVectors(*row).unpacked(dim)
        for row in signed.some_of(session, statement, EmbeddingRow.track_id, track_ids)
    }
    _refuse_lost(session, set(track_ids) - found.keys(), "vectors")
    return found


def _refuse_lost(session: Session, track_ids: Iterable[int], what: str) -> None:
    """Raise an error if one of some tracks without a row must have one."""
    statement = select(TrackRow.id).where(TrackRow.n_segments > 0)
    for track_id in signed.some_of(session, statement, TrackRow.id, list(track_ids)):
        raise DamagedTrackError(track_id[0], what)


def spans_s(session: Session, track_id: int) -> NDArray[np.float64]:
    """Read start and end of a track's segments in seconds, float64 (S, 2)."""
    row = session.get(SpansRow, track_id)
    if row is None:
        _refuse_lost(session, [track_id], "spans")
        return np.zeros((0, 2))
    return packing.unpacked_spans(track_id, row.spans, row.checksum)


def pitches_of(session: Session, track_ids: Sequence[int]) -> dict[int, Pitches]:
    """Read chroma and harmony of some tracks; those that were never embedded are left out."""
    statement = select(
        RecordingRow.track_id, RecordingRow.chroma, RecordingRow.harmony, TrackRow.pitches_checksum
    ).join(TrackRow, TrackRow.id == RecordingRow.track_id)
    found = {
        track_id: packing.unpacked_pitches(track_id, chroma, harmony, checksum)
        for track_id, chroma, harmony, checksum in signed.some_of(
            session, statement, RecordingRow.track_id, track_ids
        )
    }
    _refuse_lost(session, set(track_ids) - found.keys(), "chroma")
    return found


def all_vectors(session: Session, dim: int, since: int = -1) -> Iterator[tuple[int, Vectors]]:
    """Id and vectors of every track that has segments, or whose vectors came after `since`."""
    statement = select(*_STORED_VECTORS)
    if since >= 0:
        statement = statement.where(EmbeddingRow.generation > since)
    in_order = statement.order_by(EmbeddingRow.track_id).execution_options(yield_per=256)
    for row in session.execute(in_order):
        yield row[0], packing.StoredVectors(*row).unpacked(dim)


def n_sounding(session: Session) -> int:
    """Count the tracks that have segments."""
    return session.get_one(CatalogRow, 1).n_sounding
