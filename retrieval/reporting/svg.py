"""Numbers become small charts as SVG, to stand inside a page without any library.

Colours are classes (`first`, `second`, `axis`, `grid`), so that the page's style decides them.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 22, 16, 48
_SPAN_X, _SPAN_Y = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM


def curve(xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str) -> str:
    """Draw a staircase over a logarithmic axis.

    Parameters
    ----------
    xs : sequence of float
        Rising, at least 1.
    ys : sequence of float
        In 0..1; each holds until the next x.
    x_label, y_label : str
        What they are.

    Returns
    -------
    str
        An `svg` element.
    """
    last = max(10.0, xs[-1])
    decades = range(math.ceil(math.log10(last)) + 1)
    ticks = [10**decade for decade in decades if 10**decade <= last]

    def at(x: float) -> float:
        return _LEFT + _SPAN_X * math.log10(x) / math.log10(last)

    path = f"M{at(xs[0]):.1f},{_y(ys[0]):.1f}"
    for x, y in zip(xs[1:], ys[1:], strict=True):
        path += f"H{at(x):.1f}V{_y(y):.1f}"
    marks = "".join(_x_tick(at(tick), f"{tick:,}") for tick in ticks)
    line = f'<path class="line first" d="{path}H{at(last):.1f}"/>'
    return _chart(_y_axis() + marks + line, x_label, y_label)


def bars(groups: Sequence[tuple[str, float | None, int]], x_label: str, y_label: str) -> str:
    """Draw a bar for each group, with the number of its members above it.

    Parameters
    ----------
    groups : sequence of (str, float or None, int)
        Label, value in 0..1, members; None for a group that is empty.
    x_label, y_label : str
        What they are.

    Returns
    -------
    str
        An `svg` element.
    """
    step = _SPAN_X / len(groups)
    parts = [_y_axis()]
    for i, (label, value, n_members) in enumerate(groups):
        middle = _LEFT + step * (i + 0.5)
        parts.append(_x_tick(middle, label))
        if value is not None:
            parts.append(
                _bar(middle - 0.36 * step, 0.72 * step, value, "first", f"{label}: {value:.3f}")
            )
            parts.append(
                f'<text class="count" x="{middle:.1f}" y="{_y(value) - 4:.1f}">{n_members}</text>'
            )
    return _chart("".join(parts), x_label, y_label)


def histograms(
    first: NDArray[np.float64], second: NDArray[np.float64], names: tuple[str, str], x_label: str
) -> str:
    """Draw how two samples are distributed, over each other.

    Parameters
    ----------
    first, second : float arrays
        Finite values.
    names : (str, str)
        For the legend.
    x_label : str
        What the values are.

    Returns
    -------
    str
        An `svg` element.
    """
    both = np.concatenate([first, second])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, 31)
    shares = [np.histogram(x, edges)[0] / max(1, len(x)) for x in (second, first)]
    tallest = 1.3 * max(float(np.max(share)) for share in shares) or 1.0  # room for the legend
    width = _SPAN_X / 30
    parts = [_y_axis(tallest)]
    for style, share in zip(("second", "first"), shares, strict=True):
        for i in np.flatnonzero(share):
            title = f"{edges[i]:.3g} to {edges[i + 1]:.3g}: {share[i]:.1%}"
            parts.append(
                _bar(_LEFT + width * i, width, share[i] / tallest, f"{style} sheer", title)
            )
    parts += [
        _x_tick(_LEFT + _SPAN_X * t, f"{edges[0] + t * (edges[-1] - edges[0]):.3g}")
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [
        _legend(i, style, name)
        for i, (style, name) in enumerate(zip(("first", "second"), names, strict=True))
    ]
    return _chart("".join(parts), x_label, "share of queries")


def _y(value: float) -> float:
    return _TOP + _SPAN_Y * (1 - value)


def _y_axis(largest: float = 1.0) -> str:
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = _y(tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text class="y" x="{_LEFT - 6}" y="{y + 4:.1f}">{tick * largest:.2g}</text>')
    return "".join(parts)


def _x_tick(x: float, label: str) -> str:
    return f'<text class="x" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}">{escape(label)}</text>'


def _bar(x: float, width: float, value: float, style: str, title: str) -> str:
    y = _y(value)
    return (
        f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{max(_TOP + _SPAN_Y - y, 0.5):.1f}"><title>{escape(title)}</title></rect>'
    )


def _legend(place: int, style: str, name: str) -> str:
    y = _TOP + 8 + 16 * place
    return (
        f'<rect class="{style}" x="{_LEFT + 10}" y="{y - 8}" width="10" height="10"/>'
        f'<text class="legend" x="{_LEFT + 26}" y="{y + 1}">{escape(name)}</text>'
    )


def _chart(inside: str, x_label: str, y_label: str) -> str:
    middle_x, middle_y = _LEFT + _SPAN_X / 2, _TOP + _SPAN_Y / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(y_label)} by {escape(x_label)}">{inside}'
        f'<text class="axis" x="{middle_x:.0f}" y="{HEIGHT - 8}">{escape(x_label)}</text>'
        f'<text class="axis" transform="translate(12 {middle_y:.0f}) rotate(-90)">'
        f"{escape(y_label)}</text></svg>"
    )
