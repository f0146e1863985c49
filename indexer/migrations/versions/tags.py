"""Keep the year and the album's artist; files say them when they are next read."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("track", sa.Column("album_artist", sa.String))
    op.add_column("track", sa.Column("year", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
