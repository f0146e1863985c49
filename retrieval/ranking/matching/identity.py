"""Two recordings and a span they share → whether they are one recording, in another form.

Another encoding, a cut, a quieter or duller copy, even one at another speed: all keep one key and
one tempo, and their chroma agrees frame by frame. Performances that differ never agree so closely.

Letters: T frames at 5 a second, n frames of a span.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.align import FRAME_RATE
from retrieval.ranking.matching.harmony import N_PITCH_CLASSES, turned
from retrieval.ranking.matching.spans import Span

SAME_LIKENESS: Final = 0.95
"""Copies of recordings reach .968, other performances .861; those made from one score .939."""

_FEWEST_FRAMES = 50  # ten seconds; less may be a sample, or chance
_OFFSETS = np.arange(-6, 6.01, 0.25)  # frames by which an end of the span may be off

Floats = NDArray[np.float64]


def is_same_recording(query: NDArray[np.uint8], candidate: NDArray[np.uint8], span: Span) -> bool:
    """Tell whether a candidate is the query's recording, rather than another performance.

    Parameters
    ----------
    query, candidate : uint8 array, shape (12 * P, T)
        As in `retrieval.ranking.matching.align.align`.
    span : Span
        The best of what `find_spans` finds.

    Returns
    -------
    bool
    """
    return likeness(query, candidate, span) >= SAME_LIKENESS


def likeness(query: NDArray[np.uint8], candidate: NDArray[np.uint8], span: Span) -> float:
    """Measure how alike the chroma of two recordings is along the straight line of a span.

    The line is fastened at both ends, where a few frames this way or that may fit better.

    Parameters
    ----------
    query, candidate, span
        As in `is_same_recording`.

    Returns
    -------
    float
        The median correlation of frames, at most 1; 0 for a span below ten seconds.
    """
    ours = turned(query[:N_PITCH_CLASSES], span.transposition % N_PITCH_CLASSES).astype(float)
    theirs = candidate[:N_PITCH_CLASSES].astype(float)
    first = round(span.query_start_s * FRAME_RATE)
    last = min(round(span.query_end_s * FRAME_RATE), ours.shape[1])
    if last - first < _FEWEST_FRAMES:
        return 0.0
    places = np.arange(first, last)
    middle = (span.query_start_s + span.query_end_s) / 2 * FRAME_RATE
    line = (span.start_s + span.end_s) / 2 * FRAME_RATE + (places - middle) / span.tempo
    quarter = len(places) // 4
    ends = [
        (
            places[part].mean(),
            line[part].mean() + _best_offset(ours, theirs, places[part], line[part]),
        )
        for part in (slice(None, quarter), slice(-quarter, None))
    ]
    (x0, y0), (x1, y1) = ends
    fastened = y0 + (places - x0) * (y1 - y0) / (x1 - x0)
    return _agreement(ours, theirs, places, fastened)


def _best_offset(ours: Floats, theirs: Floats, places: NDArray[np.int64], line: Floats) -> float:
    found = [_agreement(ours, theirs, places, line + offset) for offset in _OFFSETS]
    return float(_OFFSETS[int(np.argmax(found))])


def _agreement(ours: Floats, theirs: Floats, places: NDArray[np.int64], line: Floats) -> float:
    """Correlate frames of ours (n,) with those of theirs at the line, between frames too."""
    is_inside = (line >= 0) & (line <= theirs.shape[1] - 1)
    places, line = places[is_inside], line[is_inside]
    below = np.minimum(line.astype(np.int64), max(theirs.shape[1] - 2, 0))
    share = line - below
    there = theirs[:, below] * (1 - share) + theirs[:, below + 1] * share
    here = ours[:, places]
    here, there = here - here.mean(axis=0), there - there.mean(axis=0)
    norms = np.linalg.norm(here, axis=0) * np.linalg.norm(there, axis=0)
    is_heard = norms > 0
    if is_heard.sum() < len(is_inside) / 2:
        return 0.0
    return float(np.median((here * there).sum(axis=0)[is_heard] / norms[is_heard]))
