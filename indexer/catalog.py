"""The catalog: tracks, segments and vectors of a collection, in one folder on disk.

Here it is opened. What it can be asked is in `indexer.reader`, what changes it in `indexer.writer`.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from indexer import database, statements
from indexer.embedder import Embedder
from indexer.errors import NoCatalogError
from indexer.reader import Reader
from indexer.scan import absolute
from indexer.writer import Writer


class Catalog(Reader):
    """A catalog that is only read; make it with `Catalog.open`."""

    @classmethod
    def open(cls, path: Path, embedder_name: str | None = None) -> Self:
        """Open a catalog to be read; nothing of it is ever written, and no writer is kept out.

        Parameters
        ----------
        path : Path
            The catalog's folder.
        embedder_name : str or None
            The embedder to use it with; None where none is used.

        Raises
        ------
        NoCatalogError
            If there is none here.
        ForeignEmbedderError
            If it was made by another embedder.
        NewerSchemaError
            If a newer pemr wrote it.
        CatalogError
            If an older pemr wrote it, or it is damaged.
        """
        path = absolute(path)
        if not database.is_there(path):
            raise NoCatalogError(path)
        with ExitStack() as undo:
            engine = database.open_engine(path, read_only=True)
            undo.callback(engine.dispose)
            database.check_revision(engine, path)
            opened = cls(path, engine)
            opened.refuse_foreign(embedder_name)
            undo.pop_all()
        return opened

    @staticmethod
    def write(path: Path, embedder: Embedder | None = None) -> Writer:
        """Open a catalog to be written, or make one; see `indexer.writer.Writer`.

        Parameters
        ----------
        path : Path
            The catalog's folder.
        embedder : Embedder or None
            The embedder to use it with. With it a catalog is made where there is none; without
            it, no embeddings can be added.

        Raises
        ------
        NoCatalogError
            If there is none here, and no embedder to make one for.
        ForeignEmbedderError
            If it was made by another embedder.
        NewerSchemaError
            If a newer pemr wrote it.
        CatalogWriteError
            If it cannot be written, or another process is writing.
        """
        return Writer.open_for(path, embedder)

    @staticmethod
    def embedder_of(path: Path) -> str:
        """Name the embedder that a catalog was made with, whatever pemr wrote it.

        Raises
        ------
        NoCatalogError
            If there is no catalog in this folder.
        NewerSchemaError
            If a newer pemr wrote it.
        """
        path = absolute(path)
        if not database.is_there(path):
            raise NoCatalogError(path)
        engine = database.open_engine(path, read_only=True)
        try:
            database.check_revision(engine, path, may_be_older=True)
            with Session(engine) as session:
                name = statements.embedder_name(session)
        finally:
            engine.dispose()
        if name is None:
            raise NoCatalogError(path)
        return name
