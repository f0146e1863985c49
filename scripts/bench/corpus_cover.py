#!/usr/bin/env python
"""Measure an embedder, alignment, and both, on a corpus with compact spectrograms.

    scripts/bench/corpus_cover.py CORPUS [--embedder E] [--against E] [--queries 60] [--no-align]
        [--own-tempo] [--performances N] [--out STEM]

CORPUS is a folder that `pemr corpus build` made. The shipped weights are measured,
or another embedder: its name, or the folder of a checkpoint. Some of the queries,
drawn from a seed as qmax_difficulty.py draws them, are ranked against the whole
corpus, once with each candidate by itself (`--no-neighbours`) and once with what those near
to the best gain. Intervals are bootstrapped over works, and those of differences are paired:
of each system less each other.
"""

import argparse
import shlex
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qmax_difficulty import chroma_of

from pemr import load_embedder
from pemr.embed import Embedder
from pemr.training.cliques import Performance, embedded, read_manifest
from retrieval import trace, write_rows
from retrieval.measuring.metrics import score_queries
from retrieval.measuring.scorers import EMBEDDING_ALONE, SegmentScorer, Stages
from retrieval.ranking.align import align_many
from retrieval.ranking.query import tempos_for
from retrieval.ranking.searching import ALIGNMENT_WEIGHT, fuse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]

N_ALIGNED = 100
ALONE = ", no neighbours"
N_REPLICATES = 2000
SEED = 0


def drawn(works: list[str], n_queries: int) -> Ints:
    """Draw queries among the works with several performances."""
    several = [k for k, work in enumerate(works) if works.count(work) > 1]
    chosen = np.random.default_rng(SEED).permutation(several)[:n_queries]
    return np.sort(chosen).astype(np.int64)


def first_of_each(performances: list[Performance], n: int | None) -> list[Performance]:
    """Keep the first performances of each work, all of them without a number."""
    counts: Counter[str] = Counter()
    kept = []
    for performance in performances:
        counts[performance.clique] += 1
        if n is None or counts[performance.clique] <= n:
            kept.append(performance)
    return kept


def aligned(paths: list[Path], queries: Ints) -> Floats:
    """Align each query with everything: (Q, N)."""
    chromas = [chroma_of(path) for path in paths]
    return np.array([[one.score for one in align_many(chromas[q], chromas)] for q in queries])


def both(embedding: Floats, alignment: Floats) -> Floats:
    """Add the alignment of the best hundred to the embedding's scores."""
    best = np.argsort(-embedding, axis=1, kind="stable")[:, :N_ALIGNED]
    chosen = np.full_like(alignment, np.nan)
    np.put_along_axis(chosen, best, np.take_along_axis(alignment, best, 1), 1)
    return fuse(embedding, chosen, ALIGNMENT_WEIGHT)


def precision(scores: Floats, works: list[str], queries: Ints) -> Floats:
    """Average precision of each query."""
    names = np.array(works)
    relevant = names[queries][:, None] == names[None]
    relevant[np.arange(len(queries)), queries] = False
    return score_queries(scores, relevant, queries).average_precision


def interval(values: Floats, works: list[str]) -> str:
    """Bootstrap a mean over works."""
    groups = [np.array(works) == work for work in sorted(set(works))]
    totals = np.array([[values[group].sum(), group.sum()] for group in groups])
    rng = np.random.default_rng(SEED)
    sums = totals[rng.integers(len(totals), size=(N_REPLICATES, len(totals)))].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return f"{low:+.3f} to {high:+.3f}"


def versions(embedder: Embedder, packed: NDArray[np.uint8], tempos: Floats) -> list[Vectors]:
    """Embed a recording at its own tempo, and at others."""
    recording = embedder.restore({"spectrogram": packed})
    return [embedder.embed([recording], tempo=tempo)[0] for tempo in (1.0, *tempos)]


def nearness(
    embedder: Embedder, performances: list[Performance], queries: Ints, *, own_tempo: bool
) -> dict[str, Floats]:
    """Score all performances for each query as search does without alignment: (Q, N) each."""

    @cache
    def at_other_tempos(query: int) -> list[Vectors]:
        stored = np.load(performances[query].recording.cached)
        return versions(embedder, stored, tempos_for(embedder.name))[1:]

    with_neighbours = SegmentScorer(
        names=[performance.recording.path.name for performance in performances],
        embeddings=embedded(embedder, performances),
        tonal=[],
        embedder_name=embedder.name,
        stages=EMBEDDING_ALONE,
        at_other_tempos=None if own_tempo else at_other_tempos,
    )
    each_alone = replace(with_neighbours, stages=Stages(n_aligned=0, neighbours=False))
    everything = np.arange(len(performances))
    return {
        f"{embedder.name}{ALONE}": each_alone.score(queries, everything),
        embedder.name: with_neighbours.score(queries, everything),
    }


def main() -> None:
    """Print a row for each system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--against", help="another embedder, to compare with query by query")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--no-align", action="store_true")
    parser.add_argument("--performances", type=int, help="keep so many of each work")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    parser.add_argument("--own-tempo", action="store_true", help="as `pemr search --own-tempo`")
    options = parser.parse_args()

    own_tempo = options.own_tempo
    embedder = load_embedder(options.embedder)
    everything = read_manifest(options.corpus / "manifest.jsonl")
    performances = first_of_each(everything, options.performances)
    works = [performance.clique for performance in performances]
    queries = drawn(works, options.queries)
    scores = nearness(embedder, performances, queries, own_tempo=own_tempo)
    if options.against:
        other = load_embedder(options.against)
        scores |= nearness(other, performances, queries, own_tempo=own_tempo)
    if not options.no_align:
        paths = [performance.recording.cached for performance in performances]
        scores["alignment"] = aligned(paths, queries)
        scores["both"] = both(scores[embedder.name], scores["alignment"])
    asked = [works[q] for q in queries]
    found = {name: precision(matrix, works, queries) for name, matrix in scores.items()}
    bases = [name for name in found if name != "both"]
    rows = [
        {
            "system": name,
            "MAP": f"{values.mean():.4f}",
            "95 %": interval(values, asked),
            **{
                f"less {base}, paired": interval(values - found[base], asked)
                if base != name
                else ""
                for base in bases
            },
        }
        for name, values in found.items()
    ]
    for row in rows:
        print("  ".join(row.values()))
    print(f"{len(queries)} queries of {len(set(asked))} works, {len(works)} recordings")
    if options.out:
        told = [Path(word).name if Path(word).is_dir() else word for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/corpus_cover.py", *told])
        write_rows(rows, trace(command, embedder.name), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
