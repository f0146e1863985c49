"""A catalog's folder → a catalog for every call, also where the folder was put there anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from indexer import Catalog, NoCatalogError

Stamp = tuple[tuple[int, int, int], ...]


class Shelf:
    """Keeps a catalog open for all threads, as long as it lies where it lay.

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
        self._open: tuple[int, Catalog] | None = None
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
        catalog = self._opened(self.stamp()[0][0])
        with catalog.snapshot():
            yield catalog

    def stamp(self) -> Stamp:
        """Tell one state of the catalog's files from another: inode, size and date of each.

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
        """Let go of the catalog."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
            self._open = None

    def _opened(self, inode: int) -> Catalog:
        with self._lock:
            if self._open is None or self._open[0] != inode:
                if self._open is not None:
                    self._open[1].close()
                self._open = (inode, Catalog.open(self.folder, self.embedder_name))
            return self._open[1]


def _likeness(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
