#!/usr/bin/env python
"""Measure whether the best span is where two performances of a corpus play the same passage.

    scripts/bench/spans.py AUDIO [--pairs 480] [--out STEM]

AUDIO is the folder `audio` of a corpus that `pemr corpus build --audio` made, its manifest beside
it. What is true: every passage of one score that both performances play, and every run of passages
that both play one after the other in one key. The best span of a pair is held against the true one
that it overlaps most, by intersection over union, the mean of both axes. Pairs are drawn from a
seed, among those made from one setting of the work.
"""

import argparse
import json
import shlex
import sys
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from calibration import heard
from tqdm import tqdm

from pemr import load_embedder
from retrieval import Span, ranking_from, trace, write_rows
from retrieval.ranking.matching.align import align
from retrieval.ranking.matching.harmony import tonal
from retrieval.ranking.matching.spans import find_spans

SEED = 0
FEWEST_BEATS = 4
TEMPO_OFF = 0.04
JOIN_S = 0.05  # passages this near to each other follow one another


@dataclass(frozen=True)
class Truth:
    """A stretch of music that two performances share."""

    query: tuple[float, float]
    track: tuple[float, float]
    transposition: int

    @property
    def tempo(self) -> float:
        return (self.query[1] - self.query[0]) / (self.track[1] - self.track[0])


def seconds(passage: dict[str, Any], beat: float) -> float:
    """When a beat of the score sounds in a passage."""
    share = (beat - passage["start_beat"]) / (passage["end_beat"] - passage["start_beat"])
    return float(passage["start_s"] + share * (passage["end_s"] - passage["start_s"]))


def shared(query: list[dict[str, Any]], track: list[dict[str, Any]]) -> list[Truth]:
    """List what two performances share, passage by passage and run by run."""
    runs: list[Truth] = []
    for ours, theirs in product(query, track):
        low = max(ours["start_beat"], theirs["start_beat"])
        high = min(ours["end_beat"], theirs["end_beat"])
        if "medley" in (ours["kind"], theirs["kind"]) or high - low < FEWEST_BEATS:
            continue
        one = Truth(
            (seconds(ours, low), seconds(ours, high)),
            (seconds(theirs, low), seconds(theirs, high)),
            (theirs["transposition"] - ours["transposition"]) % 12,
        )
        runs += [joined(run, one) for run in list(runs) if follows(run, one)]
        runs.append(one)
    return runs


def follows(run: Truth, one: Truth) -> bool:
    gap = max(abs(run.query[1] - one.query[0]), abs(run.track[1] - one.track[0]))
    return gap < JOIN_S and run.transposition == one.transposition


def joined(run: Truth, one: Truth) -> Truth:
    return Truth((run.query[0], one.query[1]), (run.track[0], one.track[1]), one.transposition)


def overlap(span: Span, truth: Truth) -> float:
    """Intersection over union, the mean of both axes."""
    found = ((span.query_start_s, span.query_end_s), (span.start_s, span.end_s))
    shares = []
    for (start, end), (true_start, true_end) in zip(found, (truth.query, truth.track), strict=True):
        both = max(0.0, min(end, true_end) - max(start, true_start))
        shares.append(both / ((end - start) + (true_end - true_start) - both))
    return float(np.mean(shares))


def main() -> None:
    """Print one row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("--pairs", type=int, default=480)
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder("cover", "cpu")
    weights = ranking_from(embedder.ranking).harmony_weights
    manifest = (options.audio.resolve().parent / "manifest.jsonl").read_text(encoding="utf-8")
    told = {row["performance"]: row for row in map(json.loads, manifest.splitlines())}
    tonals = {
        str(Path(name).with_suffix("")): tonal(recording.chroma, recording.harmony)
        for name, _, recording in heard(options.audio, embedder)
    }
    of_setting: dict[tuple[str, str], list[str]] = {}
    for name in sorted(tonals):
        of_setting.setdefault((told[name]["work"], told[name]["source"]), []).append(name)
    pairs = [pair for names in of_setting.values() for pair in permutations(names, 2)]
    drawn = np.random.default_rng(SEED).permutation(len(pairs))[: options.pairs]

    overlaps, is_key_right, is_tempo_right, n_spans = [], [], [], []
    for query, track in tqdm([pairs[k] for k in drawn]):
        truths = shared(told[query]["passages"], told[track]["passages"])
        ours, theirs = tonals[query], tonals[track]
        spans = find_spans(
            ours, theirs, align(ours, theirs, weights).transposition, weights=weights
        )
        if not truths:
            continue
        n_spans.append(len(spans))
        if not spans:
            overlaps.append(0.0)
            is_key_right.append(False)
            is_tempo_right.append(False)
            continue
        true = max(truths, key=lambda one: overlap(spans[0], one))
        overlaps.append(overlap(spans[0], true))
        is_key_right.append(spans[0].transposition % 12 == true.transposition)
        is_tempo_right.append(abs(np.log(spans[0].tempo / true.tempo)) < np.log(1 + TEMPO_OFF))
    row = {
        "pairs": f"{len(overlaps)}",
        "intersection over union, median": f"{np.median(overlaps):.3f}",
        "lower quartile": f"{np.quantile(overlaps, 0.25):.3f}",
        "transposition right": f"{np.mean(is_key_right):.3f}",
        "tempo within 4 %": f"{np.mean(is_tempo_right):.3f}",
        "spans a pair": f"{np.mean(n_spans):.2f}",
    }
    for name, value in row.items():
        print(f"{name}: {value}")
    if options.out:
        words = [Path(word).name if Path(word).is_dir() else word for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/spans.py", *words])
        write_rows([row], embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
