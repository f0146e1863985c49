"""Keep recordings: chroma moves in; spectrograms stay empty until a file is read again."""

import zlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_AT_ONCE = 256


def upgrade() -> None:
    of_track = sa.ForeignKey("track.id", ondelete="CASCADE")
    recording = op.create_table(
        "recording",
        sa.Column("track_id", _INT, of_track, primary_key=True),
        sa.Column("chroma", sa.LargeBinary, nullable=False),
        sa.Column("harmony", sa.LargeBinary, nullable=False),
        sa.Column("spectrogram", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )
    chroma = sa.table("chroma", sa.column("track_id"), sa.column("frames"))
    connection = op.get_bind()
    last = 0
    while True:
        some = sa.select(chroma).where(chroma.c.track_id > last).order_by(chroma.c.track_id)
        rows = connection.execute(some.limit(_AT_ONCE)).all()
        if not rows:
            break
        last = rows[-1].track_id
        connection.execute(sa.insert(recording), [_recording(*row) for row in rows])
    op.drop_table("chroma")


def _recording(track_id: int, chroma: bytes) -> dict[str, int | bytes]:
    return {
        "track_id": track_id,
        "chroma": chroma,
        "harmony": b"",
        "spectrogram": b"",
        "checksum": zlib.crc32(chroma),
    }
