"""Give every row that decides answers or is shown a checksum, and keep more of what tags say.

A track's spans become one row; nothing is decoded.
"""

import marshal
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from indexer.schema import Words

revision = "0007"
down_revision = "0006"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT_ONCE = 256

_CATALOG: dict[str, Any] = {
    "id": _INT, "embedder": Words, "dim": _INT, "generation": _INT, "merged": sa.BigInteger,
    "token": sa.BigInteger, "n_tracks": sa.BigInteger, "n_sounding": sa.BigInteger,
}  # fmt: skip
_TRACK: dict[str, Any] = {
    "id": _INT, "path": sa.LargeBinary, "size_bytes": sa.BigInteger, "mtime_ns": sa.BigInteger,
    "audio_hash": Words, "title": Words, "artist": Words, "album": Words,
    "duration_s": sa.Double, "is_silent": sa.Boolean, "is_missing": sa.Boolean,
    "damage": Words, "promised_s": sa.Double, "album_artist": Words, "year": _INT,
    "track_number": _INT, "isrc": Words, "mb_recording": Words, "mb_release": Words,
    "mb_artist": Words, "mb_work": Words, "raw_tags": sa.LargeBinary,
    "added_s": sa.Double, "n_segments": sa.BigInteger, "pitches_checksum": sa.BigInteger,
}  # fmt: skip
_SKIP: dict[str, Any] = {
    "path": sa.LargeBinary, "size_bytes": sa.BigInteger, "mtime_ns": sa.BigInteger,
    "reason": Words,
}  # fmt: skip
_SIGNED: dict[str, dict[str, Any]] = {
    "catalog": _CATALOG,
    "track": _TRACK,
    "root": {"path": sa.LargeBinary},
    "skip": _SKIP,
    "label": {"track_id": _INT, "work": Words},
    "removal": {"track_id": _INT, "generation": sa.BigInteger},
}


def upgrade() -> None:
    for name in ("track_number", "isrc", "mb_recording", "mb_release", "mb_artist", "mb_work"):
        kind = _INT if name == "track_number" else sa.String
        op.add_column("track", sa.Column(name, kind))
    op.add_column("track", sa.Column("raw_tags", sa.LargeBinary))
    op.add_column("track", sa.Column("added_s", sa.Double))
    for table, name in (
        ("track", "n_segments"), ("track", "pitches_checksum"), ("catalog", "n_tracks"),
        ("catalog", "n_sounding"), *((table, "checksum") for table in _SIGNED),
    ):  # fmt: skip
        op.add_column(table, sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    connection = op.get_bind()
    _gather_spans(connection)
    _sign_sounds(connection)
    for count, of in (("n_tracks", "track"), ("n_sounding", "embedding")):
        op.execute(f"UPDATE catalog SET {count} = (SELECT count(*) FROM {of})")  # noqa: S608
    for table, columns in _SIGNED.items():
        _sign_rows(connection, table, columns)


def _gather_spans(connection: sa.Connection) -> None:
    of_track = sa.ForeignKey("track.id", ondelete="CASCADE")
    spans = op.create_table(
        "spans",
        sa.Column("track_id", _INT, of_track, primary_key=True),
        sa.Column("spans", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )
    track, segment = _table("track", id=_INT, n_segments=_INT), _table(
        "segment", id=_INT, track_id=_INT, start_s=sa.Double, end_s=sa.Double
    )  # fmt: skip
    for (track_id,) in _in_steps(connection, track.c.id):
        of_it = sa.select(segment.c.start_s, segment.c.end_s).where(segment.c.track_id == track_id)
        found = connection.execute(of_it.order_by(segment.c.id)).all()
        if not found:
            continue
        packed = b"".join(struct.pack("<2d", *span) for span in found)
        checksum = zlib.crc32(packed, track_id & 0xFFFFFFFF)
        connection.execute(
            sa.insert(spans).values(track_id=track_id, spans=packed, checksum=checksum)
        )
        counted = sa.update(track).where(track.c.id == track_id)
        connection.execute(counted.values(n_segments=len(found)))
    op.drop_table("segment")


def _sign_sounds(connection: sa.Connection) -> None:
    kept = _table("recording", track_id=_INT, chroma=sa.LargeBinary, harmony=sa.LargeBinary)
    track = _table("track", id=_INT, pitches_checksum=_INT)
    for track_id, chroma, harmony in _in_steps(connection, *kept.c):
        checksum = zlib.crc32(harmony, zlib.crc32(chroma, track_id & 0xFFFFFFFF))
        signed = sa.update(track).where(track.c.id == track_id)
        connection.execute(signed.values(pitches_checksum=checksum))
    embedding = _table("embedding", track_id=_INT, generation=_INT, checksum=_INT)
    for track_id, generation, checksum in _in_steps(connection, *embedding.c):
        joined = zlib.crc32(generation.to_bytes(8, "little", signed=True), checksum)
        signed = sa.update(embedding).where(embedding.c.track_id == track_id)
        connection.execute(signed.values(checksum=joined))


def _sign_rows(connection: sa.Connection, name: str, columns: dict[str, Any]) -> None:
    table = _table(name, **columns, checksum=sa.BigInteger)
    values = [table.c[column] for column in columns]
    for row in _in_steps(connection, *values):
        checksum = zlib.crc32(marshal.dumps(tuple(row), 2))
        connection.execute(sa.update(table).where(values[0] == row[0]).values(checksum=checksum))


def _table(name: str, **columns: Any) -> sa.TableClause:  # noqa: ANN401 (types)
    return sa.table(name, *(sa.column(column, kind) for column, kind in columns.items()))


def _in_steps(connection: sa.Connection, *columns: sa.ColumnElement[Any]) -> Iterator[Any]:
    """Read rows by their first column, a few at a time: they are changed meanwhile."""
    some = sa.select(*columns).order_by(columns[0]).limit(_AT_ONCE)
    rows = connection.execute(some).all()
    while rows:
        yield from rows
        rows = connection.execute(some.where(columns[0] > rows[-1][0])).all()
