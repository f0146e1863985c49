#!/usr/bin/env python
"""Measure the groups of a catalog: which pairs they hold, and how long many tracks take.

    scripts/bench/groups.py FOLDER [--same NAME=NAME ...] [--tracks N] [--out STEM]

FOLDER has one sub-folder per work. A pair of recordings is right where both are of one work;
precision and recall count pairs, and their intervals are bootstrapped over works. `--same` says
that a work, or a single file by its stem, is another work under another name; the figures are then
printed with and without. `--tracks` makes a catalog of so many tracks, each of pieces of three
recordings of FOLDER in another key and with noise on its vectors, four minutes long, and measures
the time to group it.
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import AudioFile, Catalog, Embedded, KeptRecording, Track, Writer, carry_out
from indexer.tags import Tags
from pemr import load_embedder
from retrieval import (
    Group,
    cache_folder,
    group,
    load_benchmark,
    ranking_from,
    trace,
    write_rows,
)
from retrieval.measuring.cache import embedding_plan

N_REPLICATES = 2000
PIECE_S = 80
N_PIECES = 3


def works_of(tracks: Sequence[Track], same: Sequence[str]) -> dict[int, str]:
    """Name the work of each track: its folder, or what that is the same as."""
    others = dict(pair.split("=") for pair in same)
    return {
        track.id: others.get(track.path.stem, others.get(track.path.parent.name))
        or track.path.parent.name
        for track in tracks
    }


def figures(groups: Sequence[Group], works: dict[int, str]) -> dict[str, Any]:
    """Count pairs; each belongs to the works of its two tracks, half to each."""
    names = {work: place for place, work in enumerate(sorted(set(works.values())))}
    counts = np.zeros((len(names), 3))  # right, grouped, true
    for one in groups:
        for a, b in combinations([works[track.id] for track in one.tracks], 2):
            for work in (a, b):
                counts[names[work], :2] += np.array([a == b, 1]) / 2
    for work, place in names.items():
        n = list(works.values()).count(work)
        counts[place, 2] = n * (n - 1) / 2
    rng = np.random.default_rng(0)
    draws = counts[rng.integers(len(counts), size=(N_REPLICATES, len(counts)))].sum(axis=1)
    total = counts.sum(axis=0)

    def figure(under: int) -> dict[str, float]:
        low, high = np.percentile(draws[:, 0] / draws[:, under], [2.5, 97.5])
        return {"value": float(total[0] / total[under]), "low": float(low), "high": float(high)}

    return {
        "tracks": len(works),
        "groups": len(groups),
        "pairs": round(total[2]),
        "precision": figure(1),
        "recall": figure(2),
    }


def turned(pictures: NDArray[np.uint8], shift: int) -> NDArray[np.uint8]:
    """Transpose as much of pictures of pitch classes as makes a piece."""
    circles = pictures[:, : PIECE_S * 5].reshape(-1, 12, min(PIECE_S * 5, pictures.shape[1]))
    return np.roll(circles, shift, axis=1).reshape(len(pictures), -1)


def enlarged(small: Catalog, folder: Path, n_tracks: int) -> Writer:
    """Make a large catalog of pieces of a small one."""
    rng = np.random.default_rng(0)
    sources = [track.id for track in small.tracks() if track.duration_s > PIECE_S]
    embeddings, pitches = small.embeddings_of(sources), small.pitches_of(sources)
    large = Catalog.write(folder, SimpleNamespace(name=small.embedder_name, dim=small.dim))
    duration_s = float(N_PIECES * PIECE_S)
    for place in range(n_tracks):
        chosen = rng.choice(len(sources), N_PIECES, replace=False).tolist()
        shift = int(rng.integers(12))
        vectors = np.concatenate([embeddings[one][: PIECE_S // 10] for one in chosen])
        vectors += rng.normal(0, 0.5 / np.sqrt(small.dim), vectors.shape).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        starts = np.linspace(0, duration_s - 20, len(vectors))
        recording = KeptRecording(
            duration_s=duration_s,
            spectrogram=np.zeros((84, 0), np.uint8),
            chroma=np.hstack([turned(pitches[one].chroma, shift) for one in chosen]),
            harmony=np.hstack([turned(pitches[one].harmony, shift) for one in chosen]),
        )
        embedded = Embedded(
            vectors=vectors, spans_s=np.stack([starts, starts + 20], axis=1), recording=recording
        )
        file = AudioFile(Path(f"/music/{place}.wav"), 1, 1, f"{place:032x}")
        large.store(file, Tags(title=str(place), artist=None, album=None), embedded)
    return large


def timed(small: Catalog, ranking: object, n_tracks: int) -> dict[str, Any]:
    """Group a large catalog, and group it again."""
    with tempfile.TemporaryDirectory() as folder, enlarged(small, Path(folder), n_tracks) as large:
        started, used = time.perf_counter(), time.process_time()
        group(large, ranking)
        wall_s, processor_s = time.perf_counter() - started, time.process_time() - used
        started = time.perf_counter()
        group(large, ranking)
        return {
            "works": "made of pieces",
            "tracks": n_tracks,
            "minutes": round(wall_s / 60, 1),
            "processor minutes": round(processor_s / 60, 1),
            "seconds again": round(time.perf_counter() - started, 1),
        }


def main() -> None:
    """Print a row for the labels as they are, and one for each other view of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--same", action="append", default=[], help="NAME=NAME")
    parser.add_argument("--tracks", type=int, default=0, help="of a catalog that is made")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder("cover")
    ranking = ranking_from(embedder.ranking)
    benchmark = load_benchmark("folder", options.folder)
    folder = cache_folder(benchmark, embedder.name)
    with Catalog.write(folder, embedder) as catalog:
        for _ in carry_out(catalog, embedder, embedding_plan(catalog, benchmark)):
            pass
        if options.tracks:
            rows = [timed(catalog, ranking, options.tracks)]
        else:
            groups, tracks = group(catalog, ranking), catalog.tracks()
            rows = [{"works": "as labelled", **figures(groups, works_of(tracks, []))}]
            if options.same:
                joined = works_of(tracks, options.same)
                rows.append({"works": " ".join(options.same), **figures(groups, joined)})
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))
    if options.out:
        told = ["FOLDER" if word == str(options.folder) else word for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/groups.py", *told])
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
