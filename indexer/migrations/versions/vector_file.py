"""Say of each track when its vectors came and went, and which vector file belongs to the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table, name, default in (
        ("catalog", "merged", "-1"),
        ("catalog", "token", "0"),
        ("embedding", "generation", "0"),
    ):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default=default)
        op.add_column(table, column)
    op.create_index("ix_embedding_generation", "embedding", ["generation"])
    op.create_table(
        "removal",
        sa.Column("track_id", _INT, primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    missing = sa.text("is_missing")
    op.create_index(
        "ix_track_missing", "track", ["id"], sqlite_where=missing, postgresql_where=missing
    )
