"""Two recordings, or the scores of a benchmark, become a picture that is read at a glance.

Letters: T frames at 5 a second, P pictures of pitch classes, X and Y stacked frames.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog
from retrieval.errors import PictureError
from retrieval.finding.wording import clock
from retrieval.measuring.results import Report
from retrieval.ranking.candidate import Query, span_words
from retrieval.ranking.matching.align import FRAME_RATE, common_factor, comparable, pool
from retrieval.ranking.matching.harmony import N_PITCH_CLASSES
from retrieval.ranking.matching.qmax import STACK_LENGTH, stacked_distances
from retrieval.ranking.matching.spans import Span, find_paths
from retrieval.ranking.ranking import PLAIN, Ranking
from retrieval.ranking.searching import tonal_of
from retrieval.ranking.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people tell apart, darkest first.
_COLOURS: Final = (
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A", "#000000",
)  # fmt: skip
_PITCHES: Final = (0, 4, 7, 9)
_LETTERS: Final = ("C", "E", "G", "A")
_FALSELY_REJECTED: Final = 0.05


def draw_best(
    catalog: Catalog, query: Query, verdict: Verdict, ranking: Ranking, *, name: str, out: Path
) -> None:
    """Draw where a query and the best of its candidates agree.

    Parameters
    ----------
    catalog : Catalog
        What was searched.
    query : Query
        What was asked with.
    verdict : Verdict
        Its first candidate is drawn, or the likeliest where none is listed.
    ranking : Ranking
        Its weights of harmony are used.
    name : str
        Of the query.
    out : Path
        As in `draw_match`.

    Raises
    ------
    PictureError
        As `draw_match` does, and where there is no candidate.
    """
    best = next(iter(verdict.candidates), verdict.likeliest)
    if best is None:
        raise PictureError("there is no candidate to draw")
    draw_match(
        query,
        next(tonal_of(catalog, [best.track_id])),
        out,
        names=(name, best.path.name),
        transposition=best.transposition or 0,
        ranking=ranking,
    )


def draw_match(
    query: Query,
    tonal: NDArray[np.uint8],
    out: Path,
    *,
    names: tuple[str, str],
    transposition: int = 0,
    ranking: Ranking = PLAIN,
) -> None:
    """Draw where a query and a track agree: similarity, spans and their paths, and both chromas.

    Parameters
    ----------
    query : Query
        What was asked with.
    tonal : uint8 array, shape (12 * P, T)
        Of the track, as `retrieval.ranking.searching.tonal_of` reads it.
    out : Path
        File whose suffix says the format, for example `.png` or `.svg`.
    names : tuple of str
        Of the query and of the track.
    transposition : int
        Semitones from the query up to the track, as it was aligned.
    ranking : Ranking
        Its weights of harmony are used.

    Raises
    ------
    PictureError
        If matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure(10.0, 9.0)
    weights = ranking.harmony_weights
    found = find_paths(query.tonal, tonal, transposition, weights=weights)
    shown = found[0][0].transposition if found else transposition
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 8], width_ratios=[1, 8])
    axes = figure.add_subplot(grid[1, 1])
    above, beside = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 0])
    _draw_chroma(above, query.tonal, is_upright=False)
    _draw_chroma(beside, tonal, is_upright=True)
    _draw_similarity(axes, _similarity(query.tonal, tonal, shown, weights))
    for place, (span, path) in enumerate(found):
        _draw_span(axes, span, path, _COLOURS[place % len(_COLOURS)])
    axes.set_xlim(0, _minutes(query.tonal))
    axes.set_ylim(0, _minutes(tonal))
    above.set_xlim(axes.get_xlim())
    beside.set_ylim(axes.get_ylim())
    axes.set_xlabel(_plain(names[0]))
    beside.set_ylabel(_plain(names[1]))
    for axis in (axes.xaxis, beside.yaxis):
        axis.set_major_formatter(lambda minutes, _place: clock(max(minutes, 0) * 60))
    axes.set_yticklabels([])
    if found:
        figure.legend(loc="outside lower center", fontsize="small", frameon=False)
    else:
        axes.set_title("nothing agrees", fontsize="medium")
    _save(figure, out)


def draw_scores(report: Report, out: Path) -> None:
    """Draw the scores that covers and strangers get, and the threshold between them.

    Parameters
    ----------
    report : Report
        Of a benchmark: of each query, the best relevant and the best wrong candidate count.
    out : Path
        As in `draw_match`.

    Raises
    ------
    PictureError
        As `draw_match` does.
    """
    covers = _finite([row.best_relevant_score for row in report.queries])
    others = _finite([row.best_other_score for row in report.queries])
    figure = _figure(9.0, 4.5)
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate([covers, others]), bins=40).tolist()
    for scores, name, colour, hatch in (
        (covers, "best performance of the query's work", _COLOURS[1], ""),
        (others, "best other track", _COLOURS[4], "///"),
    ):
        axes.hist(
            scores, edges, alpha=0.6, color=colour, hatch=hatch, edgecolor="black",
            linewidth=0.4, label=name,
        )  # fmt: skip
    if len(covers):
        threshold = float(np.quantile(covers, _FALSELY_REJECTED))
        share = float((others < threshold).mean()) if len(others) else 1.0
        axes.axvline(threshold, color="black", linestyle="--")
        axes.annotate(
            f" {threshold:.2f}: 95 % of the covers above,\n {share:.0%} of the others below",
            (threshold, 0.97), xycoords=("data", "axes fraction"), va="top", fontsize="small",
        )  # fmt: skip
    axes.set_xlabel("score")
    axes.set_ylabel("queries")
    axes.set_title(_plain(f"{report.title}, {report.data}"), fontsize="medium")
    axes.legend(loc="upper right", fontsize="small", frameon=False)
    _save(figure, out)


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("a picture needs matplotlib: install pemr-covers[picture]") from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", out: Path) -> None:
    try:
        figure.savefig(out, dpi=110)
    except (OSError, ValueError) as error:
        raise PictureError(f"{out}: cannot be written ({error})") from error


def _similarity(
    query: NDArray[np.uint8],
    tonal: NDArray[np.uint8],
    transposition: int,
    weights: tuple[float, ...],
) -> tuple[NDArray[np.float64], float]:
    """Similarity (X, Y) in 0..1, by rank so that every pair uses all shades; seconds a frame."""
    factor = common_factor(query.shape[1], tonal.shape[1])
    ours, theirs = comparable(pool(query, factor, weights), pool(tonal, factor, weights))
    if min(ours.shape[1], theirs.shape[1]) < STACK_LENGTH:
        return np.zeros((1, 1)), factor / FRAME_RATE
    distances = stacked_distances(ours, theirs, transposition % N_PITCH_CLASSES)
    ranks = distances.ravel().argsort(kind="stable").argsort(kind="stable")
    return (1 - ranks.reshape(distances.shape) / distances.size) ** 3, factor / FRAME_RATE


def _draw_similarity(axes: "Axes", similarity: tuple[NDArray[np.float64], float]) -> None:
    shades, frame_s = similarity
    start = STACK_LENGTH / 2 * frame_s / 60
    n_rows, n_columns = shades.shape
    end, top = start + n_rows * frame_s / 60, start + n_columns * frame_s / 60
    axes.imshow(
        shades.T, origin="lower", aspect="auto", extent=(start, end, start, top), cmap="Greys",
        vmin=0, vmax=1.4, interpolation="nearest",
    )  # fmt: skip


def _draw_span(axes: "Axes", span: Span, path: NDArray[np.float64], colour: str) -> None:
    from matplotlib.patches import Rectangle

    left, bottom = span.query_start_s / 60, span.start_s / 60
    width, height = span.query_end_s / 60 - left, span.end_s / 60 - bottom
    axes.add_patch(Rectangle((left, bottom), width, height, fill=False, ec=colour, lw=1.0, ls=":"))
    axes.plot(*(path.T / 60), color=colour, linewidth=2.5, label=span_words(span))


def _draw_chroma(axes: "Axes", tonal: NDArray[np.uint8], *, is_upright: bool) -> None:
    chroma = tonal[:N_PITCH_CLASSES]
    end = _minutes(chroma)
    shown, extent = (
        (chroma.T, (-0.5, 11.5, 0, end)) if is_upright else (chroma, (0, end, -0.5, 11.5))
    )
    if chroma.shape[1]:
        axes.imshow(
            shown, origin="lower", aspect="auto", extent=extent, cmap="cividis",
            interpolation="nearest",
        )  # fmt: skip
    if is_upright:
        axes.set_xticks(_PITCHES, _LETTERS, fontsize="small")
    else:
        axes.set_yticks(_PITCHES, _LETTERS, fontsize="small")
        axes.set_xticklabels([])


def _minutes(tonal: NDArray[np.uint8]) -> float:
    return float(max(tonal.shape[1], 1) / FRAME_RATE / 60)


def _finite(scores: list[float | None]) -> NDArray[np.float64]:
    return np.array([score for score in scores if score is not None])


def _plain(text: str) -> str:
    """Leave no letter that a picture's text would take for a formula or cannot show."""
    return "".join(one if one.isprintable() else " " for one in text).replace("$", r"\$")
