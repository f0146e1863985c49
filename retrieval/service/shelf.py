"""Where a catalog is → a catalog for every call, also where a folder was put there anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from indexer import Address, Catalog

Stamp = tuple[object, ...]


class Shelf:
    """Keeps a catalog open for all threads, as long as it lies where it lay.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    embedder_name : str
        The embedder that it must have been made with.
    """

    def __init__(self, place: Path | Address, embedder_name: str) -> None:
        self.place = place
        self.embedder_name = embedder_name
        self._open: tuple[object, Catalog] | None = None
        self._lock = Lock()

    @contextmanager
    def reader(self) -> Iterator[Catalog]:
        """Lend the catalog to a call, which is answered from one state of it.

        Yields
        ------
        Catalog

        Raises
        ------
        CatalogError
            If the catalog is gone, busy, damaged, or of another embedder or version.
        """
        catalog = self._opened()
        with catalog.snapshot():
            yield catalog

    def stamp(self) -> Stamp:
        """Tell one state of the catalog from another.

        Raises
        ------
        NoCatalogError
            If there is no catalog.
        """
        return self._opened().stamp()

    def close(self) -> None:
        """Let go of the catalog."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
            self._open = None

    def _opened(self) -> Catalog:
        with self._lock:
            database = Catalog.database_at(self.place)
            if self._open is None or self._open[0] != database:
                if self._open is not None:
                    self._open[1].close()
                self._open = (database, Catalog.open(self.place, self.embedder_name))
            return self._open[1]
