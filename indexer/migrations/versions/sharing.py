"""Let many processes on many machines share a catalog on a server."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("generation", _INT, primary_key=True, autoincrement=False),
        sa.Column("token", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "claim",
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("owner", _INT),
        sa.Column("audio_hash", sa.String),
    )
    op.create_index("ix_claim_owner", "claim", ["owner"])
    is_taken = sa.text("owner IS NOT NULL")
    op.create_index(
        "ix_claim_audio_hash", "claim", ["audio_hash"], unique=True,
        sqlite_where=is_taken, postgresql_where=is_taken,
    )  # fmt: skip
