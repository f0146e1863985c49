"""Count folders, labels and skipped files, as tracks are counted: one that is lost is missed."""

import marshal
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

from indexer.schema import Words

revision = "0009"
down_revision = "0008"

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNTS = {"n_roots": "root", "n_labels": "label", "n_skips": "skip"}
_NUMBERS = ("dim", "generation", "merged", "token", "n_tracks", "n_sounding")


def upgrade() -> None:
    columns: list[sa.ColumnClause[Any]] = [sa.column("id", _INT), sa.column("embedder", Words())]
    columns += [sa.column(name, _INT) for name in _NUMBERS]
    columns.append(sa.column("vectors", Words()))
    table = sa.table("catalog", *columns, sa.column("checksum", sa.BigInteger))
    connection = op.get_bind()
    found = connection.execute(sa.select(*columns, table.c.checksum)).all()
    for name, of in _COUNTS.items():
        kind = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("catalog", kind)
        op.execute(f"UPDATE catalog SET {name} = (SELECT count(*) FROM {of})")  # noqa: S608 (our own text)
    counted = sa.table("catalog", *(sa.column(name, _INT) for name in _COUNTS))
    for *values, checksum in found:
        if zlib.crc32(marshal.dumps(tuple(values), 2)) == checksum:  # else it stays damaged
            counts = connection.execute(sa.select(*counted.c)).one()
            new = zlib.crc32(marshal.dumps((*values, *counts), 2))
            connection.execute(sa.update(table).values(checksum=new))
