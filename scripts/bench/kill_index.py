#!/usr/bin/env python
"""Kill `pemr index` at random moments until it is through, and compare with a calm run.

    scripts/bench/kill_index.py FOLDER [--embedder NAME] [--every 16] [--seed 0] [--out STEM]

Prints how often it was killed, how long that took, and whether the two catalogs hold the same
tracks, segments, chroma and ranking, and vectors within 1e-5 (embedders round differently in
batches of another make-up). With --out, the figures are written to STEM.md and STEM.json.
"""

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from indexer import Catalog

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5


def index(folder: Path, catalog: Path, embedder: str, limit_s: float | None) -> bool:
    """Run the command, with a limit after which it is killed; whether it ended by itself."""
    command = [sys.executable, str(ROOT / "cli.py"), "--quiet", "index", str(folder)]
    command += ["--catalog", str(catalog), "--embedder", embedder]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        if running.wait(limit_s) != 0:
            sys.exit(f"pemr index failed with {running.returncode}")
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
        return False
    return True


def differences(one: Catalog, other: Catalog) -> list[str]:
    """Name what two catalogs do not agree on."""
    found = []
    if one.tracks() != other.tracks():
        found.append("tracks")
    for track in one.tracks():
        pair = one.embeddings(track.id), other.embeddings(track.id)
        if pair[0].shape != pair[1].shape or not np.allclose(*pair, atol=TOLERANCE):
            found.append(f"vectors of {track.path.name}")
        if not np.array_equal(one.segments(track.id), other.segments(track.id)):
            found.append(f"segments of {track.path.name}")
        pitches = one.pitches_of([track.id])[0], other.pitches_of([track.id])[0]
        if not all(map(np.array_equal, *pitches)):
            found.append(f"chroma of {track.path.name}")
    return found + nearness(one, other)


def nearness(one: Catalog, other: Catalog) -> list[str]:
    """Name what two catalogs do not find alike."""
    found = []
    ids, _ = one.track_embeddings()
    if not np.allclose(
        one.neighbours(ids).hubness(), other.neighbours(ids).hubness(), atol=TOLERANCE
    ):
        found.append("hubness")
    for id_ in ids.tolist():
        asked = [one.embeddings(id_)]
        if not np.array_equal(one.nearest(asked, 10), other.nearest(asked, 10)):
            found.append(f"what is near to {one.track(id_).path.name}")
    return found


def measure(options: argparse.Namespace, work: Path) -> dict[str, str | int | float]:
    """Index calmly, index killed again and again, compare."""
    draw = random.Random(options.seed)  # noqa: S311 (moments to kill at, no secrets)
    started = time.perf_counter()
    index(options.folder, work / "calm", options.embedder, None)
    calm_s = time.perf_counter() - started
    started, n_kills = time.perf_counter(), 0
    while not index(
        options.folder, work / "killed", options.embedder, draw.uniform(0, options.every)
    ):
        n_kills += 1
    killed_s = time.perf_counter() - started
    with (
        Catalog.open(work / "calm") as one,
        Catalog.open(work / "killed") as other,
    ):
        stats = one.stats()
        return {
            "embedder": stats.embedder,
            "tracks": stats.n_tracks,
            "segments": stats.n_segments,
            "calm_s": round(calm_s, 1),
            "kills": n_kills,
            "killed_s": round(killed_s, 1),
            "differences": ", ".join(differences(one, other)) or "none",
        }


def provenance() -> dict[str, str]:
    """Say what was measured, with what, on what."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = ("av", "faiss-gpu", "sqlalchemy", "numpy")
    return {
        "command": shlex.join(["scripts/bench/kill_index.py", *sys.argv[1:]]),
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": str(round(os.getloadavg()[0], 1)),
        "versions": ", ".join(f"{name} {version(name)}" for name in names),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--embedder", default="ftm2d")
    parser.add_argument("--every", type=float, default=16.0, help="most seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {**measure(options, Path(folder)), **provenance()}
    lines = [f"- {name.replace('_', ' ')}: {fact}" for name, fact in found.items()]
    print(*lines, sep="\n")
    if options.out:
        title = "# `pemr index` killed at random moments and started again"
        options.out.with_suffix(".md").write_text("\n".join([title, "", *lines, ""]))
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
