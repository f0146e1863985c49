"""What can be measured, as a `Scorer`: embeddings, a matrix of scores, or a catalog of ours.

Letters: N performances, B queries of one block, S segments, D embedding, T frames of chroma.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer import Embedder, Reader, Track
from retrieval.benchmarks.base import Benchmark
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import hubness, mean_embeddings
from retrieval.ranking.matching.identity import is_same_recording
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.nearest import mean_length
from retrieval.ranking.pool import Pool
from retrieval.ranking.query import embed_at_tempos, recording_of
from retrieval.ranking.ranking import PLAIN, Ranking
from retrieval.ranking.searching import tonal_of
from retrieval.ranking.stages import rank

NOTHING_TONAL = np.zeros((12, 0), np.uint8)

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SegmentScorer:
    """Segments of each performance, scored as `search` scores them, without its shortcuts.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    embeddings : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of the segments; S differs and is at least 1.
    tonal : sequence of uint8 arrays, each of shape (12 * P, T)
        Chroma, and harmony where it is known (`retrieval.ranking.matching.harmony`), at 5 frames a
        second; may be empty when nothing is aligned.
    ranking : Ranking, optional
        What decides the order.
    at_other_tempos : callable, optional
        Embeddings of a query at other tempos, by its number; without it, queries are asked at
        their own.
    duration_s : float array, shape (N,), optional
        Durations in seconds.
    block_length : int, optional
        How many queries are scored together.
    """

    names: Sequence[str]
    embeddings: Sequence[NDArray[np.float32]]
    tonal: Sequence[NDArray[np.uint8]]
    ranking: Ranking = PLAIN
    at_other_tempos: Callable[[int], Sequence[NDArray[np.float32]]] | None = None
    duration_s: NDArray[np.float64] | None = None
    block_length: int = 8
    _aligned: dict[int, dict[int, int]] = field(default_factory=dict, init=False)

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K); -inf for the query itself."""
        self._aligned.clear()
        return np.stack([self._score_one(int(query), candidates) for query in queries])

    def _score_one(self, query: int, candidates: Ints) -> NDArray[np.float64]:
        others = self.at_other_tempos if self.ranking.tempos else None
        asked = Query(
            embeddings=self.embeddings[query],
            tonal=self.tonal[query] if self.tonal else NOTHING_TONAL,
            duration_s=0.0,
            at_other_tempos=tuple(others(query)) if others else (),
        )
        pool = Pool(
            embeddings=[self.embeddings[candidate] for candidate in candidates],
            is_candidate=candidates != query,  # and no alignment is spent on it
            mean_length=self._mean_length,
            hubness=lambda: self._hubness[candidates],
            tonal_of=lambda columns: (self.tonal[candidates[one]] for one in columns),
        )
        ranked = rank(asked, pool, self.ranking)
        found = np.flatnonzero(~np.isnan(ranked.alignment_scores))
        self._aligned[query] = {
            int(candidates[column]): int(ranked.transpositions[column]) for column in found
        }
        return ranked.scores

    @cached_property
    def _hubness(self) -> NDArray[np.float64]:
        """How near each of the N performances is to everything."""
        return hubness(self.means)

    @cached_property
    def means(self) -> NDArray[np.float32]:
        """One unit vector for each of the N performances, (N, D)."""
        return mean_embeddings(self.embeddings)

    @cached_property
    def _mean_length(self) -> float:
        return mean_length(self.embeddings)

    def transposition(self, query: int, candidate: int) -> int | None:
        """Semitones from a query of the last block up to a candidate; None when not aligned."""
        return self._aligned.get(query, {}).get(candidate)

    def is_copy(self, query: int, candidate: int) -> bool:
        """Whether a candidate of the last block is the query's recording in another form."""
        transposition = self.transposition(query, candidate)
        if transposition is None:
            return False
        ours, theirs = self.tonal[query], self.tonal[candidate]
        weights = self.ranking.harmony_weights
        spans = find_spans(ours, theirs, transposition, weights=weights, n_spans=1)
        return bool(spans) and is_same_recording(ours, theirs, spans[0])


def catalog_scorer(
    catalog: Reader,
    benchmark: Benchmark,
    ranking: Ranking = PLAIN,
    embedder: Embedder | None = None,
) -> SegmentScorer:
    """Score a benchmark's performances by what a catalog holds of them.

    Parameters
    ----------
    catalog : Reader
        Made of the benchmark's audio, and perhaps more.
    benchmark : Benchmark
        Its performances that are silent, or not in the catalog, are left out.
    ranking : Ranking, optional
        What decides the order.
    embedder : Embedder, optional
        The one that the catalog was made with; with it, queries are asked at the ranking's
        tempos too.

    Returns
    -------
    SegmentScorer
    """
    found = list(_tracks(catalog, benchmark))
    track_ids = [track.id for _, track in found]

    def at_other_tempos(query: int) -> Sequence[NDArray[np.float32]]:
        if embedder is None:
            return ()
        track = found[query][1]
        errors: tuple[type[Exception], ...] = (OSError, *embedder.file_errors)
        try:
            return embed_at_tempos(embedder, recording_of(catalog, embedder, track), ranking.tempos)
        except errors as error:
            log.warning("%s is asked at its own tempo alone: %s", track.path, error)
            return ()

    return SegmentScorer(
        names=[name for name, _ in found],
        embeddings=catalog.embeddings_of(track_ids),
        tonal=list(tonal_of(catalog, track_ids)) if ranking.n_aligned != 0 else [],
        ranking=ranking,
        at_other_tempos=at_other_tempos,
        duration_s=np.array([track.duration_s for _, track in found]),
    )


def _tracks(catalog: Reader, benchmark: Benchmark) -> Iterator[tuple[str, Track]]:
    by_path = {track.path: track for track in catalog.tracks()}
    for performance in benchmark.present:
        track = by_path.get(performance.path) if performance.path else None
        if track is not None and track.n_segments and not track.is_missing:
            yield performance.name, track


@dataclass(frozen=True, kw_only=True)
class VectorScorer:
    """One embedding for each performance, scored by cosine.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    embeddings : float array, shape (N, D)
        Not all zero in any row.
    duration_s : float array, shape (N,), optional
        Durations in seconds.
    block_length : int, optional
        How many queries are scored together.
    """

    names: Sequence[str]
    embeddings: NDArray[np.float32]
    duration_s: NDArray[np.float64] | None = None
    block_length: int = 256

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K)."""
        scores: NDArray[np.floating] = self._unit[queries] @ self._unit[candidates].T
        return scores

    @cached_property
    def _unit(self) -> NDArray[np.float32]:
        norms = np.linalg.norm(self.embeddings, axis=1, keepdims=True)
        return np.asarray(self.embeddings / norms, np.float32)

    def transposition(self, query: int, candidate: int) -> None:
        """Answer None: a vector knows no transposition."""

    def is_copy(self, query: int, candidate: int) -> bool:  # noqa: ARG002 (as the others)
        """Answer False: a vector tells no copy from a cover."""
        return False


@dataclass(frozen=True, kw_only=True)
class MatrixScorer:
    """A score for each pair, from whatever system.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    scores : float array, shape (N, N)
        Row: query; column: candidate; higher is better.
    duration_s : float array, shape (N,), optional
        Durations in seconds.
    block_length : int, optional
        How many queries are scored together.
    """

    names: Sequence[str]
    scores: NDArray[np.floating]
    duration_s: NDArray[np.float64] | None = None
    block_length: int = 256

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K)."""
        return self.scores[np.ix_(queries, candidates)]

    def transposition(self, query: int, candidate: int) -> None:
        """Answer None: a matrix knows no transposition."""

    def is_copy(self, query: int, candidate: int) -> bool:  # noqa: ARG002 (as the others)
        """Answer False: a matrix tells no copy from a cover."""
        return False
