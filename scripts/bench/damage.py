#!/usr/bin/env python
"""Damage one byte of a catalog's files at random places, and compare what it answers then.

    scripts/bench/damage.py [--places 200] [--seed 0] [--unsealed] [--out STEM]

For each file of a small catalog of synthetic music, with a label and a skipped file: how often a
search, a listing and the catalog's own figures were the same answers, one sentence, another answer,
or something that was not caught. With --unsealed the database has no seal, as one that is too large
for it, or is being written. With --out, the figures are written to STEM.md and STEM.json.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from kill_index import provenance
from typer.testing import CliRunner
from zoo import encode, sound

import cli

N_TRACKS = 12


def run(*arguments: object) -> tuple[str, str, BaseException | None]:
    """Run a command of ours in this process: its answer, its sentences, what was not caught."""
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    uncaught = None if isinstance(done.exception, SystemExit) else done.exception
    return done.stdout, done.stderr, uncaught


def answers(catalog: Path, query: Path) -> tuple[str, str, str]:
    """Search, list, count: `same` is to be compared with, `sentence` or `uncaught` in words."""
    said, wrong = "", ""
    for command in (("search", query), ("list",), ("info",)):
        answer, told, uncaught = run(*command, "--catalog", catalog, "--json")
        if uncaught is not None:
            return "", "", f"{command[0]}: {uncaught!r}"[:200]
        if not answer:
            wrong = told.strip() or "nothing at all"
        said += answer
    return said, wrong, ""


def measure(folder: Path, n_places: int, seed: int, *, is_sealed: bool) -> dict[str, object]:
    """Make a catalog and damage it; counts by file, and the worst in words."""
    rng = np.random.default_rng(seed)
    (folder / "music").mkdir()
    for place in range(N_TRACKS):
        encode(
            folder / "music" / f"{place}.wav", "pcm_s16le", sound(rng, 30.0, 16_000), 16_000, "mono"
        )
    catalog, query = folder / "catalog", folder / "music" / "0.wav"
    (folder / "music" / "text.mp3").write_text("text")
    run("-q", "index", folder / "music", "--catalog", catalog, "--embedder", "ftm2d")
    (folder / "labels.csv").write_text("path,work\nmusic/1.wav,Ode\n")
    run("-q", "label", folder / "labels.csv", "--catalog", catalog)
    if not is_sealed:
        (catalog / "catalog.sum").unlink()
    expected, _, _ = answers(catalog, query)
    found: dict[str, object] = {"tracks": N_TRACKS, "places a file": n_places, "sealed": is_sealed}
    worst: Counter[str] = Counter()
    for path in sorted(path for path in catalog.iterdir() if path.stat().st_size):
        outcomes: Counter[str] = Counter()
        content = path.read_bytes()
        for place in rng.integers(0, len(content), n_places):
            damaged = bytearray(content)
            damaged[place] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            said, wrong, uncaught = answers(catalog, query)
            if uncaught:
                outcomes["not caught"] += 1
                worst[uncaught] += 1
            elif wrong:
                outcomes["one sentence"] += 1
            else:
                outcomes["the same answer" if said == expected else "another answer"] += 1
        path.write_bytes(content)
        name = "vectors.bin" if path.suffix == ".bin" else path.name
        found[name] = ", ".join(f"{n} {what}" for what, n in outcomes.most_common())
    if worst:
        found["not caught"] = "; ".join(f"{n} times {what}" for what, n in worst.most_common(8))
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unsealed", action="store_true", help="take the database's seal off")
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.places, options.seed, is_sealed=not options.unsealed)
    found |= provenance()
    found["command"] = str(found["command"]).replace("kill_index", "damage")
    lines = [f"- {name}: {fact}" for name, fact in found.items()]
    print(*lines, sep="\n")
    if options.out is not None:
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        options.out.with_suffix(".md").write_text("\n".join(["# One damaged byte\n", *lines, ""]))


if __name__ == "__main__":
    main()
