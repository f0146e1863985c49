"""Keep the address of an engine for the vectors; those of before are in files."""

import marshal
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

from indexer.schema import Words

revision = "0008"
down_revision = "0007"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("catalog", sa.Column("vectors", sa.String, nullable=False, server_default=""))
    numbers = ("dim", "generation", "merged", "token", "n_tracks", "n_sounding")
    columns: list[sa.ColumnClause[Any]] = [sa.column("id", _INT), sa.column("embedder", Words())]
    columns += [sa.column(name, _INT) for name in numbers]
    table = sa.table("catalog", *columns, sa.column("checksum", sa.BigInteger))
    connection = op.get_bind()
    for *values, checksum in connection.execute(sa.select(*columns, table.c.checksum)).all():
        if zlib.crc32(marshal.dumps(tuple(values), 2)) == checksum:  # else it stays damaged
            new = zlib.crc32(marshal.dumps((*values, ""), 2))
            connection.execute(sa.update(table).values(checksum=new))
