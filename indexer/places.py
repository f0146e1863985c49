"""Where a user keeps things: the folder of the catalog, and that of caches."""

from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from indexer.errors import FolderError


def catalog_folder(given: Path | None = None) -> Path:
    """Find the folder of the catalog.

    Parameters
    ----------
    given : Path or None
        What the user says, by option or environment; a leading `~` stands for the home folder.

    Returns
    -------
    Path
        That, or else the platform's folder for a user's data.

    Raises
    ------
    FolderError
        If it is in the home folder and there is none.
    """
    return _found(given, user_data_path, "--catalog or PEMR_CATALOG")


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
