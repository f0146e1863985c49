#!/usr/bin/env python
"""Measure searches by 1, 4 and 16 readers while a writer adds 1,000 tracks and merges them.

    scripts/bench/readers.py FOLDER [--tracks 6000] [--out STEM]

Readers are threads that share an open catalog; the writer is a process of its own, which makes the
vector file anew after every 250 tracks. Every search asks with a track of the catalog, in one
state of it, and must find that track first. FOLDER is filled as `scripts/bench/large.py` does. What
else the machine had to do is told as its load before each run; on an idle one that is near 0.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from large import ROOT, fill

from indexer import Catalog
from retrieval import trace, write_rows

N_ADDED = 1_000

ADDING = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[3]) / "scripts" / "bench"))
from large import store
from indexer import Catalog, repair
repair.is_outdated = lambda n_changed, n_held: n_changed >= 200
first = int(sys.argv[2])
with Catalog.write(Path(sys.argv[1])) as catalog:
    for number in range(first, first + 1000):
        store(catalog, Path(f"/new/{number}.mp3"), number)
        if number % 250 == 249:
            catalog.flush()
"""


def asked(catalog: Catalog, track_id: int) -> float:
    """Ask with a track in one state of the catalog: seconds."""
    start = time.perf_counter()
    with catalog.snapshot():
        found = catalog.nearest([catalog.embeddings(track_id)], 10)
        if track_id not in found or len(catalog.embeddings_of(found.tolist())) != len(found):
            sys.exit(f"track {track_id} does not find itself")
    return time.perf_counter() - start


def measured(folder: Path, n_readers: int, first: int, n_tracks: int) -> dict[str, str]:
    """Search with so many readers until the writer is done."""
    command = [sys.executable, "-c", ADDING, str(folder), str(first), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    rng = np.random.default_rng(n_readers)
    spent: list[float] = []
    load = os.getloadavg()[0]
    with Catalog.open(folder) as catalog, ThreadPoolExecutor(n_readers) as pool:
        before = catalog.n_sounding()
        writing = subprocess.Popen(command, env=environment)
        while writing.poll() is None:
            ids = rng.integers(1, n_tracks, 4 * n_readers).tolist()
            spent += pool.map(lambda track_id: asked(catalog, track_id), ids)
        if writing.returncode or catalog.n_sounding() != before + N_ADDED:
            sys.exit("not all tracks were added")
    return {
        "readers": str(n_readers),
        "searches": str(len(spent)),
        "p50 ms": f"{1000 * np.percentile(spent, 50):.0f}",
        "p99 ms": f"{1000 * np.percentile(spent, 99):.0f}",
        "errors": "0",
        "load before": f"{load:.1f}",
    }


def main() -> None:
    """Parse, fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=6_000)
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    fill(options.folder, options.tracks)
    with Catalog.write(options.folder / "catalog") as catalog:
        catalog.remove(Path("/new"))  # what was added the last time
    rows = []
    for place, n_readers in enumerate((1, 4, 16)):
        first = time.time_ns() // 10**6 * 10 + place * N_ADDED  # none that is there already
        rows.append(measured(options.folder / "catalog", n_readers, first, options.tracks))
        print(rows[-1], flush=True)
    if options.out:
        command = f"scripts/bench/readers.py FOLDER --tracks {options.tracks}"
        write_rows(rows, "drawn", trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
