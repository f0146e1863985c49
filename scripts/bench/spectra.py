#!/usr/bin/env python
"""Compare the statistics of a corpus's spectrograms with those of recorded music.

    .venv/bin/python scripts/bench/spectra.py CORPUS FOLDER [FOLDER ...] [--write STEM]

CORPUS is made by `pemr corpus build`; each FOLDER holds recordings. Every recording counts for
itself: its level is taken out first. Written are a table of medians (10th to 90th percentile over
recordings) and one picture.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qmax import about

N_RECORDINGS = 60
LEAST_LENGTH = 50  # frames: 10 s
ABOUT = {
    "range_db": "range of levels, 5th to 95th percentile",
    "tilt_db": "spectral tilt, dB an octave from C2 up",
    "peakiness_db": "standing of the strongest semitones over their neighbours",
    "onsets": "onsets a second",
    "percussive": "share of change that all bins have in common",
    "floor_db": "quietest tenth of bins under the frame's maximum",
    "change_db": "mean change of a bin from frame to frame",
}


def corpus_spectrograms(corpus: Path, n: int) -> list[NDArray[np.float32]]:
    from pemr.signal.frontend import unpack

    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    drawn = np.random.default_rng(0).permutation(len(rows))[:n]
    return [unpack(np.load(corpus / rows[i]["spectrogram"])) for i in sorted(drawn)]


def recorded_spectrograms(folder: Path, n: int) -> list[NDArray[np.float32]]:
    from pemr.errors import AudioError
    from pemr.signal.audio import blocks
    from pemr.signal.cqt import Cqt
    from pemr.signal.frontend import decibels, semitone_frames

    kinds = {".opus", ".ogg", ".mp3", ".flac", ".wav", ".m4a"}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds)
    drawn = np.random.default_rng(0).permutation(len(paths))[:n]
    cqt, read = Cqt(), []
    for i in sorted(drawn):
        try:
            frames = [decibels(power) for power in semitone_frames(blocks(paths[i]), cqt)]
            shown = np.concatenate(frames, axis=1)
            if shown.shape[1] >= LEAST_LENGTH:
                read.append(shown)
        except AudioError as error:
            print(f"left out: {error}", file=sys.stderr)
    return read


def statistics(db: NDArray[np.float32]) -> dict[str, Any]:
    """Describe one recording; silence at its ends does not count."""
    power = 10 ** (db / 10)
    frame_db = 10 * np.log10(power.sum(axis=0) + 1e-12)
    db = db[:, frame_db > frame_db.max() - 40]
    level = 10 * np.log10((10 ** (db / 10)).mean() + 1e-12)
    profile = 10 * np.log10((10 ** (db / 10)).mean(axis=1) + 1e-12) - level
    octaves = np.arange(12, 84) / 12
    neighbours = np.stack([np.roll(db, k, axis=0) for k in (-3, -2, 2, 3)]).mean(axis=0)
    standing = np.sort(db - neighbours, axis=0)[-8:]
    step = np.diff(db, axis=1)
    rise = np.maximum(step, 0).mean(axis=0)
    is_onset = (rise[1:-1] > rise[:-2]) & (rise[1:-1] >= rise[2:]) & (rise[1:-1] > 3.0)
    return {
        "profile_db": profile,
        "range_db": np.subtract(*np.percentile(db, [95, 5])),
        "tilt_db": np.polyfit(octaves, profile[12:], 1)[0],
        "peakiness_db": standing.mean(),
        "onsets": 5 * is_onset.mean(),
        "percussive": np.square(step.mean(axis=0)).mean() / (np.square(step).mean() + 1e-9),
        "floor_db": (np.percentile(db, 10, axis=0) - db.max(axis=0)).mean(),
        "change_db": np.abs(step).mean(),
    }


def table(sets: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["| | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for key, words in ABOUT.items():
        cells = []
        for rows in sets.values():
            low, middle, high = np.percentile([row[key] for row in rows], [10, 50, 90])
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def draw(sets: dict[str, list[dict[str, Any]]], examples: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(18, 8), layout="constrained")
    for name, rows in sets.items():
        profiles = np.stack([row["profile_db"] for row in rows])
        low, middle, high = np.percentile(profiles, [25, 50, 75], axis=0)
        axes[0, 0].plot(middle, label=name)
        axes[0, 0].fill_between(np.arange(84), low, high, alpha=0.2)
    axes[0, 0].set(xlabel="semitones from C1", ylabel="dB", title="level of each bin")
    axes[0, 0].legend()
    for axis, (key, words) in zip(axes.flat[1:], list(ABOUT.items())[:5], strict=False):
        axis.boxplot([[row[key] for row in rows] for rows in sets.values()], tick_labels=list(sets))
        axis.set_title(words, fontsize=9)
    for axis, (name, db) in zip(axes.flat[6:], examples.items(), strict=False):
        axis.imshow(db[:, :300] - db.max(), origin="lower", aspect="auto", vmin=-70, vmax=0)
        axis.set_title(f"a recording of {name}", fontsize=9)
    figure.savefig(path, dpi=70)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="made by `pemr corpus build`")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of recordings")
    parser.add_argument("--recordings", type=int, default=N_RECORDINGS, help="of each at most")
    parser.add_argument("--write", help="also write STEM.md, STEM.json and STEM.png")
    options = parser.parse_args()
    spectrograms = {options.corpus.name: corpus_spectrograms(options.corpus, options.recordings)}
    for folder in options.folders:
        spectrograms[folder.name] = recorded_spectrograms(folder, options.recordings)
    sets = {name: [statistics(db) for db in dbs] for name, dbs in spectrograms.items()}
    counts = {name: len(rows) for name, rows in sets.items()}
    result = {**about(), "command": "scripts/bench/spectra.py CORPUS FOLDER ...", "counts": counts,
              "hardware": f"{os.cpu_count()} CPU cores"}  # fmt: skip
    heading = (
        f"`{result['command']}` at {result['commit']}, {result['date']}. Recordings: "
        + ", ".join(f"{name} {n}" for name, n in counts.items())
        + ". Medians, and the 10th to 90th percentile."
    )
    text = "\n".join(
        ["# Spectra of the corpus and of recordings", "", heading, "", *table(sets), ""]
    )
    print(text)
    if options.write:
        result["statistics"] = {
            name: {key: [round(float(row[key]), 4) for row in rows] for key in ABOUT}
            for name, rows in sets.items()
        }
        Path(f"{options.write}.md").write_text(text)
        Path(f"{options.write}.json").write_text(json.dumps(result, indent=1) + "\n")
        examples = {name: dbs[0] for name, dbs in spectrograms.items()}
        draw(sets, examples, Path(f"{options.write}.png"))


if __name__ == "__main__":
    sys.exit(main())
