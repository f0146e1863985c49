"""Where a user keeps things: the catalog, and the folder of caches."""

import re
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from indexer.address import Address, Place
from indexer.errors import FolderError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+]+:/")  # at least two letters: C:/ is a drive


def catalog_place(given: str | Path | None = None) -> Place:
    """Find the catalog.

    Parameters
    ----------
    given : str, Path or None
        What the user says, by option or environment: a folder, whose leading `~` stands for the
        home folder, or `postgresql://USER@HOST/DATABASE`.

    Returns
    -------
    Path or Address
        That, or else the platform's folder for a user's data.

    Raises
    ------
    FolderError
        If it is in the home folder and there is none, or an address of another kind of database.
    """
    if isinstance(given, str) and Address.is_one(given):
        return Address(given)
    if isinstance(given, str) and _SCHEME.match(given):
        reason = "is neither a folder nor an address like postgresql://user@host/database"
        raise FolderError(Path(str(Address(given))), reason)
    folder = Path(given) if given else None
    return _found(folder, user_data_path, "--catalog or PEMR_CATALOG")


def cache_root(given: str | None = None) -> Path:
    """Find the folder for what can be made again.

    Parameters
    ----------
    given : str or None
        What the user says by the environment; a leading `~` stands for the home folder.

    Returns
    -------
    Path
        That, or else the platform's folder for a user's caches.

    Raises
    ------
    FolderError
        If it is in the home folder and there is none.
    """
    return _found(Path(given) if given else None, user_cache_path, "PEMR_CACHE")


def _found(given: Path | None, default: Callable[..., Path], way_out: str) -> Path:
    try:
        found = given.expanduser() if given else default("pemr", appauthor=False).expanduser()
    except RuntimeError as error:
        reason = f"there is no such home folder here; name another folder with {way_out}"
        raise FolderError(given or Path("~"), reason) from error
    return found
