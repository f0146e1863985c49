#!/usr/bin/env python
"""Time the alignment of a query with the candidates of one search, on random chords.

    scripts/bench/align_speed.py [--candidates 100] [--minutes 4] [--runs 9] [--out STEM]

Query and candidates are as long as each other and have chroma and harmony, as `pemr search` aligns
them, on all cores.
"""

import argparse
import shlex
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr import load_embedder
from retrieval import ranking_from, trace, write_rows
from retrieval.ranking.matching.align import FRAME_RATE, align_many
from retrieval.ranking.matching.harmony import N_PITCH_CLASSES

N_PICTURES = 3  # chroma, harmony and bass
CHORD_LENGTH = 10  # frames


def chords(rng: Generator, n_frames: int) -> NDArray[np.uint8]:
    """Make pictures of pitch classes, uint8 (36, T), that change with every chord."""
    n_chords = -(-n_frames // CHORD_LENGTH)
    held = rng.integers(0, 256, (N_PICTURES * N_PITCH_CLASSES, n_chords), dtype=np.uint8)
    return np.repeat(held, CHORD_LENGTH, axis=1)[:, :n_frames]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, help="stem of the files of the result")
    options = parser.parse_args()
    rng, n_frames = np.random.default_rng(0), round(options.minutes * 60 * FRAME_RATE)
    query, *candidates = (chords(rng, n_frames) for _ in range(options.candidates + 1))
    embedder = load_embedder(device="cpu")
    weights = ranking_from(embedder.ranking).harmony_weights
    align_many(query, candidates, weights)  # compiles
    walls, cpus = [], []
    for _ in range(options.runs):
        wall, cpu = time.perf_counter(), time.process_time()
        align_many(query, candidates, weights)
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    row = {
        "candidates": f"{options.candidates}",
        "minutes": f"{options.minutes:g}",
        "median ms": f"{statistics.median(walls):.0f}",
        "fastest ms": f"{min(walls):.0f}",
        "median ms of CPU": f"{statistics.median(cpus):.0f}",
    }
    print(row)
    if options.out:
        command = shlex.join(["scripts/bench/align_speed.py", *sys.argv[1:]])
        write_rows([row], embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
