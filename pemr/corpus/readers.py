"""A folder of score archives → plain scores, malformed ones named and skipped.

An archive is a zip file or a folder of the same name.
"""

import logging
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pemr.corpus.midi import pop909_song
from pemr.corpus.notation import lead_sheet
from pemr.corpus.scores import Score, Skipped, clean
from pemr.errors import CorpusError, ScoreError

log = logging.getLogger(__name__)

Read = Callable[[], Score]


class File(NamedTuple):
    """One file of an archive: its path there, and what it holds."""

    path: PurePosixPath
    data: bytes


def read_scores(directory: Path) -> Iterator[Score | Skipped]:
    """Read every score of the archives in a folder.

    Parameters
    ----------
    directory : Path
        Holds ``pop909``, ``openewld``, ``folk`` and ``hymns``, any of them,
        each as a zip file or as a folder.

    Yields
    ------
    Score or Skipped
        In an order that depends on the archives alone.

    Raises
    ------
    CorpusError
        If none of the archives is there, or one is not a zip file.
    """
    found = [name for name in ARCHIVES if _is_there(directory, name)]
    if not found:
        names = ", ".join(f"{name}.zip" for name in ARCHIVES)
        raise CorpusError(f"{directory}: no scores here; there should be any of {names}")
    for archive in found:
        log.info("reading %s", archive)
        for source, read in ARCHIVES[archive](_files(directory, archive)):
            yield _attempt(source, read)


def _attempt(source: str, read: Read) -> Score | Skipped:
    """Read one score; whatever a parser makes of a malformed one is a reason to skip it."""
    try:
        return clean(read())
    except ScoreError as error:
        return Skipped(source, error.reason)
    except Exception as error:  # parsers raise anything on malformed input
        return Skipped(source, f"malformed: {type(error).__name__}: {error}".split("\n")[0])


def _is_there(directory: Path, archive: str) -> bool:
    return (directory / archive).is_dir() or (directory / f"{archive}.zip").is_file()


def _files(directory: Path, archive: str) -> Iterator[File]:
    """Walk an archive in the order of its paths, zipped or unpacked."""
    folder, packed = directory / archive, directory / f"{archive}.zip"
    if folder.is_dir():
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield File(PurePosixPath(path.relative_to(directory).as_posix()), path.read_bytes())
        return
    try:
        with zipfile.ZipFile(packed) as archived:
            for name in sorted(archived.namelist()):
                if not name.endswith("/"):
                    yield File(PurePosixPath(name), archived.read(name))
    except (zipfile.BadZipFile, OSError) as error:
        raise CorpusError(f"{packed}: not a readable zip file") from error


def _pop909(files: Iterator[File]) -> Iterator[tuple[str, Read]]:
    songs: dict[str, dict[str, bytes]] = {}
    for path, data in files:
        if path.parent.name.isdigit():
            songs.setdefault(path.parent.name, {})[path.name] = data
    for number, song in songs.items():
        source = f"pop909/{number}"
        yield source, partial(pop909_song, source, song)


def _openewld(files: Iterator[File]) -> Iterator[tuple[str, Read]]:
    for path, data in files:
        if path.suffix == ".mxl":
            source = f"openewld/{path.stem}"
            yield source, partial(lead_sheet, source, data)


ARCHIVES: dict[str, Callable[[Iterator[File]], Iterator[tuple[str, Read]]]] = {
    "pop909": _pop909,
    "openewld": _openewld,
}
