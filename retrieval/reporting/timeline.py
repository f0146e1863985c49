"""A setlist becomes a picture: what is played when, and how sure that is."""

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import PictureError
from retrieval.finding.listing import setlist_table
from retrieval.finding.setlist import Entry, Setlist

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_INCHES = 0.28
_MOST_INCHES = 160.0  # what picture formats bear
_MOST_LETTERS = 40
_COLOURS = "cividis"  # told apart by colour-blind people too


def draw_setlist(setlist: Setlist, title: str, out: Path) -> None:
    """Draw a line of time for each entry of a setlist, in order.

    Parameters
    ----------
    setlist : Setlist
        From `retrieval.recognise`.
    title : str
        Above the picture.
    out : Path
        File whose suffix says the format, for example `.png` or `.svg`.

    Raises
    ------
    PictureError
        If matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("a picture needs matplotlib: install pemr-covers[picture]") from error
    height = min(1.6 + _ROW_INCHES * len(setlist.entries), _MOST_INCHES)
    figure = Figure(figsize=(11, height), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(_plain(title))
    _draw_entries(axes, setlist)
    try:
        figure.savefig(out, dpi=110)
    except (OSError, ValueError) as error:
        raise PictureError(f"{out}: cannot be written ({error})") from error


def _draw_entries(axes: "Axes", setlist: Setlist) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = colormaps[_COLOURS]
    for place, entry in enumerate(setlist.entries):
        start, length = entry.start_s / 60, (entry.end_s - entry.start_s) / 60
        if entry.candidate is None:
            axes.barh(place, length, left=start, height=0.5, color="0.85", hatch="///", ec="0.6")
        else:
            colour = colours(entry.candidate.probability or 0.0)
            axes.barh(place, length, left=start, height=0.8, color=colour)
    rows = setlist_table(setlist)
    axes.set_yticks(
        range(len(rows)), [_label(*both) for both in zip(setlist.entries, rows, strict=True)]
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(setlist.duration_s / 60, 1e-3))
    axes.set_xlabel("time (min)")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    shades = ScalarMappable(Normalize(0, 1), colours)
    bar = axes.figure.colorbar(shades, ax=axes, fraction=0.03, pad=0.01)
    bar.set_label("probability")


def _label(entry: Entry, row: dict[str, object]) -> str:
    if entry.candidate is None:
        return f"{row['title']}   {row['start']}"
    name = " - ".join(str(part) for part in (row["title"], row["artist"]) if part)
    short = name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"
    return f"{_plain(short)}   {row['start']}"


def _plain(text: str) -> str:
    """Leave no letter that a picture's text would take for a formula or cannot show."""
    return "".join(one if one.isprintable() else " " for one in text).replace("$", r"\$")
