"""A user's own CSV: which file is a performance of which work.

Columns `path` (relative to the table, or absolute) and `work`; optional are `name`, `title`,
`artist` and `address`. Comma, semicolon and tab are understood as separators.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    read_table,
    refuse_choice,
    require_file,
    require_unique,
)

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
    for row in read_table(table, "path", "work"):
        path = Path(os.path.abspath(table.parent / row["path"]))  # noqa: PTH100 (drops "..")
        yield Performance(
            name=row.get("name") or Path(os.path.relpath(path, table.parent)).as_posix(),
            work=row["work"],
            path=path if path.is_file() else None,
            title=row.get("title") or None,
            artist=row.get("artist") or None,
            address=row.get("address") or None,
        )
