"""A catalog's folder → readers of its present state, one for each call that is under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from indexer import Catalog, NoCatalogError

_MAX_IDLE = 4  # readers that wait for the next call

Stamp = tuple[tuple[int, int, int], ...]


class Shelf:
    """Lends readers of a catalog to threads; what another process writes is seen by the next call.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    embedder_name : str
        The embedder that it must have been made with.
    """

    def __init__(self, folder: Path, embedder_name: str) -> None:
        self.folder = folder
        self.embedder_name = embedder_name
        self._idle: list[tuple[Stamp, Catalog]] = []
        self._lock = Lock()

    @contextmanager
    def reader(self) -> Iterator[Catalog]:
        """Lend a reader for as long as one call lasts.

        Yields
        ------
        Catalog
            For this thread alone.

        Raises
        ------
        CatalogError
            If the catalog is gone, busy, damaged, or of another embedder or version.
        """
        stamp = self.stamp()
        catalog = self._taken(stamp)
        if catalog is None:
            catalog = Catalog.open(self.folder, self.embedder_name, read_only=True)
        try:
            yield catalog
        except BaseException:
            catalog.close()
            raise
        self._give_back(stamp, catalog)

    def stamp(self) -> Stamp:
        """Tell one state of the catalog's files from another.

        Raises
        ------
        NoCatalogError
            If there is no catalog.
        """
        if not (self.folder / "catalog.db").is_file():
            raise NoCatalogError(self.folder)
        files = (self.folder / "catalog.db", self.folder / "catalog.db-wal")
        return tuple(_likeness(file) for file in files)

    def close(self) -> None:
        """Close the readers that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, catalog in idle:
            catalog.close()

    def _taken(self, stamp: Stamp) -> Catalog | None:
        with self._lock:
            outdated = [catalog for old, catalog in self._idle if old != stamp]
            self._idle = [one for one in self._idle if one[0] == stamp]
            found = self._idle.pop()[1] if self._idle else None
        for catalog in outdated:
            catalog.close()
        return found

    def _give_back(self, stamp: Stamp, catalog: Catalog) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append((stamp, catalog))
                return
        catalog.close()


def _likeness(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
