#!/usr/bin/env python
"""Fit the calibration of the shipped ranking, and measure how honest its probabilities are.

    scripts/bench/calibration.py fit SET [SET ...] [--write]
    scripts/bench/calibration.py measure SET [SET ...] [--sizes 100 600] [--among CORPUS]
        [--queries N] [--leave-one-out] [--out STEM]

SET is a folder that `pemr evaluate` takes: audio with a folder for each work, or packed recordings.
Each query is asked in catalogs of several sizes, once with and once without a performance of its
work in them, so half of the queries have no answer. For the fit, queries are also asked as excerpts
of 10 to 60 seconds, and each set counts the same; `--write` puts the result beside the weights.
`--among` adds the performances of a corpus, such as sketches of other works, as strangers.
`--leave-one-out` measures the sets that were fitted on, each work by a fit to all others.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from qmax_difficulty import chroma_of
from tqdm import tqdm

from indexer import Catalog, Recording, carry_out
from pemr import load_embedder
from pemr.embed import Embedder
from retrieval import (
    Ranking,
    cache_folder,
    load_benchmark,
    ranking_from,
    trace,
    write_rows,
)
from retrieval.benchmarks.packed import read_parts
from retrieval.measuring.cache import embedding_plan
from retrieval.measuring.openset import Answer, Asked, calibration_error, rejected
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.calibrate import Calibration, evidence, fit
from retrieval.ranking.candidate import Query
from retrieval.ranking.matching.harmony import no_harmony, tonal
from retrieval.ranking.query import embed_at_tempos, recording_of

SEED = 0
SIZES = (1, 5, 20, 100, 100_000)  # of the catalogs that are fitted to; the last is the whole set
EXCERPT_S = (10.0, 60.0)
FRAME_RATE = 5
STRANGER = "stranger"
WEIGHTS = Path(__file__).parents[2] / "pemr" / "weights" / "cover.json"
SAME_TUNE = {"li": "uk", "tz": "zm", "fi": "ee"}  # anthems of real-dev that share their tune
MISTAKEN = ("cy_b1",)  # its sound is another anthem's


@dataclass(frozen=True)
class Set:
    """Recordings whose works are known, and what ranks them."""

    name: str
    recordings: Sequence[Recording]
    works: Sequence[str]
    scorer: SegmentScorer


def packed(path: Path, embedder: Embedder) -> Recording:
    return embedder.restore({"harmony": no_harmony(), **read_parts(path)})


def sketched(path: Path, embedder: Embedder) -> Recording:
    """Read a compact spectrogram, whose harmony nobody heard."""
    return embedder.restore(
        {"spectrogram": np.load(path), "chroma": chroma_of(path), "harmony": no_harmony()}
    )


def heard(root: Path, embedder: Embedder) -> Iterator[tuple[str, str, Recording]]:
    """Yield name, work and recording of every performance of a set."""
    if (root / "cliques.csv").is_file():
        for one in load_benchmark("packed", root).present:
            yield one.name, one.work, packed(one.path, embedder)
        return
    benchmark = load_benchmark("folder", root)
    folder = cache_folder(benchmark, embedder.name)
    with Catalog.write(folder, embedder) as catalog:
        list(tqdm(carry_out(catalog, embedder, embedding_plan(catalog, benchmark))))
        tracks = {track.path: track for track in catalog.tracks() if track.n_segments}
        for one in benchmark.present:
            if one.path in tracks:
                yield one.name, one.work, recording_of(catalog, embedder, tracks[one.path])


def read(root: Path, embedder: Embedder, ranking: Ranking, among: Path | None = None) -> Set:
    """Read a set, and strangers beside it."""
    found = [one for one in heard(root, embedder) if one[0] not in MISTAKEN]
    if among is not None:
        found += [
            (f"{STRANGER} {i}", f"{STRANGER} {i}", sketched(path, embedder))
            for i, path in enumerate(sorted((among / "spectrograms").rglob("*.npy")))
        ]
    recordings = [recording for *_, recording in found]
    embeddings = embedder.embed(recordings)
    kept = [i for i, vectors in enumerate(embeddings) if len(vectors)]
    scorer = SegmentScorer(
        names=[found[i][0] for i in kept],
        embeddings=[embeddings[i] for i in kept],
        tonal=[tonal(recordings[i].chroma, recordings[i].harmony) for i in kept],
        ranking=ranking,
    )
    works = [SAME_TUNE.get(found[i][1], found[i][1]) for i in kept]
    return Set(root.name, [recordings[i] for i in kept], works, scorer)


def excerpt(recording: Recording, rng: Generator) -> Recording:
    """Cut a stretch out of a recording."""
    n_frames = recording.chroma.shape[1]
    length = min(n_frames, round(rng.uniform(*EXCERPT_S) * FRAME_RATE))
    start = int(rng.integers(n_frames - length + 1))
    cut = {k: part[:, start : start + length] for k, part in recording.parts.items()}
    return replace(recording, duration_s=length / FRAME_RATE, **cut)


def query_of(recording: Recording, embedder: Embedder, tempos: Sequence[float]) -> Query:
    return Query(
        embeddings=embedder.embed([recording])[0],
        tonal=tonal(recording.chroma, recording.harmony),
        duration_s=recording.duration_s,
        at_other_tempos=embed_at_tempos(embedder, recording, tempos),
    )


def answers(
    asked_set: Set,
    embedder: Embedder,
    sizes: Sequence[int],
    *,
    n_queries: int | None = None,
    by_excerpts: bool = False,
) -> dict[int, list[Answer]]:
    """Ask every performance that has a relative, in catalogs of every size."""
    rng = np.random.default_rng(SEED)
    found: dict[int, list[Answer]] = {size: [] for size in sizes}
    works = asked_set.works
    several = [number for number, work in enumerate(works) if works.count(work) > 1]
    drawn = sorted(rng.permutation(several)[:n_queries].tolist())
    for number in tqdm(drawn, desc=asked_set.name):
        recording = asked_set.recordings[number]
        for one in [recording, excerpt(recording, rng)] if by_excerpts else [recording]:
            query = query_of(one, embedder, asked_set.scorer.ranking.tempos)
            if not len(query.embeddings):
                continue
            asked = Asked(query, number, asked_set.scorer, asked_set.works)
            for size in sizes:
                found[size] += [asked.answer(size, rng, has_answer=yes) for yes in (True, False)]
    return found


def seen_in(found: Sequence[Answer]) -> dict[str, list[float]]:
    names = ("embedding_score", "alignment_score", "n_tracks", "n_segments")
    return {name: [getattr(one, name) for one in found] for name in names}


def fitted(sets: Sequence[Sequence[Answer]]) -> Calibration:
    """Fit to several sets, each of which counts the same."""
    everything = [one for found in sets for one in found]
    weights = np.concatenate([np.full(len(found), 1000 / len(found)) for found in sets])
    right = np.array([one.is_right for one in everything])
    return fit(evidence(**seen_in(everything)), right, weights)


def judged(found: Sequence[Answer], calibration: Calibration) -> list[Answer]:
    """Say how likely answers are by a calibration."""
    likely = calibration.probability(**seen_in(found)).tolist()
    return [replace(one, probability=p) for one, p in zip(found, likely, strict=True)]


def judged_by_others(sets: Sequence[Sequence[Answer]]) -> list[list[Answer]]:
    """Judge the answers for each work by a fit to those for all others."""
    all_judged = []
    for place, found in enumerate(sets):
        judged_here: dict[int, Answer] = {}
        for work in sorted({one.work for one in found}):
            others = list(sets)
            others[place] = [one for one in found if one.work != work]
            own = [i for i, one in enumerate(found) if one.work == work]
            judged_here |= zip(own, judged([found[i] for i in own], fitted(others)), strict=True)
        all_judged.append([judged_here[i] for i in range(len(found))])
    return all_judged


def row(name: str, found: Sequence[Answer]) -> dict[str, str]:
    """Sum up the answers of one set in catalogs of one size."""
    likely = np.array([one.probability for one in found])
    right = np.array([one.is_right for one in found])
    return {
        "set": name,
        "tracks": f"{max(one.n_tracks for one in found)}",
        "answers": f"{len(found)}",
        "right": f"{right.mean():.3f}",
        "mean probability": f"{likely.mean():.3f}",
        "calibration error": f"{calibration_error(likely, right):.3f}",
        "rejected without an answer": f"{rejected(found):.3f}",
    }


def show(rows: Sequence[dict[str, str]]) -> None:
    for one in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        print("  ".join(one.values()))


def write_weights(calibration: Calibration) -> None:
    """Put a calibration beside the weights, with nothing else changed."""
    card = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    rounded = {name: round(value, 3) for name, value in calibration.values().items()}
    card["ranking"]["calibration"] = rounded
    WEIGHTS.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Fit, or print a row for each set and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["fit", "measure"])
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="put the fit beside the weights")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--among", type=Path, help="a corpus whose performances are strangers")
    parser.add_argument("--queries", type=int, help="how many of each set to draw")
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder("cover", "cpu")
    ranking = ranking_from(embedder.ranking)
    is_fit = options.task == "fit"
    found = {
        root.name: answers(
            read(root, embedder, ranking, options.among), embedder, options.sizes,
            n_queries=options.queries, by_excerpts=is_fit,
        )
        for root in options.sets
    }  # fmt: skip
    flat = [[one for part in by_size.values() for one in part] for by_size in found.values()]
    if is_fit:
        calibration = fitted(flat)
        print(calibration)
        flat = [judged(part, calibration) for part in flat]
        if options.write:
            write_weights(calibration)
    if options.leave_one_out:
        flat = judged_by_others(flat)
    rows = []
    for (name, by_size), part in zip(found.items(), flat, strict=True):
        step = len(part) // len(by_size)
        rows += [row(name, part[i * step : (i + 1) * step]) for i in range(len(by_size))]
    if len(flat) > 1:
        largest = [part[-(len(part) // len(options.sizes)) :] for part in flat]
        rows.append(row("all, whole sets", [one for part in largest for one in part]))
    show(rows)
    if options.out:
        told = [Path(word).name if Path(word).is_dir() else word for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/calibration.py", *told])
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
