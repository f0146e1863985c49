#!/usr/bin/env python
"""Measure whole processes: `pemr index` of a small folder, then `pemr search` with a song outside.

    scripts/bench/start.py SONG FOLDER [--runs 5] [--out STEM]

Each is a process of its own, so what it takes to start is measured too. The folder is indexed into
a new catalog for every run; all is run once before it is timed, so the disk is not measured and
machine code is compiled.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pemr import load_embedder
from retrieval import trace, write_rows

ROOT = Path(__file__).parents[2]


def run(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Run a command of pemr: seconds, seconds of all its threads, and megabytes at most."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "cli.py"), "--quiet", *arguments]
    null = os.open(os.devnull, os.O_WRONLY)
    process = os.posix_spawn(
        sys.executable,
        command,
        {**os.environ, "PYTHONPATH": str(ROOT)},
        file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)],
    )
    _, status, used = os.wait4(process, 0)
    os.close(null)
    if status:
        sys.exit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("song", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.runs + 1):
            catalog = f"--catalog={folder}/{number}"
            members = sorted(options.folder.rglob("*.*"))
            commands = {
                "help": ["--help"],
                "index": ["index", *map(str, members[:5]), f"--catalog={folder}/few-{number}"],
                "index of all": ["index", str(options.folder), catalog],
                "search": ["search", str(options.song), catalog],
                "search by a track": ["search", str(members[0]), catalog],
            }
            for name, arguments in commands.items():
                found.setdefault(name, []).append(run(arguments))
    rows = [
        {
            "process": name,
            "files": str({"index": 5, "help": 0}.get(name, len(members))),
            "median s": f"{statistics.median(one[0] for one in runs[1:]):.2f}",
            "fastest s": f"{min(one[0] for one in runs[1:]):.2f}",
            "median s of CPU": f"{statistics.median(one[1] for one in runs[1:]):.2f}",
            "peak MB": f"{max(one[2] for one in runs[1:]):.0f}",
        }
        for name, runs in found.items()
    ]
    for row in rows:
        print(row)
    if options.out:
        command = f"scripts/bench/start.py SONG FOLDER --runs {options.runs}"
        embedder = load_embedder(device="cpu")
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
