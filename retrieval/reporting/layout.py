"""Rows → text: a table for people, JSON or CSV for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.reporting.display import MAX_CELL, MAX_SENTENCE, csv_safe, json_safe, shown, width

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
        Lines, each with its end; none for no rows.

    Examples
    --------
    >>> print(laid_out([{"rank": 1, "score": 0.5}, {"rank": 2, "score": None}]), end="")
    rank  score
    1     0.500
    2     -
    """
    if form == "json":
        return json_safe(_json(answer)) + "\n"
    if isinstance(answer, Mapping):
        widest = max(map(len, answer))
        return "".join(f"{key.ljust(widest)}  {_cell(value)}\n" for key, value in answer.items())
    if not answer:
        return ""
    columns = list(answer[0])
    if form == "csv":
        return _csv(columns, answer)
    cells = [columns, *(_line([row[column] for column in columns]) for row in answer)]
    widths = [max(width(line[i]) for line in cells) for i in range(len(columns))]
    return "".join(f"{'  '.join(map(_padded, line, widths)).rstrip()}\n" for line in cells)


_INDENTED = json.JSONEncoder(indent=1, ensure_ascii=False, default=str)
_FLAT = json.JSONEncoder(separators=(",\n  ", ": "), ensure_ascii=False, default=str)
_NESTED = {dict, list, tuple}


def _json(answer: Row | Sequence[Row]) -> str:
    """Write JSON that is indented by one; the library's own way is slow where rows are many."""
    if isinstance(answer, Mapping) or not all(map(_is_flat, answer)) or not answer:
        return _INDENTED.encode(answer)
    rows = _FLAT.encode(answer)[2:-2].replace("},\n  {", "\n },\n {\n  ")  # text holds no newlines
    return f"[\n {{\n  {rows}\n }}\n]"


def _is_flat(row: Row) -> bool:
    return bool(row) and _NESTED.isdisjoint(map(type, row.values()))


def _line(values: Sequence[Any]) -> list[str]:
    """Lay out the cells of a row; the last is not padded, so it may be as long as a path."""
    return [*(_cell(value, MAX_CELL) for value in values[:-1]), *map(_cell, values[-1:])]


def _padded(text: str, to_width: int) -> str:
    return text + " " * (to_width - width(text))


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [columns, *([csv_safe(row[column]) for column in columns] for row in rows)]
    return "".join(f"{_csv_line(line)}\n" for line in lines)


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # so that both letters are quoted
    return text.getvalue().removesuffix("\r\n")


def _cell(value: object, max_width: int = MAX_SENTENCE) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return shown(", ".join(map(str, value)), max_width)
    return f"{value:.3f}" if isinstance(value, float) else shown(value, max_width)
