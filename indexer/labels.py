"""Which file is a performance of which work, from a CSV file; and the tracks labelled so."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from indexer.errors import LabelError
from indexer.scan import absolute
from indexer.writer import Writer

_PATHS = {"path", "file"}  # columns of names, which a file system may hold in any encoding


def label(catalog: Writer, source: Path) -> list[Path]:
    """Label tracks as a file says.

    Parameters
    ----------
    catalog : Writer
        Whose tracks.
    source : Path
        A table with the columns `path` and `work`; see `read_rows`. Relative paths start at the
        table's folder.

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
    """Read pairs of absolute path and work from a table.

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
    for row in read_rows(source, "path", "work"):
        yield absolute(source.parent / row["path"]), row["work"]


def read_rows(source: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Read a table of files and works: the one reader of such tables.

    Parameters
    ----------
    source : Path
        CSV in UTF-8, with commas, semicolons or tabs; its first line names the columns. Bytes of a
        path that are not UTF-8 come as surrogate escapes.
    *columns : str
        Those that must be there, and empty in no row.

    Yields
    ------
    dict
        The cells of a line by column, without blanks at their ends.

    Raises
    ------
    LabelError
        If the file cannot be read or a line of it is wrong.
    """
    number = None
    try:
        with source.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            first = file.readline()
            file.seek(0)
            delimiter = next((mark for mark in ",;\t" if mark in first), ",")
            lines = csv.DictReader(file, delimiter=delimiter, strict=True)
            if absent := [name for name in columns if name not in (lines.fieldnames or ())]:
                reason = f"no column {' and '.join(absent)} in its first line"
                raise LabelError(source, reason)
            for cells in lines:
                number = lines.line_num
                row = {name: (cell or "").strip() for name, cell in cells.items() if name}
                if reason := _fault(row, columns):
                    raise LabelError(source, reason, number)
                yield row
    except OSError as error:
        raise LabelError(source, str(error.strerror)) from error
    except csv.Error as error:
        raise LabelError(source, str(error), number) from error


def _fault(row: Mapping[str, str], columns: Sequence[str]) -> str:
    if not all(row[name] for name in columns):
        return f"{' or '.join(columns)} is empty"
    for name, cell in row.items():
        is_escaped = any("\udc80" <= letter <= "\udcff" for letter in cell)
        if "\0" in cell or (is_escaped and name not in _PATHS):
            return f"{name} is not UTF-8 text"
    return ""
