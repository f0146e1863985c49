"""Rows of `catalog.db` that carry a checksum: signed when they are written, checked when read.

What goes through the objects of `indexer.schema` is signed and checked by events of these; lists
are read and changed as plain values, by the functions below.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    event,
    inspect,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, Mapper, Session
from sqlalchemy.orm.attributes import InstrumentedAttribute, set_committed_value

from indexer.errors import DamagedRowError, DamagedTrackError
from indexer.packing import row_checksum
from indexer.schema import (
    Base,
    CatalogRow,
    LabelRow,
    RemovalRow,
    RootRow,
    SkipRow,
    TrackRow,
    Words,
    unescaped,
)

_AT_ONCE = 500  # ids in one statement; databases bound them

_PLAIN = {bool, bytes, float, int, str, type(None)}

_UNSIGNED = {"checksum", "path_text"}
"""The latter is for people who look into the database; nothing here reads it."""

_SIGNED: tuple[type[Base], ...] = (CatalogRow, LabelRow, RemovalRow, RootRow, SkipRow, TrackRow)


def _names(kind: type[Base]) -> tuple[str, ...]:
    unsigned = _UNSIGNED | ({"id"} if kind is RootRow else set())  # its id means nothing
    return tuple(column.key for column in inspect(kind).columns if column.key not in unsigned)


NAMES = {kind: _names(kind) for kind in _SIGNED}
"""What is signed of each kind of row, in order."""


def _plain(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Read text as it is stored; what is escaped in it is seen by its checksum, and seldom."""
    of_it: ColumnElement[Any] = column.expression
    return type_coerce(of_it, String) if isinstance(of_it.type, Words) else of_it


_COLUMNS = {
    kind: [_plain(getattr(kind, name)) for name in (*names, "checksum")]
    for kind, names in NAMES.items()
}


def rows(
    session: Session, kind: type[Base], *conditions: ColumnElement[bool]
) -> Iterator[tuple[Any, ...]]:
    """Read the rows that meet some conditions, by their first column, each of them checked.

    Parameters
    ----------
    session : Session
        Of the catalog.
    kind : type
        Which table.
    *conditions : column elements
        What the rows must meet.

    Yields
    ------
    tuple
        The values that `NAMES` names.

    Raises
    ------
    DamagedTrackError, DamagedRowError
        If one is not what was written.
    """
    columns = _COLUMNS[kind]
    asked = select(*columns).where(*conditions).order_by(columns[0])
    streamed = asked.execution_options(yield_per=_AT_ONCE)  # makes no garbage to be looked for
    for found in session.connection().execute(streamed):
        row, checksum = found[:-1], found[-1]
        if row_checksum(row) != checksum:
            row = tuple(unescaped(one) if isinstance(one, str) else one for one in row)
            if row_checksum(row) != checksum:
                raise _damage(kind, row)
        yield row


def signature(**values: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever a row holds)
    """Join the checksum of a row to its values, which are given in the order of its columns."""
    return values | {"checksum": row_checksum(tuple(values.values()))}


def change_tracks(session: Session, track_ids: Sequence[int], **changes: Any) -> None:  # noqa: ANN401
    """Change some columns of some tracks, and sign these."""
    names = NAMES[TrackRow]
    changed = []
    are_these = TrackRow.id.in_(track_ids)
    session.execute(select(TrackRow.id).where(are_these).with_for_update())
    for row in rows(session, TrackRow, are_these):
        values = dict(zip(names, row, strict=True)) | changes
        found = row_checksum(tuple(values.values()))
        changed.append({"which": values["id"], "checksum": found, **changes})
    if changed:
        statement = update(TrackRow).where(TrackRow.id == bindparam("which"))
        session.connection().execute(statement, changed)


def some_of(
    session: Session, statement: Select[*tuple[Any, ...]], column: Mapped[int], ids: Sequence[int]
) -> Iterator[Any]:
    """Yield what a statement finds of some ids, which may be very many."""
    for some in batched(ids):
        yield from session.execute(statement.where(column.in_(some)))


def batched(ids: Iterable[int]) -> Iterator[list[int]]:
    """Cut a list of ids into lists that one statement can name."""
    rest = iter(ids)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _values(row: Base) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in NAMES[type(row)])


def _damage(kind: type[Base], values: tuple[Any, ...]) -> DamagedTrackError | DamagedRowError:
    if kind is TrackRow and isinstance(values[0], int):
        path = Path(os.fsdecode(values[1])) if isinstance(values[1], bytes) else None
        return DamagedTrackError(values[0], "facts", path)
    if kind is LabelRow and isinstance(values[0], int):
        return DamagedTrackError(values[0], "labels")
    return DamagedRowError(kind.__tablename__)


def _check(row: Any, context: object) -> None:  # noqa: ANN401 (an event of any of the rows)
    values = _values(row)
    if context is not None and row_checksum(values) != row.checksum:  # None: made by a merge
        raise _damage(type(row), values)


def _fill(row: Any) -> None:  # noqa: ANN401
    for column in inspect(type(row)).columns:
        if getattr(row, column.key) is None and column.default is not None:
            setattr(row, column.key, column.default.arg)


def _sign(_mapper: Mapper[Any], _connection: Connection, row: Any) -> None:  # noqa: ANN401
    _fill(row)
    values = _values(row)
    if not _PLAIN.issuperset(map(type, values)):  # NumPy's numbers are written otherwise
        raise TypeError(f"not all plain values: {values}")
    row.checksum = row_checksum(values)


def _sign_numbered(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:  # noqa: ANN401
    """Sign a row that has got its id from the database."""
    found = row_checksum(_values(row))
    connection.execute(update(TrackRow).where(TrackRow.id == row.id).values(checksum=found))
    set_committed_value(row, "checksum", found)


for _kind in _SIGNED:
    event.listen(_kind, "load", _check)
    event.listen(_kind, "before_insert", _sign)
    event.listen(_kind, "before_update", _sign)
event.listen(TrackRow, "after_insert", _sign_numbered)
