"""What can be measured, as a `Scorer`: embeddings, a matrix of scores, or a catalog of ours.

Letters: N performances, B queries of one block, S segments, D embedding, T frames of chroma.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog, Embedder, Track
from retrieval.benchmarks.base import Benchmark
from retrieval.ranking.hubs import HUB_WEIGHT, hubness, mean_embeddings
from retrieval.ranking.measured import for_cover
from retrieval.ranking.neighbours import NEIGHBOUR_WEIGHT
from retrieval.ranking.query import embed_at_tempos, recording_of, tempos_for
from retrieval.ranking.searching import (
    ALIGNMENT_WEIGHT,
    N_ALIGNED,
    align_best,
    among_all,
    best_scores,
    tonal_of,
)
from retrieval.reporting.report import NO_EMBEDDER

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What decides the ranking.

    Parameters
    ----------
    n_aligned : int, optional
        How many of the best by embedding are aligned; 0 turns alignment off.
    align_only : bool, optional
        Whether embeddings count for nothing and every candidate is aligned.
    at_other_tempos : bool, optional
        Whether a query is asked at the tempos of `tempos_for` too.
    neighbours : bool, optional
        Whether candidates near to the best gain (`retrieval.ranking.neighbours`); otherwise each is
        scored by itself, but for what hubs lose.
    """

    n_aligned: int = N_ALIGNED
    align_only: bool = False
    at_other_tempos: bool = True
    neighbours: bool = True

    def options(self) -> dict[str, bool]:
        """Give what a command must be told for this, as a report repeats it."""
        own_tempo = not (self.at_other_tempos or self.align_only)
        each_alone = not (self.neighbours or self.align_only)
        return {
            "--no-align": not self.n_aligned,
            "--align-only": self.align_only,
            "--own-tempo": own_tempo,
            "--no-neighbours": each_alone,
        }

    def system(self, embedder_name: str) -> str:
        """Name the embedder as a report does: not at all when it counts for nothing."""
        return NO_EMBEDDER if self.align_only else embedder_name


BOTH_STAGES = Stages()
EMBEDDING_ALONE = Stages(n_aligned=0)
ALIGNMENT_ALONE = Stages(align_only=True)


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
        Chroma, and harmony where it is known (`retrieval.ranking.harmony`), at 5 frames a second;
        may be empty when nothing is aligned.
    embedder_name : str
        Decides what hubs lose and neighbours gain.
    stages : Stages, optional
        What decides the ranking.
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
    embedder_name: str
    stages: Stages = BOTH_STAGES
    at_other_tempos: Callable[[int], Sequence[NDArray[np.float32]]] | None = None
    duration_s: NDArray[np.float64] | None = None
    block_length: int = 8
    _aligned: dict[int, dict[int, int]] = field(default_factory=dict, init=False)

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K); -inf for the query itself."""
        self._aligned.clear()
        return np.stack([self._score_one(int(query), candidates) for query in queries])

    def _score_one(self, query: int, candidates: Ints) -> NDArray[np.float64]:
        n_aligned = len(candidates) if self.stages.align_only else self.stages.n_aligned
        scores = self._embedding_scores(query, candidates)
        if not n_aligned:
            return scores
        aligned = align_best(
            self.tonal[query],
            scores,
            lambda column: self.tonal[candidates[column]],
            n_aligned=n_aligned,
            weight=ALIGNMENT_WEIGHT,
        )
        found = np.flatnonzero(~np.isnan(aligned.alignment_scores))
        self._aligned[query] = {
            int(candidates[column]): int(aligned.transpositions[column]) for column in found
        }
        return aligned.scores

    def _embedding_scores(self, query: int, candidates: Ints) -> NDArray[np.float64]:
        is_query = candidates == query  # never a candidate, and no alignment is spent on it
        if self.stages.align_only:
            return np.where(is_query, -np.inf, 0.0)
        others = self.at_other_tempos(query) if self.at_other_tempos else ()
        versions = (self.embeddings[query], *others)
        embeddings = [self.embeddings[c] for c in candidates]
        scores = np.where(is_query, -np.inf, best_scores(versions, embeddings))
        weight = NEIGHBOUR_WEIGHT if self.stages.neighbours else 0.0
        share = for_cover(weight, self.embedder_name)
        return among_all(scores, embeddings, self._hub_losses[candidates], share)

    @cached_property
    def _hub_losses(self) -> NDArray[np.float64]:
        """What each of the N performances loses for being near to everything."""
        weight = for_cover(HUB_WEIGHT, self.embedder_name)
        if not weight:
            return np.zeros(len(self.embeddings))
        return weight * hubness(mean_embeddings(self.embeddings))

    def transposition(self, query: int, candidate: int) -> int | None:
        """Semitones from a query of the last block up to a candidate; None when not aligned."""
        return self._aligned.get(query, {}).get(candidate)


def catalog_scorer(
    catalog: Catalog,
    benchmark: Benchmark,
    stages: Stages = BOTH_STAGES,
    embedder: Embedder | None = None,
) -> SegmentScorer:
    """Score a benchmark's performances by what a catalog holds of them.

    Parameters
    ----------
    catalog : Catalog
        Made of the benchmark's audio, and perhaps more.
    benchmark : Benchmark
        Its performances that are silent, or not in the catalog, are left out.
    stages : Stages, optional
        What decides the ranking.
    embedder : Embedder, optional
        The one that the catalog was made with; with it, queries are asked at other
        tempos too, where the stages say so.

    Returns
    -------
    SegmentScorer
    """
    found = list(_tracks(catalog, benchmark))

    def at_other_tempos(query: int) -> Sequence[NDArray[np.float32]]:
        if embedder is None or not tempos_for(embedder.name):
            return ()
        track = found[query][1]
        errors: tuple[type[Exception], ...] = (OSError, *embedder.file_errors)
        try:
            return embed_at_tempos(embedder, recording_of(catalog, embedder, track))
        except errors as error:
            log.warning("%s is asked at its own tempo alone: %s", track.path, error)
            return ()

    return SegmentScorer(
        names=[name for name, _ in found],
        embeddings=[catalog.embeddings(track.id) for _, track in found],
        tonal=[tonal_of(catalog, track.id) for _, track in found] if stages.n_aligned else [],
        embedder_name=catalog.embedder_name,
        stages=stages,
        at_other_tempos=at_other_tempos if stages.at_other_tempos else None,
        duration_s=np.array([track.duration_s for _, track in found]),
    )


def _tracks(catalog: Catalog, benchmark: Benchmark) -> Iterator[tuple[str, Track]]:
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
