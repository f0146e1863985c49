#!/usr/bin/env python
"""Measure an embedder, alignment, and both, on a corpus with compact spectrograms.

    scripts/bench/corpus_cover.py CORPUS [--embedder E] [--against E] [--queries 60]
        [--without STAGE ...] [--performances N] [--out STEM]

CORPUS is a folder that `pemr corpus build` made. The shipped weights are measured,
or another embedder: its name, or the folder of a checkpoint. Some of the queries,
drawn from a seed as qmax_difficulty.py draws them, are ranked against the whole
corpus, once with each candidate by itself and once with what those near to the best gain. What is
compared with is ranked as the first embedder is. Intervals are bootstrapped over works, and those
of differences are paired: of each system less each other.
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
from pemr.training.cliques import Member, read_manifest
from pemr.training.labelled import restored
from retrieval import Ranking, chosen, trace, write_rows
from retrieval.measuring.metrics import score_queries
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.matching.harmony import tonal
from retrieval.ranking.query import embed_at_tempos

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]

ALONE = ", no neighbours"
N_REPLICATES = 2000
SEED = 0


def drawn(works: list[str], n_queries: int) -> Ints:
    """Draw queries among the works with several performances."""
    several = [k for k, work in enumerate(works) if works.count(work) > 1]
    chosen = np.random.default_rng(SEED).permutation(several)[:n_queries]
    return np.sort(chosen).astype(np.int64)


def first_of_each(performances: list[Member], n: int | None) -> list[Member]:
    """Keep the first performances of each work, all of them without a number."""
    counts: Counter[str] = Counter()
    kept = []
    for performance in performances:
        counts[performance.clique] += 1
        if n is None or counts[performance.clique] <= n:
            kept.append(performance)
    return kept


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


def scored(
    embedder: Embedder,
    performances: list[Member],
    queries: Ints,
    rankings: dict[str, Ranking],
) -> dict[str, Floats]:
    """Score all performances for each query by each ranking, as search does: (Q, N) each."""
    is_aligned = any(ranking.n_aligned != 0 for ranking in rankings.values())
    recordings = [restored(embedder, performance) for performance in performances]

    @cache
    def at_tempos(query: int, tempos: tuple[float, ...]) -> tuple[Vectors, ...]:
        return embed_at_tempos(embedder, recordings[query], tempos)

    scorer = SegmentScorer(
        names=[performance.recording.path.name for performance in performances],
        embeddings=embedder.embed(recordings),
        tonal=[
            tonal(chroma_of(performance.recording.cached), recording.harmony)
            for performance, recording in zip(performances, recordings, strict=True)
            if is_aligned
        ],
    )
    everything = np.arange(len(performances))
    return {
        name: replace(
            scorer,
            ranking=ranking,
            at_other_tempos=lambda query, tempos=ranking.tempos: at_tempos(query, tempos),
        ).score(queries, everything)
        for name, ranking in rankings.items()
    }


def rankings_of(name: str, ranking: Ranking) -> dict[str, Ranking]:
    """Take a ranking without alignment: once each candidate by itself, once with neighbours."""
    near = ranking.without("alignment")
    return {f"{name}{ALONE}": near.without("neighbours"), name: near}


def main() -> None:
    """Print a row for each system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--against", help="another embedder, to compare with query by query")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--without", action="append", default=[], help="as `pemr search`")
    parser.add_argument("--performances", type=int, help="keep so many of each work")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder(options.embedder)
    everything = read_manifest(options.corpus / "manifest.jsonl")
    performances = first_of_each(everything, options.performances)
    works = [performance.clique for performance in performances]
    queries = drawn(works, options.queries)
    ranking = chosen(embedder.ranking, options.without)
    rankings = rankings_of(embedder.name, ranking)
    if ranking.n_aligned != 0:
        rankings |= {"alignment": ranking.only("alignment"), "both": ranking}
    scores = scored(embedder, performances, queries, rankings)
    if options.against:
        other = load_embedder(options.against)
        scores |= scored(other, performances, queries, rankings_of(other.name, ranking))
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
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
