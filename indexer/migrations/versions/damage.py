"""Say which tracks are damaged, mark hashes of packets alone, and give vectors a checksum."""

import zlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_AT_ONCE = 256


def upgrade() -> None:
    op.add_column("track", sa.Column("damage", sa.String, nullable=False, server_default=""))
    op.add_column("track", sa.Column("promised_s", sa.Double))
    op.execute("UPDATE track SET audio_hash = 'packets:' || audio_hash")
    checksum = sa.Column("checksum", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("embedding", checksum)
    embedding = sa.table(
        "embedding", sa.column("track_id"), sa.column("vectors"), sa.column("checksum")
    )
    connection = op.get_bind()
    last = 0
    while True:
        some = sa.select(embedding.c.track_id, embedding.c.vectors)
        some = some.where(embedding.c.track_id > last).order_by(embedding.c.track_id)
        rows = connection.execute(some.limit(_AT_ONCE)).all()
        if not rows:
            break
        last = rows[-1].track_id
        for track_id, vectors in rows:
            found = zlib.crc32(vectors, track_id & 0xFFFFFFFF)
            which = embedding.c.track_id == track_id
            connection.execute(sa.update(embedding).where(which).values(checksum=found))
