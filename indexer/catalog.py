"""The catalog: tracks, segments and vectors of a collection, in one folder on disk.

Here it is opened. What it can be asked is in `indexer.reader`, what changes it in `indexer.writer`.
"""

from contextlib import ExitStack
from typing import Self

from sqlalchemy.orm import Session

from indexer import database, statements
from indexer.address import Address, Place
from indexer.embedder import Embedder
from indexer.errors import NoCatalogError
from indexer.kept import likeness, tidy
from indexer.reader import Reader
from indexer.writer import Writer


class Catalog(Reader):
    """A catalog that is only read; make it with `Catalog.open`."""

    @classmethod
    def open(cls, place: Place, embedder_name: str | None = None) -> Self:
        """Open a catalog to be read; nothing of it is ever written, and no writer is kept out.

        Parameters
        ----------
        place : Path or Address
            Where the catalog is.
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
        place = tidy(place)
        if not database.is_there(place):
            raise NoCatalogError(place)
        with ExitStack() as undo:
            engine = database.open_engine(place, read_only=True)
            undo.callback(engine.dispose)
            database.check_revision(engine, place)
            opened = cls(place, engine)
            opened.refuse_foreign(embedder_name)
            undo.pop_all()
        return opened

    @staticmethod
    def write(place: Place, embedder: Embedder | None = None, *, is_alone: bool = False) -> Writer:
        """Open a catalog to be written, or make one; see `indexer.writer.Writer`.

        Parameters
        ----------
        place : Path or Address
            Where the catalog is.
        embedder : Embedder or None
            The embedder to use it with. With it a catalog is made where there is none; without
            it, no embeddings can be added.
        is_alone : bool
            Whether nobody else may write meanwhile. So it is in a folder in any case; to a
            database on a server many processes may write.

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
        return Writer.open_for(place, embedder, is_alone=is_alone)

    @staticmethod
    def database_at(place: Place) -> int:
        """Tell one database that lies in a place from another: the inode of the file in a folder.

        Raises
        ------
        NoCatalogError
            If there is none in the folder.
        """
        if isinstance(place, Address):  # it is told when it is next asked
            return 0
        if not database.is_there(place):
            raise NoCatalogError(place)
        return likeness(place / "catalog.db")[0]

    @staticmethod
    def embedder_of(place: Place) -> str:
        """Name the embedder that a catalog was made with, whatever pemr wrote it.

        Raises
        ------
        NoCatalogError
            If there is no catalog in this place.
        NewerSchemaError
            If a newer pemr wrote it.
        """
        place = tidy(place)
        if not database.is_there(place):
            raise NoCatalogError(place)
        engine = database.open_engine(place, read_only=True)
        try:
            database.check_revision(engine, place, may_be_older=True)
            with Session(engine) as session:
                name = statements.embedder_name(session)
        finally:
            engine.dispose()
        if name is None:
            raise NoCatalogError(place)
        return name
