"""A user's own CSV: which file is a performance of which work.

Columns `path` (relative to the table, or absolute) and `work`; optional are `name`, `title`,
`artist` and `address`. Comma, semicolon and tab are understood as separators.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    read_lines,
    refuse_choice,
    require_file,
    require_unique,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="table",
    title="A table of performances",
    licence="that of the recordings",
    citation="none",
    source="your own",
    layout="a CSV file with the columns `path` and `work` as the root",
)


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read a table of performances.

    Parameters
    ----------
    root : Path
        The CSV file.
    subset, convention : None
        There are none.

    Returns
    -------
    Benchmark
        Names are those of the column `name`, else the paths as seen from the table.

    Raises
    ------
    BenchmarkError
        If the table is absent or malformed, or names a performance twice.
    """
    refuse_choice(CARD.name, subset, "subset")
    refuse_choice(CARD.name, convention, "convention")
    path = require_file(root, CARD).absolute()
    performances = tuple(_performances(path))
    require_unique(CARD, [p.name for p in performances])
    return Benchmark(card=CARD, root=path.parent, performances=performances)


def _performances(table: Path) -> Iterator[Performance]:
    lines = read_lines(table)
    delimiter = next((mark for mark in ",;\t" if lines and mark in lines[0]), ",")
    rows = csv.DictReader(lines, delimiter=delimiter)
    absent = {"path", "work"} - set(rows.fieldnames or ())
    if absent:
        raise BenchmarkError(f"no column {' and '.join(sorted(absent))} in its first line", table)
    for number, row in enumerate(rows, start=2):
        if not row["path"] or not row["work"]:
            raise BenchmarkError("path or work is empty", table, f"row {number}")
        path = Path(os.path.abspath(table.parent / row["path"]))  # noqa: PTH100 (drops "..")
        yield Performance(
            name=row.get("name") or Path(os.path.relpath(path, table.parent)).as_posix(),
            work=row["work"],
            path=path if path.is_file() else None,
            title=row.get("title") or None,
            artist=row.get("artist") or None,
            address=row.get("address") or None,
        )
