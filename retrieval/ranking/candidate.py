"""What is asked with and what is answered, and an answer as rows or as a playlist.

Letters: S segments, D embedding, T frames of chroma and harmony, P pictures of pitch classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking.align import Span


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked with.

    Parameters
    ----------
    embeddings : float32 array, shape (S, D)
        Unit vectors of the segments that are not silent.
    tonal : uint8 array, shape (12 * P, T)
        What is aligned, at 5 frames a second (`retrieval.ranking.harmony`).
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
        Semitones from the query up to the candidate, -5..6; None when not aligned.
    embedding_score : float
        In -1..1, from `track_scores`.
    alignment_score : float or None
        At least 0, from `retrieval.ranking.align`; None when not aligned.
    spans : tuple of Span
        Where it follows the query, the longest first; none when not aligned.
    probability : float or None
        That it is a performance of the query's work (`retrieval.ranking.calibrate`); None where
        nothing was measured for the ranking.
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


def candidate_rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Turn candidates into rows for a table, JSON or CSV.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.

    Returns
    -------
    list of dict
        Plain values under the names of the fields; full precision, the path as text. Of the
        spans, the longest, under the names of its fields.
    """
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
        What matters most, times as minutes and seconds; under `follows`, which stretch of the
        candidate follows which of the query.
    """
    return [
        {
            "rank": candidate.rank,
            "score": candidate.score,
            "probability": candidate.probability,
            "title": candidate.title,
            "artist": candidate.artist,
            "duration": _clock(candidate.duration_s),
            "semitones": _semitones(candidate.transposition),
            "follows": _follows(candidate.spans),
            "path": str(candidate.path),
        }
        for candidate in candidates
    ]


def m3u(candidates: Sequence[Candidate]) -> str:
    """Write candidates as an extended M3U playlist, best first.

    Parameters
    ----------
    candidates : sequence of Candidate
        As `search` returns them.

    Returns
    -------
    str
        The text of the playlist.
    """
    lines = ["#EXTM3U"]
    for candidate in candidates:
        names = [name for name in (candidate.artist, candidate.title) if name]
        label = " - ".join(names) or candidate.path.stem
        lines += [f"#EXTINF:{round(candidate.duration_s)},{' '.join(label.split())}"]
        lines += [str(candidate.path)]
    return "\n".join(lines) + "\n"


def _row(candidate: Candidate) -> dict[str, Any]:
    row = {name: value for name, value in vars(candidate).items() if name != "spans"}
    row["path"] = str(candidate.path)
    longest = vars(candidate.spans[0]) if candidate.spans else {}
    return row | {field.name: longest.get(field.name) for field in fields(Span)}


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _semitones(transposition: int | None) -> str | None:
    return None if transposition is None else f"{transposition:+d}" if transposition else "0"


def _follows(spans: tuple[Span, ...]) -> str | None:
    if not spans:
        return None
    longest = spans[0]
    theirs = f"{_clock(longest.start_s)}-{_clock(longest.end_s)}"
    return f"{theirs} = {_clock(longest.query_start_s)}-{_clock(longest.query_end_s)}"
