#!/usr/bin/env python
"""Measure what short queries find: excerpts of ten seconds and more, and sung or whistled tunes.

    scripts/bench/short_queries.py CORPUS MANIFEST --scores DIR --cache DIR [--queries 60]
        [--catalog DIR] [--out STEM]

CORPUS has one sub-folder per work, as `pemr corpus build` makes it, and MANIFEST is its list. The
first recording of each work asks, by excerpts; the others are the catalog. Tunes are the melody of
the work's score, twenty and forty seconds from a random beat on, in a random key and tempo, sung by
a voice that no training heard, with a singer's errors, or whistled, as sine tones that glide.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mixes import RATE, Waveform, levelled
from numpy.random import Generator
from setlist import indexed, works_in

from indexer import Catalog
from pemr import load_embedder
from pemr.corpus.notes.readers import cached_scores
from pemr.corpus.notes.scores import Score
from pemr.corpus.playing.arrange import Event
from pemr.corpus.sounding.voice import sing, voice_names
from pemr.embed import Embedder
from pemr.model.harmony import shipped_listener
from pemr.signal import audio
from pemr.signal.recording import record
from retrieval import Ranking, ranking_from, search, trace, write_rows
from retrieval.ranking.calibrate import LIKELY
from retrieval.ranking.query import heard_query

EXCERPTS_S = (10.0, 15.0, 20.0, 30.0, 60.0)
TUNES_S = (20.0, 40.0)
N_CANDIDATES = 10

Make = Callable[[str, Generator], Waveform]


def excerpt(paths: dict[str, Path], duration_s: float) -> Make:
    """Cut a stretch of the recording that asks."""

    def make(work: str, rng: Generator) -> Waveform:
        waveform = audio.load(paths[work])
        length = int(duration_s * RATE)
        start = int(rng.integers(max(1, len(waveform) - length)))
        return waveform[start : start + length]

    return make


def tune(score: Score, duration_s: float, rng: Generator) -> list[Event]:
    """Take the melody as somebody remembers it: another key, another tempo, not quite in time."""
    beat_s = 60 / score.tempo_bpm * float(rng.uniform(0.85, 1.15))
    first = float(rng.uniform(0, max(0.0, score.melody[-1].end - duration_s / beat_s)))
    shift = float(rng.uniform(-6, 6))
    events = []
    for note in score.melody:
        start_s = (note.start - first) * beat_s + float(rng.normal(0, 0.02))
        if 0 <= start_s < duration_s:
            pitch = note.pitch + shift + float(rng.normal(0, 0.2))
            events.append(Event(start_s, 0.95 * note.duration * beat_s, pitch, 90))
    return sorted(events)


def sung(scores: dict[str, Score], duration_s: float) -> Make:
    """Let a voice sing the tune, alone."""

    def make(work: str, rng: Generator) -> Waveform:
        name = str(rng.choice(voice_names(held_out=True)))
        events = tune(scores[work], duration_s, rng)
        return levelled(sing(events, name, int(duration_s * RATE), rng))

    return make


def whistled(scores: dict[str, Score], duration_s: float) -> Make:
    """Whistle the tune: sine tones two octaves up that glide into each other, and breath."""

    def make(work: str, rng: Generator) -> Waveform:
        length = int(duration_s * RATE)
        pitch, loud = np.zeros(length), np.zeros(length)
        for event in tune(scores[work], duration_s, rng):
            at = slice(int(event.start_s * RATE), int((event.start_s + event.duration_s) * RATE))
            pitch[at.start :], loud[at] = event.pitch + 24, 1.0
        smooth = np.hanning(int(0.06 * RATE))
        pitch, loud = (np.convolve(one, smooth / smooth.sum(), "same") for one in (pitch, loud))
        hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = np.sin(2 * np.pi * np.cumsum(hz) / RATE) * loud
        return levelled((tone + 0.02 * rng.normal(size=length)).astype(np.float32))

    return make


def asked(
    catalog: Catalog, embedder: Embedder, ranking: Ranking, works: list[str], make: Make
) -> dict[str, Any]:
    """Ask for each work, and count."""
    work_of = {track.id: track.path.parent.name for track in catalog.tracks()}
    ranks, likely = [], []
    for place, work in enumerate(works):
        waveform = make(work, np.random.default_rng(place))
        recording = record([waveform], listener=shipped_listener())
        query = heard_query(embedder, recording, ranking)
        if not len(query.embeddings):
            continue
        found = search(catalog, query, ranking, n_candidates=N_CANDIDATES)
        names = [work_of[one.track_id] for one in found]
        ranks.append(names.index(work) if work in names else N_CANDIDATES)
        likely.append((found[0].probability or 0.0) >= LIKELY)
    first, named = np.array(ranks) == 0, np.array(likely)
    return {
        "queries": len(ranks),
        "right first": first.mean(),
        "right in the first ten": (np.array(ranks) < N_CANDIDATES).mean(),
        "called likely and right": (first & named).mean(),
        "called likely and wrong": (~first & named).mean(),
    }


def main() -> None:
    """Print a row for each kind of query."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="of parsed scores")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--catalog", type=Path, help="where to keep it, to be quicker again")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder("cover")
    ranking = ranking_from(embedder.ranking)
    found = works_in(options.corpus.absolute())
    several = sorted(work for work, paths in found.items() if len(paths) > 1)
    works = np.random.default_rng(0).permutation(several)[: options.queries].tolist()
    by_source = {score.source: score for score in cached_scores(options.scores, options.cache)[0]}
    rows = [json.loads(line) for line in options.manifest.read_text().splitlines()]
    scores = {row["work"]: by_source[row["source"]] for row in rows if row["source"] in by_source}
    paths = {work: found[work][0] for work in works}
    kinds = {f"excerpt of {length:g} s": excerpt(paths, length) for length in EXCERPTS_S}
    for length in TUNES_S:
        kinds[f"sung for {length:g} s"] = sung(scores, length)
        kinds[f"whistled for {length:g} s"] = whistled(scores, length)
    held = [path for all_ in found.values() for path in (all_[1:] or all_)]
    table = []
    with (
        tempfile.TemporaryDirectory() as folder,
        indexed(options.catalog or Path(folder) / "catalog", held, embedder) as catalog,
    ):
        for kind, make in kinds.items():
            row = {"query": kind, **asked(catalog, embedder, ranking, works, make)}
            table.append(row)
            print("  ".join(map(str, row.values())), flush=True)
    if options.out:
        given = {"corpus": "CORPUS", "manifest": "MANIFEST", "scores": "SCORES", "cache": "CACHE"}
        names = {str(getattr(options, name)): shown for name, shown in given.items()}
        names[str(options.catalog)] = "DIR"
        told = [names.get(word, word) for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/short_queries.py", *told])
        write_rows(table, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
