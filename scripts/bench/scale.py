#!/usr/bin/env python
"""Measure search in steps against exact search, among real works rotated at random.

    scripts/bench/scale.py --works CATALOG... [--tracks 100000] [--queries 100] [--out STEM]

CATALOG is a catalog whose tracks lie in a folder for each work, such as `pemr evaluate` leaves in
the cache. Its works are embedded at the ranking's tempos and turned at random until there are
enough tracks (`scripts/bench/rotated.py`); packed recordings are left out. Covers of every query
are among the tracks. Figures: how far the statistics of the tracks agree with the real ones, how
many of the exact best 100 are found, how many of the covers that exact search ranks in its first
ten, seconds a query, bytes a track. With --out, they are written to STEM.json and STEM.md.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from rotated import Performance, Vectors, gather, rotated

from indexer import repair
from indexer.searched import Searched
from pemr import load_embedder
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.ranking import ranking_from
from retrieval.reporting.provenance import trace

N_BEST, N_FIRST = 100, 10
LAGS = (1, 2, 4, 8)


def tracks_of(
    works: Sequence[Sequence[Performance]], seed: int
) -> Iterator[tuple[int, int, Performance]]:
    """Yield id, work and versions of track after track, the same ones for the same seed."""
    track_id = 0
    for number, work in enumerate(rotated(works, np.random.default_rng(seed))):
        for performance in work:
            track_id += 1
            yield track_id, number, performance


def statistics(tracks: Sequence[tuple[int, Vectors]]) -> dict[str, float]:
    """Measure how alike segments of a track, covers and strangers are; tracks by their work."""
    figures = {}
    for lag in LAGS:
        pairs = [(v[:-lag] * v[lag:]).sum(axis=1) for _, v in tracks if len(v) > lag]
        figures[f"lag_{lag}"] = float(np.concatenate(pairs).mean()) if pairs else float("nan")
    covers, strangers = [], []
    vectors = [v for _, v in tracks]
    works = np.array([work for work, _ in tracks])
    for place, (work, asked) in enumerate(tracks):
        scores = track_scores(asked, vectors)
        covers.append(scores[(works == work) & (np.arange(len(works)) != place)])
        strangers.append(scores[works != work])
    for name, found, shares in (
        ("covers", np.concatenate(covers), (5, 50, 95)),
        ("strangers", np.concatenate(strangers), (50, 99, 99.9)),
    ):
        figures |= {f"{name}_{share}": float(np.percentile(found, share)) for share in shares}
    return figures


def compared(
    held: Searched, queries: Sequence[tuple[int, int, Performance]], of: dict[int, int]
) -> dict[str, float]:
    """Ask every query exactly and in steps."""
    recalls, n_planted, n_kept = [], 0, 0
    times: dict[str, list[float]] = {"steps": [], "exact": []}
    main = held.main.segments
    for track_id, work, versions in queries:
        own = np.array([track_id])
        start = time.process_time()
        scores = main.scores(versions, held.mean_length)
        times["exact"].append(time.process_time() - start)
        scores[main.places_of(own)] = -2
        order = np.argsort(-scores, kind="stable")[:N_BEST]
        best = main.ids[order]
        start = time.process_time()
        found = held.nearest(versions, 500, without=own)
        times["steps"].append(time.process_time() - start)
        recalls.append(np.isin(best, found).mean())
        planted = [one for one in best[:N_FIRST].tolist() if of[one] == work]
        n_planted += len(planted)
        n_kept += int(np.isin(planted, found).sum())
    cpu = {
        f"cpu_s_{name}_p{share}": float(np.percentile(spent, share))
        for name, spent in times.items()
        for share in (50, 99)
    }
    return {"recall_100": float(np.mean(recalls)), "planted": n_planted, "kept": n_kept, **cpu}


def measure(works: Sequence[Sequence[Performance]], options: argparse.Namespace) -> dict[str, Any]:
    """Make the tracks, hold them, ask."""

    def stored() -> Iterator[tuple[int, Vectors]]:
        for track_id, _, versions in islice(tracks_of(works, options.seed), options.tracks):
            yield track_id, versions[0]

    made = islice(tracks_of(works, options.seed), options.tracks)
    of: dict[int, int] = {}
    can_ask: list[tuple[int, int, Performance]] = []
    for track_id, work, versions in made:
        of[track_id] = work
        if len(versions) > 1 and len(can_ask) < 20 * options.queries:
            can_ask.append((track_id, work, versions))
    start = time.process_time()
    held = repair.rebuilt(stored, options.tracks, works[0][0][0].shape[1])
    built_s = time.process_time() - start
    real = [(w, p[0]) for w, work in enumerate(works) for p in work]
    synthetic = [(of[i], v) for i, v in islice(stored(), len(real))]
    drawn = np.random.default_rng(options.seed).permutation(len(can_ask))[: options.queries]
    main = held.main
    searched = [main.segments.ids, main.segments.starts, main.means, main.neighbours.ids]
    n_bytes = sum(one.nbytes for one in (*searched, main.neighbours.cosines))
    for codes in (main.lists, main.coarse):
        n_bytes += codes.to_bytes().nbytes if codes is not None else 0
    kept = main.segments.values.nbytes + main.segments.scales.nbytes
    return {
        "tracks": options.tracks,
        "segments": held.n_segments,
        "queries": len(drawn),
        "real": statistics(real),
        "rotated": statistics(synthetic),
        **compared(held, [can_ask[place] for place in drawn], of),
        "cpu_s_built": built_s,
        "cpu_s_added_20": added(held, stored),
        "bytes_a_track_searched": n_bytes / options.tracks,
        "bytes_a_track_exact": kept / options.tracks,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def added(held: Searched, stored: Any) -> float:  # noqa: ANN401 (a callable of this module)
    """Add twenty tracks and ask for one of them: CPU seconds."""
    twenty = list(islice(stored(), 20))
    start = time.process_time()
    for track_id, vectors in twenty:
        held.add(10_000_000 + track_id, vectors)
    if 10_000_001 not in held.nearest([twenty[0][1]], 10):
        sys.exit("a track that was added is not found")
    return time.process_time() - start


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", type=Path, required=True, metavar="CATALOG")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--asked", type=int, default=120, help="real tracks that can be asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write STEM.json and STEM.md")
    options = parser.parse_args()
    embedder = load_embedder(None, "cpu")
    works = gather(options.works, embedder, ranking_from(embedder.ranking).tempos, options.asked)
    command = "scripts/bench/scale.py --works CATALOG..."  # their places are of this machine
    command += f" --tracks {options.tracks} --queries {options.queries} --seed {options.seed}"
    about = {**asdict(trace(command)), "embedder": embedder.name}
    found = {**about, "figures": measure(works, options)}
    print(json.dumps(found["figures"], indent=1))
    if options.out:
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1, default=str) + "\n")
        lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in found["figures"].items()]
        title = f"# Search among {options.tracks:,} tracks, in steps against exact"
        text = "\n".join([title, "", f"`{command}`", "", *lines, ""])
        options.out.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
