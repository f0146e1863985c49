"""What is asked with and what is answered, and an answer as rows.

Letters: S segments, D embedding, T frames of chroma and harmony, P pictures of pitch classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.matching.spans import Span


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked with.

    Parameters
    ----------
    embeddings : float32 array, shape (S, D)
        Unit vectors of the segments that are not silent.
    tonal : uint8 array, shape (12 * P, T)
        What is aligned, at 5 frames a second (`retrieval.ranking.matching.harmony`).
    duration_s : float
        How long the recording is.
    at_other_tempos : tuple of float32 arrays, each of shape (S, D)
        The same recording as if it were played faster or slower; S differs.
    track_id : int, optional
        Its track, when it is one of the catalog.
    audio_hash : str, optional
        Identity of its audio; copies of it are no candidates.
    """

    embeddings: NDArray[np.float32]
    tonal: NDArray[np.uint8]
    duration_s: float
    at_other_tempos: tuple[NDArray[np.float32], ...] = ()
    track_id: int | None = None
    audio_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A track of the catalog, offered as an answer.

    Parameters
    ----------
    rank : int
        1 for the best.
    score : float
        Higher is better; what the candidates are ranked by: the embedding score, less what hubs
        lose, more by what neighbours and the alignment add.
    track_id : int
        In the catalog.
    title, artist, album : str or None
        As the file's tags say.
    duration_s : float
        How long the track is.
    path : Path
        The file.
    transposition : int or None
        Semitones from the query up to the candidate, -5..6, in the best span where there is one;
        None when not aligned.
    embedding_score : float
        In -1..1, from `track_scores`.
    alignment_score : float or None
        At least 0, from `retrieval.ranking.matching.align`; None when not aligned.
    spans : tuple of Span
        Where it follows the query, the best first; none when not aligned.
    probability : float or None
        That it is a performance of the query's work (`retrieval.ranking.calibrate`); None where
        nothing was measured for the ranking.
    n_copies : int
        How many tracks among the candidates hold this very audio, this one included; the others
        are folded into it.
    is_same_recording : bool or None
        Whether it is the query's recording in another form, no other performance
        (`retrieval.ranking.matching.identity`); None when not aligned.
    is_missing : bool
        Whether its file is gone since it was indexed.
    """

    rank: int
    score: float
    track_id: int
    title: str | None
    artist: str | None
    album: str | None
    duration_s: float
    path: Path
    transposition: int | None
    embedding_score: float
    alignment_score: float | None
    spans: tuple[Span, ...] = ()
    probability: float | None = None
    n_copies: int = 1
    is_same_recording: bool | None = None
    is_missing: bool = False


def candidate_rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Turn candidates into rows for JSON.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.

    Returns
    -------
    list of dict
        Plain values under the names of the fields; full precision, the path as text. `spans` has
        a dict for each, and the best stands under the names of its fields too.
    """
    return [
        {**row, "spans": [vars(span) for span in candidate.spans]}
        for row, candidate in zip(candidate_columns(candidates), candidates, strict=True)
    ]


def candidate_columns(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Turn candidates into rows for CSV: those of `candidate_rows`, of the spans the best alone."""
    return [_row(candidate) for candidate in candidates]


def candidate_table(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Turn candidates into rows for people to read.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.

    Returns
    -------
    list of dict
        What matters most, times as minutes and seconds; `span_lines` says what agrees where.
        With a column of copies where there are any, and one that says whose file is missing.
    """
    has_copies = any(candidate.n_copies > 1 for candidate in candidates)
    has_missing = any(candidate.is_missing for candidate in candidates)
    return [
        {
            "rank": candidate.rank,
            "score": candidate.score,
            "probability": candidate.probability,
            "recording": "same" if candidate.is_same_recording else "other",
            "title": candidate.title,
            "artist": candidate.artist,
            "duration": _clock(candidate.duration_s),
            "semitones": _semitones(candidate.transposition),
            **({"copies": candidate.n_copies} if has_copies else {}),
            **({"state": "missing" if candidate.is_missing else ""} if has_missing else {}),
            "path": str(candidate.path),
        }
        for candidate in candidates
    ]


def span_lines(candidates: Sequence[Candidate]) -> list[str]:
    """Say for people which stretches of the query and of each candidate agree.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.

    Returns
    -------
    list of str
        Starting with the rank; a line for each span, best first.
    """
    return [f"{one.rank}: {span_words(span)}" for one in candidates for span in one.spans]


def span_words(span: Span, one: str = "query", other: str = "track") -> str:
    """Say which stretches agree, in which key and tempo.

    Parameters
    ----------
    span : Span
        What agrees.
    one, other : str
        What the two recordings are called.

    Returns
    -------
    str

    Examples
    --------
    >>> span_words(Span(query_start_s=34, query_end_s=72, start_s=65, end_s=106.3, transposition=3,
    ...                 tempo=0.92))
    'query 0:34-1:12 = track 1:05-1:46, +3 semitones, 0.92x tempo'
    """
    ours = f"{_clock(span.query_start_s)}-{_clock(span.query_end_s)}"
    theirs = f"{_clock(span.start_s)}-{_clock(span.end_s)}"
    plural = "" if abs(span.transposition) == 1 else "s"
    key = f"{_semitones(span.transposition)} semitone{plural}"
    return f"{one} {ours} = {other} {theirs}, {key}, {span.tempo:.2f}x tempo"


def _row(candidate: Candidate) -> dict[str, Any]:
    row = {name: value for name, value in vars(candidate).items() if name != "spans"}
    row["path"] = str(candidate.path)
    best = vars(candidate.spans[0]) if candidate.spans else {}
    names = [field.name for field in fields(Span) if field.name not in row]
    return row | {name: best.get(name) for name in names}


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _semitones(transposition: int | None) -> str | None:
    return None if transposition is None else f"{transposition:+d}" if transposition else "0"
