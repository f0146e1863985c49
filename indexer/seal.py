"""The checksum of `catalog.db` as its last writer left it: SQLite has none for its pages.

A writer breaks the seal when it opens a catalog and seals it again when it closes it. A database
that a reader or another writer kept open, that was put back from a copy, or that is too large to
be read through each time, is not sealed; then what decides answers is checked row by row.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import DamagedCatalogError

_NAME = "catalog.sum"
_MAX_BYTES = 1 << 28  # reads through in a fifth of a second
_READ_BYTES = 1 << 20
_VERSION_AT = 60  # where SQLite keeps the user's version
_LINE = re.compile(r"pemr seal (\d+) (\d+) ([0-9a-f]{8}) ([0-9a-f]{8})\n")


@dataclass(frozen=True, slots=True)
class _Seal:
    """What a database was when it was sealed."""

    number: int
    size_bytes: int
    checksum: int


def sealed(folder: Path) -> bool:
    """Seal a catalog that nobody has open any more.

    Parameters
    ----------
    folder : Path
        The catalog's folder. Its database has a `user_version` that it never had before.

    Returns
    -------
    bool
        Whether it was sealed.

    Raises
    ------
    OSError
        If the seal cannot be written.
    """
    database, log = folder / "catalog.db", folder / "catalog.db-wal"
    is_whole = not log.exists() or not log.stat().st_size
    if not is_whole or database.stat().st_size > _MAX_BYTES:
        return False
    seal = _taken(database)
    head = f"pemr seal {seal.number} {seal.size_bytes} {seal.checksum:08x}"
    beside = folder / f"{_NAME}.part"
    beside.write_text(f"{head} {zlib.crc32(head.encode()):08x}\n", encoding="ascii")
    beside.replace(folder / _NAME)
    return True


def break_seal(folder: Path) -> None:
    """Take the seal off, before anything is written."""
    (folder / _NAME).unlink(missing_ok=True)


def check_seal(folder: Path) -> None:
    """Make sure that a sealed database is as it was sealed.

    Parameters
    ----------
    folder : Path
        The catalog's folder.

    Raises
    ------
    DamagedCatalogError
        If it is not.
    """
    while (seal := _read(folder)) is not None:
        found = _taken(folder / "catalog.db")
        if found == seal or found.number != seal.number:  # another number: put back from a copy
            return
        if _read(folder) == seal:  # else somebody has begun to write
            what = f"catalog.db is not what {_NAME} says it was"
            raise DamagedCatalogError(folder, what, f" (delete {_NAME} to read what is left)")


def _read(folder: Path) -> _Seal | None:
    try:
        text = (folder / _NAME).read_bytes().decode("ascii", "replace")
    except OSError:
        return None
    found = _LINE.fullmatch(text)
    if found is None or zlib.crc32(text[:-10].encode()) != int(found[4], 16):
        return None
    return _Seal(int(found[1]), int(found[2]), int(found[3], 16))


def _taken(database: Path) -> _Seal:
    checksum = size_bytes = 0
    number = b""
    with database.open("rb") as file:
        while block := file.read(_READ_BYTES):
            number = number or block[_VERSION_AT : _VERSION_AT + 4]
            checksum = zlib.crc32(block, checksum)
            size_bytes += len(block)
    return _Seal(int.from_bytes(number, "big"), size_bytes, checksum)
