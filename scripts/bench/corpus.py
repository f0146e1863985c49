#!/usr/bin/env python
"""Measure how fast performances are made: rendered with effects, and with spectrograms written.

    .venv/bin/python scripts/bench/corpus.py --scores DIR --cache DIR [--works N] [--write STEM]

Each step is timed by the processor time it keeps one core busy, so that the figures mean the same
on a machine that does other work as well; they are given for all cores together.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qmax import about

STEPS = ("arrange", "render", "apply_chain")
NAMES = {
    "arrange": "arrange",
    "render": "play and mix",
    "apply_chain": "effects",
    "rest": "constant-Q transform, packed and written",
}


def timed(function: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    def run(*args: object, **options: object) -> object:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            spent[name] += time.process_time() - start

    return run


def measure(scores: Path, cache: Path, n_works: int) -> dict[str, Any]:
    from pemr.corpus import build
    from pemr.corpus.notes.works import works
    from pemr.corpus.sounding.soundfont import choose_fonts

    spent: dict[str, float] = defaultdict(float)
    for step in STEPS:
        setattr(build, step, timed(getattr(build, step), spent, step))
    fonts = choose_fonts(None)
    order = build.Order(
        split="dev", n_works=n_works, n_performances=4, difficulty="mixed", fonts=fonts
    )
    found = works(scores, cache)
    for font in fonts:  # read once a process, so not part of a performance
        build._engine(font)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        n = len(list(build.build(found, order, Path(folder))))
        total = time.process_time() - start
        lines = (Path(folder) / "manifest.jsonl").read_text().splitlines()
    audio_s = sum(json.loads(line)["duration_s"] for line in lines)
    spent["rest"] = total - sum(spent.values())
    return {"performances": n, "audio_s": audio_s, "spent_s": {**spent, "total": total}}


def report(measured: dict[str, Any]) -> dict[str, Any]:
    n_cores = os.cpu_count() or 1
    spent, audio_s = measured["spent_s"], measured["audio_s"]
    sound_s = spent["total"] - spent["rest"]
    return {
        **about(),
        **measured,
        "n_cores": n_cores,
        "times_real_time": {
            "rendering with effects": n_cores * audio_s / sound_s,
            "with spectrograms written": n_cores * audio_s / spent["total"],
        },
    }


def markdown(result: dict[str, Any]) -> str:
    spent = result["spent_s"]
    rows = [
        f"| {NAMES[step]} | {spent[step]:.1f} | {100 * spent[step] / spent['total']:.0f} % |"
        for step in sorted(NAMES, key=lambda step: -spent[step])
    ]
    speeds = [f"- {name}: {x:.0f} times real time" for name, x in result["times_real_time"].items()]
    counts = (
        f"{result['performances']} performances, {result['audio_s'] / 60:.0f} minutes of audio; "
        f"processor time of one core, speeds for {result['n_cores']} cores."
    )
    return "\n".join(
        [
            "# Speed of the corpus",
            "",
            f"`{result['command']}` at {result['commit']}, {result['date']}, {result['hardware']}.",
            "",
            counts,
            "",
            *speeds,
            "",
            "| step | seconds | share |",
            "|---|---|---|",
            *rows,
            "",
            "The step at the top of the table is the limit.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, required=True, help="folder of score archives")
    parser.add_argument("--cache", type=Path, required=True, help="where parsed scores are kept")
    parser.add_argument("--works", type=int, default=8, help="works of four performances")
    parser.add_argument("--write", help="also write STEM.md and STEM.json")
    options = parser.parse_args()
    command = f"scripts/bench/corpus.py --scores DIR --cache DIR --works {options.works}"
    result = report(measure(options.scores, options.cache, options.works)) | {"command": command}
    print(markdown(result))
    if options.write:
        Path(f"{options.write}.md").write_text(markdown(result))
        Path(f"{options.write}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
