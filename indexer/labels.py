"""Which track is a performance of which work, from a CSV file with the columns path and work."""

import csv
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import LabelError
from indexer.scan import absolute
from indexer.writer import Writer


def label(catalog: Writer, source: Path) -> list[Path]:
    """Label tracks as a file says.

    Parameters
    ----------
    catalog : Writer
        Whose tracks.
    source : Path
        CSV in UTF-8; its first line names the columns, `path` and `work` among them. Relative
        paths start at the file's folder.

    Returns
    -------
    list of Path
        Files that are not in the catalog, so could not be labelled.

    Raises
    ------
    LabelError
        If the file cannot be read or a line of it is wrong; then nothing is labelled.
    """
    ids = {track.path: track.id for track in catalog.tracks()}
    works: dict[int, str] = {}
    unknown = []
    for path, work in read_labels(source):
        if path in ids:
            works[ids[path]] = work
        else:
            unknown.append(path)
    catalog.set_labels(works)
    return unknown


def read_labels(source: Path) -> Iterator[tuple[Path, str]]:
    """Read pairs of absolute path and work from a CSV file.

    Parameters
    ----------
    source : Path
        See `label`.

    Yields
    ------
    tuple of Path and str
        In the order of the file.

    Raises
    ------
    LabelError
        If the file cannot be read or a line of it is wrong.
    """
    try:
        with source.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = csv.DictReader(file, strict=True)
            if not {"path", "work"} <= set(lines.fieldnames or ()):
                raise LabelError(f"{source}: the first line must name the columns path and work")
            for line in lines:
                path, work = (line["path"] or "").strip(), (line["work"] or "").strip()
                if not path or not work:
                    raise LabelError(f"{source}, line {lines.line_num}: a path or work is missing")
                yield absolute(source.parent / path), work
    except OSError as error:
        raise LabelError(f"{source}: {error.strerror}") from error
    except csv.Error as error:
        raise LabelError(f"{source}, line {lines.line_num}: {error}") from error
