"""A catalog's database made ready to be written: locked, brought up to date, made if need be."""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import database, repair, states
from indexer.address import Place
from indexer.embedder import Embedder
from indexer.postgresql import ServerLock, making

Lock = database.WriterLock | ServerLock
"""What keeps others out: of a folder all who write, of a server those who must be alone."""


def prepared(
    place: Place, embedder: Embedder | None, undo: ExitStack, *, is_alone: bool
) -> tuple[Lock, Engine]:
    """Lock and open a database, bring it up to date, and make a catalog where there is none.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    embedder : Embedder or None
        With which a catalog is made where there is none.
    undo : ExitStack
        Told how to let go of both.
    is_alone : bool
        Whether nobody else may write to a server meanwhile.

    Returns
    -------
    lock : WriterLock or ServerLock
    engine : Engine

    Raises
    ------
    CatalogError
        If it cannot be opened so.
    """
    if isinstance(place, Path):
        lock: Lock = database.WriterLock(place)
        undo.callback(lock.release)
        engine = database.open_engine(place, read_only=False)
        undo.callback(engine.dispose)
        database.migrate(engine, place)
        database.unseal(engine, place)
        if embedder is not None:
            with Session(engine) as session, session.begin():
                if states.make(session, embedder.name, embedder.dim):
                    repair.delete_files(place)
        return lock, engine
    engine = database.open_engine(place, read_only=False)
    undo.callback(engine.dispose)
    database.migrate(engine, place)
    if embedder is not None:
        with making(engine) as connection, Session(connection) as session:
            states.make(session, embedder.name, embedder.dim)
    lock = ServerLock(engine, place, is_alone=is_alone)
    undo.callback(lock.release)
    return lock, engine
