#!/usr/bin/env python
"""Measure what each part of search is worth, by removing one at a time.

    scripts/bench/parts.py SET [SET ...] [--embedder cover] [--other NAME=CHECKPOINT ...]
        [--queries N] [--out STEM]

SET is a folder of packed recordings (`pemr benchmark run packed`). Everything is on in the first
row of each set; each other row leaves one stage out, or harmony out of the alignment, or takes
another encoder, under the same ranking. Differences are paired query by query, and their intervals
bootstrapped over works. `--queries` draws so many of a larger set, which all rows of it then share.
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pemr import load_embedder
from retrieval import Ranking, Report, compare, load_benchmark, ranking_from, trace, write_rows
from retrieval.measuring.evaluation import Trial, prepare, rank_all, report_on
from retrieval.measuring.features import feature_scorer
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.ranking import STAGES

Vectors = NDArray[np.float32]

WHOLE = "everything"
SEED = 0
SPECTRUM_ALONE = (1.0, 0.0, 0.0)  # weights of chroma, pitch classes and bass


def rankings_of(whole: Ranking) -> dict[str, Ranking]:
    """Leave out one part at a time."""
    return {
        WHOLE: whole,
        **{f"without {stage}": whole.without(stage) for stage in STAGES},
        "without harmony in the alignment": replace(whole, harmony_weights=SPECTRUM_ALONE),
    }


def kept(scorer: SegmentScorer) -> SegmentScorer:
    """Embed a query at other tempos once for all rankings."""
    embed = scorer.at_other_tempos

    @cache
    def at_other_tempos(query: int) -> tuple[Vectors, ...]:
        return tuple(embed(query))

    return replace(scorer, at_other_tempos=at_other_tempos)


def drawn(trial: Trial, n_queries: int | None) -> Trial:
    """Draw some of the queries; candidates stay all there are."""
    order = np.random.default_rng(SEED).permutation(trial.queries)
    return replace(trial, queries=np.sort(order[:n_queries]))


def reports(
    folder: Path, embedders: dict[str, str], whole: Ranking, n_queries: int | None
) -> Iterator[tuple[str, Report]]:
    """Measure one set with each part left out, and with each of the other encoders."""
    data = load_benchmark("packed", folder)
    for encoder, path in embedders.items():
        embedder = load_embedder(path)
        scorer = kept(feature_scorer(data, embedder, whole))
        variants = rankings_of(whole) if encoder == WHOLE else {f"encoder: {encoder}": whole}
        for name, ranking in variants.items():
            trial = drawn(prepare(data, replace(scorer, ranking=ranking)), n_queries)
            blocks = list(tqdm(rank_all(trial), desc=f"{folder.name}, {name}", disable=None))
            yield name, report_on(trial, blocks, embedder.name, ranking)


def rows_of(
    folder: Path, embedders: dict[str, str], whole: Ranking, n_queries: int | None
) -> Iterator[dict[str, str]]:
    """Make a row of each part, against everything."""
    first: Report | None = None
    for name, report in reports(folder, embedders, whole, n_queries):
        first = first or report
        gain = compare(first, report).differences["MAP"]
        found = report.metrics["map"]
        yield {
            "set": folder.name,
            "what": name,
            "MAP": f"{found.value:.4f}",
            "difference": f"{gain.value:+.4f}" if report is not first else "",
            "95 %": f"{gain.low:+.3f} to {gain.high:+.3f}" if report is not first else "",
            "queries": str(len(report.queries)),
        }


def main() -> None:
    """Print a row for each set and part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--other", action="append", default=[], help="NAME=CHECKPOINT; repeatable")
    parser.add_argument("--queries", type=int, help="how many to draw; all of them if not given")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    others = dict(one.split("=", 1) for one in options.other)
    embedder = load_embedder(options.embedder)
    whole = ranking_from(embedder.ranking)
    embedders = {WHOLE: options.embedder, **others}
    rows = []
    for folder in options.sets:
        for row in rows_of(folder, embedders, whole, options.queries):
            rows.append(row)
            print("  ".join(row.values()), flush=True)
    if options.out:
        names = [
            word
            for name, path in others.items()
            for word in ("--other", f"{name}={Path(path).name}")
        ]
        told = [*(folder.name for folder in options.sets), *names]
        told += ["--queries", str(options.queries)] if options.queries else []
        command = shlex.join(["scripts/bench/parts.py", *told, "--out", str(options.out)])
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
