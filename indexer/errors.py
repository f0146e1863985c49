"""What can go wrong in this room.

::

    IndexerError
    ├── FolderError
    ├── ChangedFileError
    ├── CatalogError
    │   ├── NoCatalogError
    │   ├── ForeignEmbedderError
    │   ├── NewerSchemaError
    │   ├── DamagedCatalogError
    │   └── CatalogWriteError
    ├── DamagedTrackError
    ├── DamagedRowError
    ├── FilterError
    ├── VectorStoreError
    ├── ClusterError
    └── LabelError
"""

from pathlib import Path

from indexer.address import Place


class IndexerError(Exception):
    """Any error of this room that the user can do something about."""


class FolderError(IndexerError):
    """A folder to scan is missing, not a folder, or unreadable.

    Parameters
    ----------
    path : Path
        The folder.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ChangedFileError(IndexerError):
    """A file was written to while it was read, so nobody knows what was heard.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.reason = "changed while it was read; the next `pemr index` takes it up again"

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class CatalogError(IndexerError):
    """The catalog cannot be used as asked.

    Parameters
    ----------
    path : Path or Address
        Where the catalog is.
    reason : str
        What is wrong with it, and the way out.
    """

    def __init__(self, path: Place, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"catalog {self.path}: {self.reason}"


class NoCatalogError(CatalogError):
    """There is no catalog in this place."""

    def __init__(self, path: Place) -> None:
        super().__init__(path, "there is none here; make one with `pemr index FOLDER`")


class ForeignEmbedderError(CatalogError):
    """The catalog was made by another embedder than the one asked for.

    Parameters
    ----------
    path : Path or Address
        Where the catalog is.
    stored, asked : str
        Names of the embedder in the catalog, and of the one asked for.
    """

    def __init__(self, path: Place, stored: str, asked: str) -> None:
        super().__init__(
            path,
            f"made by embedder {stored!r}, not {asked!r}; "
            f"`pemr reembed --embedder {asked.split('@', maxsplit=1)[0]}` changes it over, "
            f"or name the checkpoint it was made with: --embedder FOLDER",
        )
        self.stored = stored
        self.asked = asked


class NewerSchemaError(CatalogError):
    """The catalog was written by a newer pemr."""

    def __init__(self, path: Place) -> None:
        super().__init__(path, "written by a newer pemr; upgrade pemr to read it")


class DamagedCatalogError(CatalogError):
    """What the catalog holds is not what was written.

    Parameters
    ----------
    path : Path or Address
        Where the catalog is.
    what : str
        What is damaged.
    way_out : str
        What else can be done than to take a copy.
    """

    def __init__(self, path: Place, what: str, way_out: str = "") -> None:
        super().__init__(
            path,
            f"damaged: {what}; put a copy of the folder back, or delete it and index again"
            + way_out
            if isinstance(path, Path)
            else f"damaged: {what}; put a copy of it back, or index into an empty database",
        )
        self.what = what


class DamagedTrackError(IndexerError):
    """What the catalog holds of one track is not what was written.

    Parameters
    ----------
    track_id : int
        Of the track.
    what : str
        What is damaged: `vectors`, `chroma`, ...
    path : Path or None
        Its file, as far as that can be read.
    """

    def __init__(self, track_id: int, what: str, path: Path | None = None) -> None:
        super().__init__(track_id, what, path)
        self.track_id = track_id
        self.what = what
        self.path = path

    def __str__(self) -> str:
        name = "whose path `pemr list --json` has" if self.path is None else str(self.path)
        return (
            f"the catalog's {self.what} of track {self.track_id} are damaged; put a copy of the "
            f"catalog back, or remove that track ({name}) and index it again"
        )


class DamagedRowError(IndexerError):
    """A row of the catalog that belongs to no track is not what was written.

    Parameters
    ----------
    table : str
        Which table holds it.
    """

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def __str__(self) -> str:
        return (
            f"the catalog's table {self.table!r} is damaged; put a copy of the catalog back, or "
            "delete it and index again"
        )


class CatalogWriteError(CatalogError):
    """The catalog cannot be written: read-only, or the disk is full."""


class VectorStoreError(IndexerError):
    """An engine that keeps a catalog's vectors cannot be used as asked.

    Parameters
    ----------
    address : str
        Where it is.
    reason : str
        What is wrong, and the way out.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


class FilterError(IndexerError):
    """A wish for some of the tracks cannot be read.

    Parameters
    ----------
    name, value : str
        What is wished for, and how it was written.
    reason : str
        How it is written.
    """

    def __init__(self, name: str, value: str, reason: str) -> None:
        super().__init__(name, value, reason)
        self.name = name
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} {self.value!r} cannot be read: {self.reason}"


class ClusterError(IndexerError):
    """The machines that are to embed cannot be reached, or fail.

    Parameters
    ----------
    reason : str
        What is wrong, and the way out.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}; what was stored is safe"


class LabelError(IndexerError):
    """A table of files and works cannot be read.

    Parameters
    ----------
    path : Path
        The table.
    reason : str
        What is wrong.
    line : int or None
        In which of its lines.
    """

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(path, reason, line)
        self.path = path
        self.reason = reason
        self.line = line

    def __str__(self) -> str:
        place = "" if self.line is None else f", line {self.line}"
        return f"{self.path}{place}: {self.reason}"
