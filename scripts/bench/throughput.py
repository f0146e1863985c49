#!/usr/bin/env python
"""Measure seconds of audio per second: decoding, front end, embedding; and peak memory.

    scripts/bench/throughput.py FILE... [--embedder NAME] [--threads 2] [--out STEM]

One row for each kind of file. Every file is read once before it is timed, so the
disk is not measured. With --out, the table and the figures are written to
STEM.md and STEM.json.
"""

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from pemr import load_embedder
from pemr.embed import Embedder
from pemr.signal import audio
from pemr.signal.cqt import Cqt
from pemr.signal.recording import record

STAGES = ("decode", "front end", "embed")


@dataclass
class Row:
    """Times of all files of one kind, in seconds."""

    kind: str
    n_files: int = 0
    audio_s: float = 0.0
    decode_s: float = 0.0
    front_end_s: float = 0.0
    embed_s: float = 0.0
    cpu_s: float = 0.0  # of all threads, all stages

    def add(self, other: "Row") -> None:
        """Count another row's files with these."""
        self.n_files += other.n_files
        self.audio_s += other.audio_s
        self.decode_s += other.decode_s
        self.front_end_s += other.front_end_s
        self.embed_s += other.embed_s
        self.cpu_s += other.cpu_s

    @property
    def total_s(self) -> float:
        """Time of the three stages together."""
        return self.decode_s + self.front_end_s + self.embed_s

    def cells(self) -> list[str]:
        """This row of the table."""
        spent = (self.decode_s, self.front_end_s, self.embed_s, self.total_s)
        rates = [f"{self.audio_s / seconds:,.0f}" for seconds in spent]
        per_song = [f"{240 * spent / self.audio_s:.2f}" for spent in (self.total_s, self.cpu_s)]
        return [self.kind, str(self.n_files), f"{self.audio_s:,.0f}", *rates, *per_song]


def measure(path: Path, embedder: Embedder, n_rounds: int) -> Row:
    """Time one file; of several rounds the quickest counts, stage by stage."""
    times, cpu_times = [], []
    duration_s, transform = 0.0, Cqt()
    for _ in range(n_rounds + 1):  # the first warms up
        cpu_start_s, clock = time.process_time(), [time.perf_counter()]
        blocks = list(audio.blocks(path, sample_rate=audio.SAMPLE_RATE))
        clock.append(time.perf_counter())
        recording = record(blocks, transform)
        clock.append(time.perf_counter())
        embedder.embed([recording])
        clock.append(time.perf_counter())
        times.append(np.diff(clock))
        cpu_times.append(time.process_time() - cpu_start_s)
        duration_s = recording.duration_s
    decode_s, front_end_s, embed_s = np.min(times[1:], axis=0)
    kind = path.suffix.removeprefix(".")
    return Row(kind, 1, duration_s, decode_s, front_end_s, embed_s, min(cpu_times[1:]))


def table(rows: list[Row]) -> str:
    """Render rows as Markdown; rates are seconds of audio per second."""
    header = ["files", "n", "audio (s)", *(f"{stage} (x)" for stage in STAGES), "all (x)"]
    header += ["4-minute song (s)", "of CPU (s)"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def provenance(embedder: Embedder, n_threads: int) -> dict[str, str | float]:
    """Say what was measured, with what, on what."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "command": shlex.join(["scripts/bench/throughput.py", *sys.argv[1:]]),
        "commit": commit.stdout.strip(),
        "embedder": embedder.name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {n_threads} threads",
        "load_average": round(os.getloadavg()[0], 1),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("av", "torch", "numpy")),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--embedder", help="name of the embedder (default: the best there is)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    embedder = load_embedder(options.embedder)
    rows: dict[str, Row] = defaultdict(lambda: Row(""))
    for path in options.files:
        row = measure(path, embedder, options.rounds)
        rows[row.kind].kind = row.kind
        rows[row.kind].add(row)
    facts = provenance(embedder, options.threads)
    text = table(list(rows.values()))
    print(text, *(f"{name}: {fact}" for name, fact in facts.items()), sep="\n")
    if options.out:
        notes = "\n".join(f"- {name.replace('_', ' ')}: {fact}" for name, fact in facts.items())
        title = f"# Throughput of {embedder.name}: seconds of audio per second"
        options.out.with_suffix(".md").write_text(f"{title}\n\n{text}\n\n{notes}\n")
        report = {**facts, "rows": [asdict(row) for row in rows.values()]}
        options.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
