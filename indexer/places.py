"""Where a user keeps things: the folder of a catalog, and what `~` stands for."""

from pathlib import Path

from platformdirs import user_data_path

from indexer.errors import FolderError


def catalog_folder(given: Path | None = None) -> Path:
    """Find the folder of the catalog.

    Parameters
    ----------
    given : Path or None
        What the user says, by option or environment; `~` stands for the home folder.

    Returns
    -------
    Path
        That, or else the platform's folder for a user's data.

    Raises
    ------
    FolderError
        If it is in the home folder and there is none.
    """
    return expanded(user_data_path("pemr", appauthor=False) if given is None else given)


def expanded(path: Path) -> Path:
    """Put the home folder in place of a leading `~`.

    Raises
    ------
    FolderError
        If there is no home folder, or no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        reason = "there is no home folder here; name a folder with --catalog or PEMR_CATALOG"
        raise FolderError(path, reason) from error
