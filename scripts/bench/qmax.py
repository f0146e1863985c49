#!/usr/bin/env python
"""Measure our Qmax: milliseconds a pair, and accuracy against essentia's on the same chroma.

    .venv/bin/python scripts/bench/qmax.py FOLDER [--essentia-python PYTHON] [--write STEM]

FOLDER holds one sub-folder of recordings per work. Essentia is AGPL and no dependency of ours:
it runs in an interpreter of its own, which gets pooled chroma and gives back distances.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[Any]

N_REPEATS = 200
FOUR_MINUTES = 1200  # frames of chroma


def peer(pairs_file: str, answer_file: str) -> None:
    """Run in essentia's interpreter: distances of pooled pairs, and the time of one long pair."""
    import essentia

    essentia.log.infoActive = False
    import essentia.standard as es

    similarity = es.ChromaCrossSimilarity(
        frameStackSize=9, frameStackStride=1, binarizePercentile=0.095, oti=True
    )
    alignment = es.CoverSongSimilarity(alignmentType="serra09", distanceType="asymmetric")

    def distance(query: Frames, candidate: Frames) -> float:
        return float(alignment(similarity(query, candidate))[1])

    stored = np.load(pairs_file)
    frames = {key: np.ascontiguousarray(stored[key].T, np.float32) / 255 for key in stored.files}
    pairs = [
        (frames[f"{i}/{factor}"], frames[f"{j}/{factor}"])
        for i, j, factor in stored["pairs"].tolist()
    ]
    distances = [distance(query, candidate) for query, candidate in pairs]
    long_pair = (frames["long"], frames["other long"])
    milliseconds = time_ms(lambda: distance(*long_pair), 20)
    np.savez(answer_file, distances=distances, ms=milliseconds, version=essentia.__version__)


def time_ms(function: Callable[[], object], n_repeats: int) -> float:
    """Median time that one call keeps one core busy, in milliseconds."""
    times = []
    for _ in range(n_repeats):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return statistics.median(times) * 1e3


def read_chromas(paths: list[Path]) -> list[Frames]:
    from pemr import load_embedder

    embedder = load_embedder("ftm2d")
    return [embedder.listen(path).chroma for path in paths]


def long_pair(chromas: list[Frames]) -> tuple[Frames, Frames]:
    """Two made of different recordings, four minutes each."""
    joined = np.concatenate(chromas, axis=1)
    joined = np.tile(joined, -(-2 * FOUR_MINUTES // joined.shape[1]))
    return joined[:, :FOUR_MINUTES].copy(), joined[:, FOUR_MINUTES : 2 * FOUR_MINUTES].copy()


def our_scores(chromas: list[Frames], queries: list[int]) -> Frames:
    from retrieval.ranking.matching.align import align_many

    return np.array([[a.score for a in align_many(chromas[i], chromas)] for i in queries])


def plain(chromas_file: str, answer_file: str) -> None:
    """Run in a process of its own: our scores with the settings that essentia has by default."""
    from retrieval.ranking.matching import align, qmax

    align.N_TRANSPOSITIONS, qmax.ONSET_PENALTY = 1, 0.5  # before anything is compiled
    stored = np.load(chromas_file)
    chromas = [stored[f"{k}"] for k in range(len(stored.files) - 1)]
    np.save(answer_file, our_scores(chromas, stored["queries"].tolist()))


def plain_scores(chromas: list[Frames], queries: list[int]) -> Frames:
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "chromas.npz", Path(folder) / "answer.npy"
        frames = {f"{k}": chroma for k, chroma in enumerate(chromas)}
        np.savez(given, queries=np.array(queries), **frames)
        command = [sys.executable, __file__, "--plain", str(given), str(answer)]
        subprocess.run(command, check=True, env=os.environ | {"NUMBA_CACHE_DIR": folder})
        found: Frames = np.load(answer)
        return found


def peer_scores(
    python: str, chromas: list[Frames], queries: list[int]
) -> tuple[Frames, float, str]:
    """Scores of essentia, its milliseconds for one long pair, its version."""
    from retrieval.ranking.matching.align import common_factor, pool

    pairs = [
        (i, j, common_factor(chromas[i].shape[1], chromas[j].shape[1]))
        for i in queries
        for j in range(len(chromas))
        if i != j
    ]
    keys = {(k, factor) for i, j, factor in pairs for k in (i, j)}
    frames = {f"{k}/{factor}": pool(chromas[k], factor) for k, factor in keys}
    one, other = long_pair(chromas)
    factor = common_factor(FOUR_MINUTES, FOUR_MINUTES)
    frames |= {"long": pool(one, factor), "other long": pool(other, factor)}
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "pairs.npz", Path(folder) / "answer.npz"
        np.savez(given, pairs=np.array(pairs), **frames)
        subprocess.run([python, __file__, "--peer", str(given), str(answer)], check=True)
        found = np.load(answer)
        scores = np.full((len(queries), len(chromas)), -np.inf)
        row_of = {i: row for row, i in enumerate(queries)}
        for (i, j, _), distance in zip(pairs, found["distances"], strict=True):
            scores[row_of[i], j] = -distance
        return scores, float(found["ms"]), str(found["version"])


def accuracy(scores: Frames, works: list[str], queries: list[int]) -> dict[str, Any]:
    from retrieval.measuring.metrics import score_queries
    from retrieval.measuring.summary import summarise

    work = np.unique(works, return_inverse=True)[1]
    own = np.array(queries)
    measured = score_queries(scores, work[own, None] == work, own)
    figures = summarise(measured, work[own])
    return {name: vars(figures[name]) for name in ("map", "mr1", "hit1")}


def measure(folder: Path, essentia_python: str | None) -> dict[str, Any]:
    from retrieval.benchmarks.folder import load
    from retrieval.ranking.matching.align import align

    performances = [p for p in load(folder).performances if p.path is not None]
    works = [p.work for p in performances]
    queries = [k for k, work in enumerate(works) if works.count(work) > 1]
    chromas = read_chromas([p.path for p in performances])
    one, other = long_pair(chromas)
    align(one, other)
    measured = {"ours": {"ms_per_pair": time_ms(lambda: align(one, other), N_REPEATS)}}
    measured["ours"] |= accuracy(our_scores(chromas, queries), works, queries)
    if essentia_python:
        scores, milliseconds, version = peer_scores(essentia_python, chromas, queries)
        name = f"essentia {version}"
        measured[name] = {"ms_per_pair": milliseconds} | accuracy(scores, works, queries)
        scores = plain_scores(chromas, queries)
        measured["ours, with essentia's settings"] = accuracy(scores, works, queries)
    return {
        "benchmark": folder.resolve().name,
        "recordings": len(works),
        "queries": len(queries),
        "works": len({works[k] for k in queries}),
        "systems": measured,
    }


def about() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    import numba

    return {
        "command": "scripts/bench/qmax.py FOLDER --essentia-python PYTHON --write STEM",
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "hardware": f"{os.cpu_count()} CPU cores, {cpu_name()}; a pair is timed on one of them",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": numba.__version__,
        },
    }


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def markdown(result: dict[str, Any]) -> str:
    def cell(figure: dict[str, float]) -> str:
        return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"

    rows = []
    for name, figures in result["systems"].items():
        cells = [cell(figures[metric]) for metric in ("map", "mr1", "hit1")]
        pace = f"{figures['ms_per_pair']:.1f}" if "ms_per_pair" in figures else "-"
        rows.append(f"| {name} | {' | '.join(cells)} | {pace} |")
    counts = (
        f"{result['recordings']} recordings, {result['queries']} queries of {result['works']} "
        "works; every query is ranked against all recordings, on the same pooled chroma."
    )
    return "\n".join(
        [
            f"# Qmax on {result['benchmark']}",
            "",
            f"`{result['command']}` at {result['commit']}, {result['date']}.",
            f"{result['hardware']}. "
            + ", ".join(f"{name} {version}" for name, version in result["versions"].items())
            + ".",
            "",
            counts,
            "The pairs of this set were found with the help of Qmax, so the figures compare two",
            "programs and say nothing about accuracy. Settings of essentia: one transposition, not",
            "the best of two, and a penalty of 0.5 instead of 5 to leave a match.",
            "",
            "| system | MAP (95 % interval) | MR1 | hit@1 | ms a pair of 4-minute tracks |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="one sub-folder per work")
    parser.add_argument("--essentia-python", help="interpreter that has essentia")
    parser.add_argument("--write", help="also write STEM.md and STEM.json")
    parser.add_argument("--peer", nargs=2, metavar=("PAIRS", "ANSWER"), help=argparse.SUPPRESS)
    parser.add_argument("--plain", nargs=2, metavar=("CHROMAS", "ANSWER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(*options.peer)
        return
    if options.plain:
        plain(*options.plain)
        return
    if options.folder is None:
        parser.error("which folder?")
    result = about() | measure(options.folder, options.essentia_python)
    print(markdown(result))
    if options.write:
        Path(f"{options.write}.md").write_text(markdown(result))
        Path(f"{options.write}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
