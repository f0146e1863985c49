#!/usr/bin/env python
"""Say where the memory of `pemr index` comes from: after each library, the model, each recording.

scripts/bench/memory.py SONG [--embedder cover] [--threads 2] [--times 5]
"""

import argparse
import importlib
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIBRARIES = ("numpy", "av", "torch", "numba", "faiss", "sqlalchemy.orm")


def told(what: str) -> None:
    """Print the memory of this process, and the most that it had."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = {name: int(status[name].split()[0]) // 1024 for name in ("VmRSS", "RssAnon", "RssFile")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    own, mapped = held["RssAnon"], held["RssFile"]
    print(f"{what:24} {held['VmRSS']:5} MB: {own} of its own, {mapped} of files; {peak} at most")


def main() -> None:
    """Parse, load one thing after the other, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("song", type=Path)
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    told("python")
    for name in LIBRARIES:
        importlib.import_module(name)
        told(name)
    from pemr import load_embedder

    embedder = load_embedder(options.embedder, "cpu")
    embedder.listen(options.song)
    told("one recording")
    with ThreadPoolExecutor(options.threads) as pool:
        recordings = list(pool.map(embedder.listen, [options.song] * options.times))
    told(f"{options.times} in {options.threads} threads")
    embedder.embed(recordings)
    told("embedded")


if __name__ == "__main__":
    main()
