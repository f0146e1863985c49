"""A recording of hours → which works of the catalog occur in it, and when.

Every segment of the recording asks the catalog, at several tempos; the tracks that answer gain from
segment to segment, and the occurrences that gain most together are cut out. Each is then a
query of its own, searched and aligned like any other, and is only named where an answer is likely.

Letters: S segments, D embedding, K tracks, T frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer import FRAME_RATE, Catalog, Embedder, Recording
from retrieval.errors import EmptyCatalogError, SilentQueryError, UncalibratedError
from retrieval.finding.occurrences import find_occurrences
from retrieval.ranking.candidate import Candidate, Query
from retrieval.ranking.matching.harmony import tonal
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.searching import search

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]

OCCURRENCE_COST = 4.0
"""What an occurrence must gain, in units of the level that one stranger in a hundred reaches."""

NAMED = 0.35
"""The probability from which a stretch is named. It is below what a search calls likely, since the
stretch was cut out because it gains."""

SHORTEST_GAP_S = 10.0
"""A shorter stretch between two entries is part of their fade, and not named unknown."""

_N_ANSWERS = 3  # of which the likeliest is named
_N_SHORTLISTED = 1000  # tracks that are followed from segment to segment
_BLOCK_LENGTH = 64  # segments that are compared with all of these at once


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A stretch of a setlist.

    Parameters
    ----------
    start_s, end_s : float
        In the recording.
    candidate : Candidate or None
        The track whose work is played, as `search` answers with it; its spans tell where in the
        recording, and not in this stretch, it is followed. None where nothing is known.
    """

    start_s: float
    end_s: float
    candidate: Candidate | None


@dataclass(frozen=True, kw_only=True)
class Setlist:
    """What is played in a recording.

    Parameters
    ----------
    duration_s : float
        How long the recording is, as far as it could be heard.
    entries : tuple of Entry
        In order of time, none over another; what lies between works is an entry without candidate.
    """

    duration_s: float
    entries: tuple[Entry, ...]


class _Version(NamedTuple):
    """The recording at one tempo: its vectors (S, D), and where each begins and ends (S, 2)."""

    vectors: Vectors
    spans_s: Floats


def recognise(
    catalog: Catalog,
    embedder: Embedder,
    source: Path | BinaryIO,
    ranking: Ranking,
    *,
    min_probability: float = NAMED,
) -> Setlist:
    """Find which works of a catalog occur in a recording of any length, and when.

    Parameters
    ----------
    catalog : Catalog
        What may occur.
    embedder : Embedder
        The catalog's.
    source : Path or binary file
        The recording, as a file or as a stream of bytes such as standard input; it is heard as it
        comes, and kept as a few hundred bytes a second.
    ranking : Ranking
        What decides; `retrieval.ranking_from` reads the one that an embedder comes with.
    min_probability : float
        How likely an answer must be to be named.

    Returns
    -------
    Setlist

    Raises
    ------
    EmptyCatalogError
        If the catalog holds no track that sounds.
    SilentQueryError
        If the recording is silent.
    UncalibratedError
        If nothing was measured for the embedder, so that no answer can be called likely.
    Exception
        What `embedder.file_errors` names, if there is no sound in the source.
    """
    if ranking.calibration is None:
        raise UncalibratedError(embedder.name)
    if not catalog.n_sounding():
        raise EmptyCatalogError
    recording = hear_on(embedder, source)
    versions = [_version(embedder, recording, tempo) for tempo in (1.0, *ranking.tempos)]
    if not len(versions[0].vectors):
        raise SilentQueryError
    found = []
    for start_s, end_s in _stretches(catalog, versions, ranking):
        query = _excerpt(recording, versions, start_s, end_s)
        answers = search(catalog, query, ranking, n_candidates=_N_ANSWERS)
        likeliest = max(answers, key=_probability, default=None)
        if likeliest is not None and _probability(likeliest) >= min_probability:
            found.append(_entry(start_s, end_s, likeliest))
    entries = _with_gaps(_joined(found), recording.duration_s)
    return Setlist(duration_s=recording.duration_s, entries=tuple(entries))


def hear_on(embedder: Embedder, source: Path | BinaryIO) -> Recording:
    """Hear a recording of any length, stretch by stretch.

    Parameters
    ----------
    embedder : Embedder
        What listens.
    source : Path or binary file
        As in `recognise`.

    Returns
    -------
    Recording
        All of it.
    """
    heard = list(embedder.listen_on(source))
    parts = {
        name: np.concatenate([getattr(one, name) for one in heard], axis=1)
        for name in ("spectrogram", "chroma", "harmony")
    }
    return embedder.restore({**parts, "duration_s": sum(one.duration_s for one in heard)})


def _version(embedder: Embedder, recording: Recording, tempo: float) -> _Version:
    (vectors,) = embedder.embed([recording], tempo=tempo)
    return _Version(vectors, embedder.spans_s(recording, tempo=tempo))


def _stretches(
    catalog: Catalog, versions: Sequence[_Version], ranking: Ranking
) -> Iterator[tuple[float, float]]:
    """Yield start and end in seconds of every stretch in which one track plays."""
    gains = _scores(catalog, versions, ranking) / ranking.neighbour_level - 1
    spans_s = versions[0].spans_s
    middles = spans_s.mean(axis=1)
    between = (middles[:-1] + middles[1:]) / 2
    starts = np.maximum(spans_s[:, 0], [0.0, *between])
    ends = np.minimum(spans_s[:, 1], [*between, np.inf])
    for one in find_occurrences(gains, OCCURRENCE_COST):
        yield float(starts[one.start]), float(ends[one.end - 1])


def _scores(catalog: Catalog, versions: Sequence[_Version], ranking: Ranking) -> Floats:
    """Score the tracks that may occur, for each segment at whatever tempo suits best: (S, K)."""
    with catalog.snapshot():
        track_ids = _shortlist(catalog, versions, ranking)
        tracks = catalog.embeddings_of(track_ids)
        lost = ranking.hub_weight * catalog.neighbours(np.array(track_ids, np.int64)).hubness()
    middles = versions[0].spans_s.mean(axis=1)
    scores = np.full((len(middles), len(track_ids)), -np.inf)
    for vectors, spans_s in versions:
        if len(vectors) and track_ids:
            nearest = np.abs(spans_s.mean(axis=1) - middles[:, None]).argmin(axis=1)
            scores = np.maximum(scores, _cosines(vectors, tracks)[nearest] - lost)
    return scores


def _cosines(vectors: Vectors, tracks: Sequence[Vectors]) -> Floats:
    """Compare each segment with the nearest one of each track: (S, K)."""
    starts = np.cumsum([0, *(len(track) for track in tracks[:-1])])
    all_segments = np.concatenate(list(tracks)).T
    blocks = [
        np.maximum.reduceat(vectors[at : at + _BLOCK_LENGTH] @ all_segments, starts, axis=1)
        for at in range(0, len(vectors), _BLOCK_LENGTH)
    ]
    return np.concatenate(blocks).astype(np.float64)


def _shortlist(catalog: Catalog, versions: Sequence[_Version], ranking: Ranking) -> list[int]:
    """Name the tracks that answer best over the whole recording, by their nearest segments."""
    heard = [version.vectors for version in versions]
    best: list[int] = catalog.gaining(heard, _N_SHORTLISTED, ranking.neighbour_level).tolist()
    return best


def _excerpt(
    recording: Recording, versions: Sequence[_Version], start_s: float, end_s: float
) -> Query:
    """Cut a query from the recording."""
    cut = []
    for vectors, spans_s in versions:
        middles = spans_s.mean(axis=1)
        cut.append(vectors[(start_s <= middles) & (middles <= end_s)])
    frames = slice(round(start_s * FRAME_RATE), round(end_s * FRAME_RATE))
    return Query(
        embeddings=cut[0],
        tonal=tonal(recording.chroma[:, frames], recording.harmony[:, frames]),
        duration_s=end_s - start_s,
        at_other_tempos=tuple(cut[1:]),
    )


def _entry(start_s: float, end_s: float, candidate: Candidate) -> Entry:
    """Tell of spans where they lie in the whole recording."""
    spans = tuple(
        replace(
            span,
            query_start_s=span.query_start_s + start_s,
            query_end_s=span.query_end_s + start_s,
        )
        for span in candidate.spans
    )
    return Entry(start_s=start_s, end_s=end_s, candidate=replace(candidate, spans=spans))


def _joined(entries: Sequence[Entry]) -> list[Entry]:
    """Make one entry of two that name the same track one after the other."""
    joined: list[Entry] = []
    for entry in entries:
        before = joined[-1] if joined else None
        if before is not None and _goes_on(before, entry):
            joined[-1] = replace(
                _likelier(before, entry), start_s=before.start_s, end_s=entry.end_s
            )
        else:
            joined.append(entry)
    return joined


def _goes_on(before: Entry, after: Entry) -> bool:
    is_same = (
        before.candidate is not None
        and after.candidate is not None
        and before.candidate.track_id == after.candidate.track_id
    )
    return is_same and after.start_s - before.end_s < SHORTEST_GAP_S


def _likelier(one: Entry, other: Entry) -> Entry:
    return max(one, other, key=lambda entry: _probability(entry.candidate))


def _probability(candidate: Candidate | None) -> float:
    return 0.0 if candidate is None else candidate.probability or 0.0


def _with_gaps(entries: Sequence[Entry], duration_s: float) -> list[Entry]:
    """Name what lies between, before and behind as unknown."""
    filled: list[Entry] = []
    at_s = 0.0
    for entry in entries:
        if entry.start_s - at_s >= SHORTEST_GAP_S:
            filled.append(Entry(start_s=at_s, end_s=entry.start_s, candidate=None))
        filled.append(entry)
        at_s = entry.end_s
    if duration_s - at_s >= SHORTEST_GAP_S or not filled:
        filled.append(Entry(start_s=at_s, end_s=duration_s, candidate=None))
    return filled
