"""Features of a benchmark's performances → a scorer, where there is no audio to index.

Letters: S segments, D embedding, T frames.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import Embedder
from retrieval.benchmarks.base import Benchmark, Performance
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.matching.harmony import no_harmony, tonal
from retrieval.ranking.query import embed_at_tempos
from retrieval.ranking.ranking import Ranking

FRAME_RATE = 5  # frames of features a second

Read = Callable[[Path, str | None], Mapping[str, Any]]


def feature_scorer(benchmark: Benchmark, embedder: Embedder, ranking: Ranking) -> SegmentScorer:
    """Score performances by the features that a benchmark has of them.

    Parameters
    ----------
    benchmark : Benchmark
        Its module has a function `read_parts`, from a file and a convention to arrays.
    embedder : Embedder
        One that can read these features; silence is left out.
    ranking : Ranking
        What decides the order.

    Returns
    -------
    SegmentScorer
    """
    read: Read = import_module(f"retrieval.benchmarks.{benchmark.card.name}").read_parts
    parts = {
        p.name: {"harmony": no_harmony(), **read(_path(p), benchmark.convention)}
        for p in benchmark.present
    }
    recordings = {name: embedder.restore(arrays) for name, arrays in parts.items()}
    embeddings = dict(zip(recordings, embedder.embed(list(recordings.values())), strict=True))
    names = [name for name, vectors in embeddings.items() if len(vectors)]

    def at_other_tempos(query: int) -> Sequence[NDArray[np.float32]]:
        return embed_at_tempos(embedder, recordings[names[query]], ranking.tempos)

    return SegmentScorer(
        names=names,
        embeddings=[embeddings[name] for name in names],
        tonal=[tonal(parts[name]["chroma"], parts[name]["harmony"]) for name in names],
        ranking=ranking,
        at_other_tempos=at_other_tempos,
        duration_s=np.array([parts[name]["chroma"].shape[1] / FRAME_RATE for name in names]),
    )


def _path(performance: Performance) -> Path:
    if performance.path is None:
        raise ValueError(f"{performance.name} has no features to read")
    return performance.path
