#!/usr/bin/env python
"""Measure which works a setlist names in mixes made from a seed, and the memory that hours take.

    scripts/bench/setlist.py CORPUS [--mixes 10] [--strangers 0] [--hours 6] [--catalog DIR]
        [--out STEM]

CORPUS has one sub-folder per work. Of each work with several recordings the first is only ever
played, never in the catalog; the others are, and so are most works with a single recording. A mix
plays twelve recordings, each of a work of its own, with fades, other speeds and talk (`mixes.py`);
`--strangers` plays as many more, of works that the catalog does not hold. A recording counts as
found where an entry names its work for at least half of its time; a work is false where it is named
while it is not played at all. Memory is the most that a process held which was sent `--hours` of
mixes through standard input.
"""

import argparse
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mixes import RATE, Played, Waveform, mix, write_wav
from numpy.typing import NDArray

from indexer import Catalog, carry_out, plan
from pemr import load_embedder
from pemr.embed import Embedder
from retrieval import Setlist, ranking_from, recognise, trace, write_rows

Row = dict[str, Any]

N_PLAYED = 12
N_REPLICATES = 2000
SUFFIXES = {".flac", ".mp3", ".opus", ".ogg", ".wav", ".m4a"}
ROOT = Path(__file__).parents[2]
MEASURED = """
import atexit, sys
status = lambda: [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
atexit.register(lambda: print(status().split()[1], file=sys.stderr))
import cli
cli.app()
"""


def works_in(corpus: Path) -> dict[str, list[Path]]:
    """Find the recordings of each work."""
    found = {
        folder.name: sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        for folder in sorted(corpus.iterdir())
        if folder.is_dir()
    }
    return {work: paths for work, paths in found.items() if paths}


def programmes(
    works: dict[str, list[Path]], n_mixes: int, n_strangers: int
) -> list[list[tuple[str, Path]]]:
    """Draw what each mix plays; no work twice."""
    rng = np.random.default_rng(0)
    several = [work for work, paths in works.items() if len(paths) > 1]
    single = [work for work, paths in works.items() if len(paths) == 1]
    known, strange = rng.permutation(several).tolist(), rng.permutation(single).tolist()
    if n_mixes * N_PLAYED > len(known) or n_mixes * n_strangers > len(strange):
        sys.exit(f"{len(known)} works and {len(strange)} strangers are too few for so many mixes")
    drawn = []
    for place in range(n_mixes):
        chosen = known[place * N_PLAYED :][:N_PLAYED] + strange[place * n_strangers :][:n_strangers]
        drawn.append([(work, works[work][0]) for work in rng.permutation(chosen).tolist()])
    return drawn


def scored(setlist: Setlist, played: list[Played], work_of: dict[int, str]) -> NDArray[np.float64]:
    """Count recordings, those found, false works, and add up hours and the overlap of the found."""
    named = [
        (entry.start_s, entry.end_s, work_of[entry.candidate.track_id])
        for entry in setlist.entries
        if entry.candidate is not None
    ]
    n_found, overlap, is_right = 0, 0.0, [False] * len(named)
    known = [one for one in played if one.work in set(work_of.values())]
    for one in known:
        shared, union = 0.0, one.end_s - one.start_s
        for place, (start_s, end_s, work) in enumerate(named):
            both_s = min(end_s, one.end_s) - max(start_s, one.start_s)
            if work == one.work and both_s > 0:
                is_right[place] = True
                shared += both_s
                union += end_s - start_s - both_s
        if shared >= 0.5 * (one.end_s - one.start_s):
            n_found += 1
            overlap += shared / union
    return np.array(
        [len(known), n_found, is_right.count(False), setlist.duration_s / 3600, overlap]
    )


def summary(counts: NDArray[np.float64], n_strangers: int) -> Row:
    """Sum up mixes, with intervals bootstrapped over them."""
    rng = np.random.default_rng(0)
    draws = counts[rng.integers(len(counts), size=(N_REPLICATES, len(counts)))].sum(axis=1)
    total = counts.sum(axis=0)

    def figure(over: int, under: int) -> dict[str, float]:
        low, high = np.percentile(draws[:, over] / draws[:, under], [2.5, 97.5])
        return {"value": float(total[over] / total[under]), "low": float(low), "high": float(high)}

    return {
        "mix": f"{N_PLAYED} works, {n_strangers} strangers",
        "mixes": len(counts),
        "hours": round(total[3], 2),
        "recordings": round(total[0]),
        "recall": figure(1, 0),
        "false works an hour": figure(2, 3),
        "intersection over union of those found": figure(4, 1),
    }


def peak_mib(hours: float, catalog: Path, mixed: Waveform) -> tuple[float, float]:
    """Send hours of a mix through standard input; memory in MiB, and processor seconds."""
    samples = (np.clip(mixed, -1, 1) * 32767).astype("<i2").tobytes()
    command = [sys.executable, "-c", MEASURED, "setlist", "-", "--catalog", str(catalog), "--json"]
    left = int(hours * 3600 * RATE) * 2
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told, cwd=ROOT
        ) as process,
    ):
        pipe = process.stdin
        if pipe is None:
            sys.exit("there is no pipe to the process")
        pipe.write(endless_header())
        while left > 0:
            pipe.write(samples[:left])
            left -= len(samples)
        pipe.close()
        if process.wait():
            sys.exit("the process failed")
        told.seek(0)
        kib = int(told.read().split()[-1])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return kib / 1024, used.ru_utime + used.ru_stime


def endless_header() -> bytes:
    """Begin a WAV whose length is not known yet."""
    with tempfile.TemporaryDirectory() as folder:
        head = write_wav(Path(folder) / "a.wav", np.zeros(1, np.float32)).read_bytes()[:44]
    return head[:4] + b"\xff\xff\xff\xff" + head[8:40] + b"\xff\xff\xff\xff"


@contextmanager
def indexed(folder: Path, paths: list[Path], embedder: Embedder) -> Iterator[Catalog]:
    """Make a catalog of these files and nothing else."""
    with Catalog.write(folder, embedder) as opened:
        for _ in carry_out(opened, embedder, plan(opened, paths)):
            pass
        wanted = set(paths)
        opened.delete([track.id for track in opened.tracks() if track.path not in wanted])
        yield opened


def main() -> None:
    """Print a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--mixes", type=int, default=10)
    parser.add_argument("--strangers", type=int, default=0, help="in each mix")
    parser.add_argument("--hours", type=float, default=6.0, help="to send; 0 for none")
    parser.add_argument("--catalog", type=Path, help="where to keep it, to be quicker again")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    options.corpus = options.corpus.absolute()
    embedder = load_embedder("cover")
    ranking = ranking_from(embedder.ranking)
    works = works_in(options.corpus)
    drawn = programmes(works, options.mixes, options.strangers)
    strange = {path for programme in drawn for work, path in programme if len(works[work]) == 1}
    paths = [p for all_ in works.values() for p in (all_[1:] or all_) if p not in strange]
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        where = options.catalog or Path(folder) / "catalog"
        with indexed(where, paths, embedder) as catalog:
            work_of = {track.id: track.path.parent.name for track in catalog.tracks()}
            for place, programme in enumerate(drawn):
                mixed, played = mix(programme, np.random.default_rng(place))
                path = write_wav(Path(folder) / "mix.wav", mixed)
                setlist = recognise(catalog, embedder, path, ranking)
                counts.append(scored(setlist, played, work_of))
                print(place, counts[-1].round(2).tolist(), file=sys.stderr)
        row = summary(np.array(counts), options.strangers)
        if options.hours:
            memory_mib, processor_s = peak_mib(options.hours, where, mixed)
            row |= {
                "hours sent": options.hours,
                "peak MiB": round(memory_mib),
                "processor s": round(processor_s),
            }
    print("\n".join(f"{name}: {value}" for name, value in row.items()))
    if options.out:
        given = {str(options.corpus): "CORPUS", str(options.catalog): "DIR"}
        told = [given.get(word, word) for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/setlist.py", *told])
        write_rows([row], embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
