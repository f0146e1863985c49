#!/usr/bin/env python
"""Measure a catalog of many tracks on disk: opening, searching, adding, listing, indexing again.

    scripts/bench/large.py FOLDER [--tracks 100000] [--out STEM]

FOLDER is filled with empty files and a catalog of them, whose vectors are drawn from a seed; both
are kept for the next time. Packed recordings are left out, so nothing is aligned. What opens or
writes is a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from sqlalchemy import insert

from indexer import AudioFile, Catalog, Embedded, KeptRecording, Writer, packing, signed
from indexer.records import N_ROWS
from indexer.schema import Base, CatalogRow, EmbeddingRow, RecordingRow, SpansRow, TrackRow
from indexer.tags import Tags
from retrieval import trace, write_rows

ROOT = Path(__file__).parents[2]
DIM, N_SEGMENTS = 256, 22
SPANS_S = np.arange(N_SEGMENTS)[:, None] * 10.0 + [0.0, 20.0]

OPENING = """
import sys, time
start = time.perf_counter(), time.process_time()
from pathlib import Path
import numpy as np
import faiss, numba, sqlalchemy.orm
from indexer import Catalog
from retrieval import PLAIN, search
from retrieval.ranking.searching import stored_query
imported = time.perf_counter(), time.process_time()
ranking = PLAIN.without("alignment")
with Catalog.open(Path(sys.argv[1])) as catalog:
    search(catalog, stored_query(catalog, catalog.track(1)), ranking)
    found = time.perf_counter(), time.process_time()
    spent = []
    for track_id in range(2, 102):
        query = stored_query(catalog, catalog.track(track_id))
        begin = time.process_time()
        search(catalog, query, ranking)
        spent.append(time.process_time() - begin)
status = Path("/proc/self/status").read_text()  # what getrusage says begins with the parent's
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
row = {"imports s": imported[0] - start[0], "opening and first search s": found[0] - imported[0]}
row |= {"s of CPU": found[1] - imported[1], "peak MB": peak}
row |= {f"search p{n} s of CPU": float(np.percentile(spent, n)) for n in (50, 99)}
import json
print(json.dumps(row))
"""


class Nobody:
    """An embedder that is never asked."""

    name, dim, file_errors, ranking = "drawn", DIM, (OSError,), {}


def vectors_of(number: int, n_dims: int = DIM) -> Any:  # noqa: ANN401 (an array)
    """Draw the segments of a track, float32 (S, D): all of them somewhat alike."""
    rng = np.random.default_rng(number)
    drawn = rng.standard_normal((N_SEGMENTS, n_dims)) + rng.standard_normal(n_dims) / 2
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def store(catalog: Writer, path: Path, number: int) -> int:
    """Store a track whose file may be there."""
    embedded = Embedded(vectors_of(number), SPANS_S, KeptRecording.without_frames(230.0))
    mtime_ns = path.stat().st_mtime_ns if path.exists() else 1
    file = AudioFile(path, 0, mtime_ns, f"{number:032x}")
    return int(catalog.store(file, Tags(path.stem, artist=f"artist {number % 997}"), embedded))


def fill(folder: Path, n_tracks: int) -> None:
    """Make files and catalog, or go on where that was cut short."""
    (folder / "music").mkdir(parents=True, exist_ok=True)
    with Catalog.write(folder / "catalog", Nobody()) as catalog:  # type: ignore[arg-type]
        known = catalog.known()
        there = {one.file.path.name for one in known}
        missing = [n for n in range(n_tracks) if f"{n:07}.mp3" not in there]
        track_id = max((one.track_id for one in known), default=0) + 1
        for some in signed.batched(missing):
            paths = [(folder / "music" / f"{number:07}.mp3").absolute() for number in some]
            for path in paths:
                path.touch()
            store_all(catalog, track_id, dict(zip(some, paths, strict=True)))
            track_id += len(some)
        catalog.add_roots([folder / "music"])


def store_all(catalog: Writer, first_id: int, paths: Mapping[int, Path]) -> None:
    """Store new tracks as `store` would, but in one transaction and without objects."""
    spans = SPANS_S.tobytes()
    checksum = packing.begun_checksum
    rows: dict[type[Base], list[dict[str, Any]]] = defaultdict(list)
    with catalog._writing() as session:
        generation = catalog._counted(session)
        for track_id, (number, path) in enumerate(paths.items(), start=first_id):
            of = {"track_id": track_id}
            vectors = vectors_of(number).tobytes()
            found = packing.vectors_checksum(track_id, vectors, generation)
            rows[TrackRow].append(track_row(track_id, number, path))
            rows[RecordingRow].append(of | dict.fromkeys(N_ROWS, b"") | {"checksum": 0})
            rows[SpansRow].append(of | {"spans": spans, "checksum": checksum(track_id, spans)})
            row = of | {"vectors": vectors, "generation": generation, "checksum": found}
            rows[EmbeddingRow].append(row)
        for kind, some in rows.items():
            session.execute(insert(kind), some)
        about = session.get_one(CatalogRow, 1)
        about.n_tracks += len(paths)
        about.n_sounding += len(paths)


def track_row(track_id: int, number: int, path: Path) -> dict[str, Any]:
    """Make the row of a track, signed."""
    row = dict.fromkeys(signed.NAMES[TrackRow]) | {
        "id": track_id, "path": os.fsencode(path), "size_bytes": 0,
        "mtime_ns": path.stat().st_mtime_ns, "audio_hash": f"{number:032x}", "title": path.stem,
        "artist": f"artist {number % 997}", "duration_s": 230.0, "is_silent": False,
        "is_missing": False, "damage": "", "added_s": time.time(), "n_segments": N_SEGMENTS,
        "pitches_checksum": packing.begun_checksum(track_id, b"", b""),
    }  # fmt: skip
    return {**signed.signature(**row), "path_text": str(path)}


def run(command: list[str]) -> tuple[float, str]:
    """Run a process: seconds, and what it printed."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[-1]}: {done.stderr}")
    return time.perf_counter() - start, done.stdout


def measured(folder: Path) -> Iterator[tuple[str, float]]:
    """Open, search, add, list, index again."""
    catalog = folder / "catalog"
    run([sys.executable, "-c", OPENING, str(catalog)])  # so that the disk is not measured
    yield from json.loads(run([sys.executable, "-c", OPENING, str(catalog)])[1]).items()
    with Catalog.open(catalog) as reader:
        reader.nearest([vectors_of(1)], 10)
        start, cpu = time.perf_counter(), time.process_time()
        with Catalog.write(catalog) as opened:
            added = [store(opened, folder / f"new-{i}.mp3", 10**7 + i) for i in range(20)]
        if added[7] not in reader.nearest([vectors_of(10**7 + 7)], 10):
            sys.exit("a track that was added is not found")
        yield "20 added and found s", time.perf_counter() - start
        yield "20 added and found s of CPU", time.process_time() - cpu
    with Catalog.write(catalog) as opened:
        opened.delete(added)
    pemr = [sys.executable, str(ROOT / "cli.py"), "-q"]
    jobs = {
        name: [*pemr, *name.split(), "--json", "--catalog", str(catalog)]
        for name in ("info", "list --limit 100", "list --artist 996 --year 2000", "list")
    }
    jobs["index again"] = [sys.executable, "-c", AGAIN, str(catalog), str(folder / "music")]
    for name, job in jobs.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        yield f"{name} s", run(job)[0]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        yield f"{name} s of CPU", spent


AGAIN = """
import sys
from pathlib import Path
from indexer import Catalog, Tally, carry_out, plan
from retrieval.reporting import terminal

terminal.begin()

class Nobody:
    name, dim, file_errors, ranking = "drawn", 256, (OSError,), {}
    embed = lambda self, recordings: []

with Catalog.write(Path(sys.argv[1]), Nobody()) as catalog:
    tally = Tally()
    for event in carry_out(catalog, Nobody(), plan(catalog, [Path(sys.argv[2])])):
        tally.count(event)
sys.exit(tally.row().get("unchanged", 0) < 1)
"""


def main() -> None:
    """Parse, fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    start = time.process_time()
    fill(options.folder, options.tracks)
    print(f"filled in {time.process_time() - start:.0f} s of CPU", flush=True)
    rows = []
    for name, figure in measured(options.folder):
        rows.append({"what": name, "figure": f"{figure:.3f}"})
        print(rows[-1], flush=True)
    if options.out:
        command = f"scripts/bench/large.py FOLDER --tracks {options.tracks}"
        write_rows(rows, "drawn", trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
