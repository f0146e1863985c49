"""Make the first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "catalog",
        sa.Column("id", _INT, primary_key=True),
        sa.Column("embedder", sa.String, nullable=False),
        sa.Column("dim", _INT, nullable=False),
        sa.Column("generation", _INT, nullable=False),
    )
    op.create_table(
        "root",
        sa.Column("id", _INT, primary_key=True),
        sa.Column("path", sa.LargeBinary, nullable=False, unique=True),
    )
    op.create_table(
        "track",
        sa.Column("id", _INT, primary_key=True),
        sa.Column("path", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("path_text", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("audio_hash", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("artist", sa.String),
        sa.Column("album", sa.String),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("is_silent", sa.Boolean, nullable=False),
        sa.Column("is_missing", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_track_audio_hash", "track", ["audio_hash"])
    op.create_table(
        "segment",
        sa.Column("id", _INT, primary_key=True),
        sa.Column("track_id", _INT, _of_track(), nullable=False),
        sa.Column("start_s", sa.Double, nullable=False),
        sa.Column("end_s", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_segment_track_id", "segment", ["track_id"])
    _attach("embedding", sa.Column("vectors", sa.LargeBinary, nullable=False))
    _attach("chroma", sa.Column("frames", sa.LargeBinary, nullable=False))
    _attach("label", sa.Column("work", sa.String, nullable=False))
    op.create_table(
        "skip",
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
    )


def _of_track() -> sa.ForeignKey:
    return sa.ForeignKey("track.id", ondelete="CASCADE")


def _attach(table: str, column: sa.Column[Any]) -> None:
    op.create_table(table, sa.Column("track_id", _INT, _of_track(), primary_key=True), column)
