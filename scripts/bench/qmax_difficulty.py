#!/usr/bin/env python
"""Measure how hard a corpus is by a ruler that is not ours: the MAP of essentia's Qmax.

    .venv/bin/python scripts/bench/qmax_difficulty.py CORPUS [--essentia-python PYTHON]
        [--queries N] [--write STEM]

CORPUS is a folder that `pemr corpus build` made. Without essentia only our own Qmax is measured,
which scores higher: by 0.04 on real-dev, by 0.13 on the test corpus. Some of the queries, drawn
from a seed, are ranked against the whole corpus; the interval is over their works.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from qmax import Frames, about, accuracy, our_scores
from qmax import peer as essentia_peer

N_QUERIES = 60
SEED = 0


def chroma_of(path: Path) -> Frames:
    from pemr.signal.chroma import chroma
    from pemr.signal.frontend import FINE_FRAME_RATE, FRAME_RATE, unpack

    power = 10 ** (unpack(np.load(path)) / 10)
    return chroma(np.repeat(power, FINE_FRAME_RATE // FRAME_RATE, axis=1).astype(np.float32))


def essentia_scores(python: str, chromas: list[Frames], queries: list[int]) -> Frames:
    from retrieval.ranking.matching.align import common_factor, pool

    pairs = [
        (i, j, common_factor(chromas[i].shape[1], chromas[j].shape[1]))
        for i in queries
        for j in range(len(chromas))
        if i != j
    ]
    keys = {(k, factor) for i, j, factor in pairs for k in (i, j)}
    frames = {f"{k}/{factor}": pool(chromas[k], factor) for k, factor in keys}
    one = next(iter(frames.values()))
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "pairs.npz", Path(folder) / "answer.npz"
        np.savez(given, pairs=np.array(pairs), **frames, **{"long": one, "other long": one})
        subprocess.run([python, __file__, "--peer", str(given), str(answer)], check=True)
        scores = np.full((len(queries), len(chromas)), -np.inf)
        row_of = {i: row for row, i in enumerate(queries)}
        for (i, j, _), distance in zip(pairs, np.load(answer)["distances"], strict=True):
            scores[row_of[i], j] = -distance
        return scores


def measure(corpus: Path, essentia_python: str | None, n_queries: int) -> dict[str, Any]:
    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    works = [row["work"] for row in rows]
    several = [k for k, work in enumerate(works) if works.count(work) > 1]
    drawn = np.random.default_rng(SEED).permutation(several)[:n_queries]
    queries = sorted(int(k) for k in drawn)
    chromas = [chroma_of(corpus / row["spectrogram"]) for row in rows]
    systems = {"our Qmax": accuracy(our_scores(chromas, queries), works, queries)}
    if essentia_python:
        scores = essentia_scores(essentia_python, chromas, queries)
        systems["essentia's Qmax"] = accuracy(scores, works, queries)
    head = json.loads((corpus / "corpus.json").read_text())
    return {
        "corpus": {
            key: head[key]
            for key in ("split", "difficulty", "seed", "n_works", "n_performances", "n_noise")
        },
        "recordings": len(rows),
        "minutes": round(sum(row["duration_s"] for row in rows) / 60),
        "queries": len(queries),
        "systems": systems,
    }


def markdown(result: dict[str, Any]) -> str:
    corpus = result["corpus"]
    counts = (
        f"{corpus['n_works']} works with {corpus['n_performances']} performances each and "
        f"{corpus['n_noise']} noise works, {result['minutes']} minutes; {result['queries']} "
        f"queries, each ranked against all {result['recordings']} recordings."
    )
    lines = [
        f"# Difficulty of `{result['corpus']['split']}` at {result['corpus']['difficulty']}",
        "",
        f"`{result['command']}` at {result['commit']}, {result['date']}, {result['hardware']}.",
        "",
        counts,
        "",
        "| system | MAP (95 % interval) | MR1 | hit@1 |",
        "|---|---|---|---|",
    ]
    for name, figures in result["systems"].items():
        cells = [
            f"{figures[key]['value']:.3f} ({figures[key]['low']:.3f} to {figures[key]['high']:.3f})"
            for key in ("map", "mr1", "hit1")
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", help="made by `pemr corpus build`")
    parser.add_argument("--essentia-python", help="interpreter that has essentia")
    parser.add_argument("--queries", type=int, default=N_QUERIES, help="how many to draw")
    parser.add_argument("--write", help="also write STEM.md and STEM.json")
    parser.add_argument("--peer", nargs=2, metavar=("PAIRS", "ANSWER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        essentia_peer(*options.peer)
        return
    if options.corpus is None:
        parser.error("which corpus?")
    start = time.time()
    measured = measure(options.corpus, options.essentia_python, options.queries)
    command = (
        "scripts/bench/qmax_difficulty.py CORPUS --essentia-python PYTHON "
        f"--queries {options.queries}"
    )
    cores = f"{os.cpu_count()} CPU cores"
    seconds = round(time.time() - start)
    result = {**about(), "command": command, "hardware": cores, "seconds": seconds, **measured}
    print(markdown(result))
    if options.write:
        Path(f"{options.write}.md").write_text(markdown(result))
        Path(f"{options.write}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
