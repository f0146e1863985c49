"""Rows → text: a table for people, JSON or CSV for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def laid_out(answer: Row | Sequence[Row], form: str = "table") -> str:
    """Lay out what a room answered.

    Parameters
    ----------
    answer : mapping, or sequence of mappings
        One row, or rows with the same columns.
    form : str, optional
        `table`, `json` or `csv`. A table of one row stands upright, a line for each value.

    Returns
    -------
    str
        Lines, each with its end.

    Examples
    --------
    >>> print(laid_out([{"rank": 1, "score": 0.5}, {"rank": 2, "score": None}]), end="")
    rank  score
    1     0.500
    2     -
    """
    if form == "json":
        return json.dumps(answer, indent=1, ensure_ascii=False, default=str) + "\n"
    if isinstance(answer, Mapping):
        width = max(map(len, answer))
        return "".join(f"{key.ljust(width)}  {_cell(value)}\n" for key, value in answer.items())
    columns = list(answer[0]) if answer else []
    if form == "csv":
        return _csv(columns, answer)
    cells = [columns, *([_cell(row[column]) for column in columns] for row in answer)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "".join(f"{'  '.join(map(str.ljust, line, widths)).rstrip()}\n" for line in cells)


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
