"""Time the evaluation of a benchmark of the size of SHS100K-TEST, on random vectors.

10,547 queries are ranked against 10,547 tracks in 1,692 cliques of nearly equal size, with
every metric, every query's row and the bootstrapped intervals.

    python scripts/bench/map_speed.py
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from retrieval.benchmarks.base import Benchmark, Card, Performance
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.scorers import VectorScorer
from retrieval.reporting.provenance import trace

COMMAND = "python scripts/bench/map_speed.py"
LIMIT_S, LIMIT_GIB = 20.0, 2.0


def benchmark_of(n_tracks: int, n_cliques: int) -> Benchmark:
    card = Card(name="random", title="Random", licence="", citation="", source="", layout="")
    performances = tuple(
        Performance(name=f"{i}", work=f"{i % n_cliques}", path=None) for i in range(n_tracks)
    )
    return Benchmark(card=card, root=Path(), performances=performances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_547)
    parser.add_argument("--cliques", type=int, default=1_692)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--out", type=Path, help="where to write the result as JSON")
    chosen = parser.parse_args()
    benchmark = benchmark_of(chosen.tracks, chosen.cliques)
    vectors = np.random.default_rng(0).standard_normal((chosen.tracks, chosen.dim))
    scorer = VectorScorer(
        names=[p.name for p in benchmark.performances], embeddings=vectors.astype(np.float32)
    )
    run = trace(COMMAND)
    start = time.perf_counter()
    report = evaluate(benchmark, scorer, f"random vectors of {chosen.dim} dimensions")
    wall_s = time.perf_counter() - start
    cpu_s = time.process_time()
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = {
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "peak_gib": round(peak_gib, 2),
        "queries": report.counts.queries,
        "candidates": report.counts.candidates,
        "map": report.metrics["map"].value,
    }
    print(json.dumps(figures, indent=1))
    if chosen.out:
        result = {
            "command": COMMAND,
            "commit": run.commit,
            "hardware": run.hardware,
            "date": run.date,
            "versions": run.versions,
            "figures": figures,
        }
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")
    if wall_s > LIMIT_S or peak_gib > LIMIT_GIB:
        sys.exit(f"over the limit of {LIMIT_S:.0f} s and {LIMIT_GIB:.0f} GiB")


if __name__ == "__main__":
    main()
