#!/usr/bin/env python
"""Measure whether strong edits of real recordings find their originals.

    scripts/bench/edits.py FOLDER [FOLDER ...] [--embedder cover] [--recordings N] [--out STEM]

Every recording of at least a minute is edited once, in the sound and in everything at once: 40 s
of it, 3 to 5 semitones up or down, 25 to 30 % faster or slower, band-limited, with noise 10 dB
below. The edit then looks for its original among all the recordings, as `search` does. This says
how robust an embedder is, and nothing of how well it finds covers: there are none.
"""

import argparse
import shlex
import sys
from pathlib import Path

import av
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr import load_embedder
from pemr.errors import AudioError
from pemr.model.harmony import shipped_listener
from pemr.signal import audio
from pemr.signal.audio import SAMPLE_RATE
from pemr.signal.media import AUDIO_SUFFIXES
from pemr.signal.recording import Recording, record
from retrieval import trace, write_rows
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import hubness, mean_embeddings
from retrieval.ranking.matching.harmony import tonal
from retrieval.ranking.nearest import mean_length
from retrieval.ranking.pool import Pool
from retrieval.ranking.query import embed_at_tempos
from retrieval.ranking.ranking import ranking_from
from retrieval.ranking.stages import rank

Waveform = NDArray[np.float32]

EXCERPT_S = 40
LEAST_S = 60
NOISE_DB = -10.0


def edited(waveform: Waveform, rng: Generator) -> Waveform:
    """Cut, transpose, change the tempo, filter, add noise."""
    length = EXCERPT_S * SAMPLE_RATE
    start = int(rng.integers(len(waveform) - length + 1))
    semitones = int(rng.choice([-5, -4, -3, 3, 4, 5]))
    tempo = float(rng.uniform(1.25, 1.3)) ** float(rng.choice([-1, 1]))
    ratio = 2 ** (semitones / 12)
    changed = filtered(
        waveform[start : start + length],
        ("asetrate", f"{round(SAMPLE_RATE * ratio)}"),
        ("aresample", f"{SAMPLE_RATE}"),
        ("atempo", f"{tempo / ratio:.5f}"),
        ("highpass", f"f={round(rng.uniform(150, 300))}"),
        ("lowpass", f"f={round(rng.uniform(2000, 3500))}"),
    )
    noise = rng.normal(size=len(changed)) * changed.std() * 10 ** (NOISE_DB / 20)
    return np.clip(changed + noise, -1, 1).astype(np.float32)


def filtered(waveform: Waveform, *filters: tuple[str, str]) -> Waveform:
    """Send a waveform through a chain of FFmpeg's filters."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="flt", layout="mono", time_base="1/16000"
    )
    last = source
    for name, arguments in [*filters, ("aformat", "sample_fmts=flt:channel_layouts=mono")]:
        node = graph.add(name, arguments)
        last.link_to(node)
        last = node
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(waveform[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    source.push(frame)
    source.push(None)
    pieces = []
    while True:
        try:
            pieces.append(sink.pull().to_ndarray()[0])
        except (av.error.BlockingIOError, av.error.EOFError):
            return np.concatenate(pieces)


def read(folders: list[Path], n_recordings: int | None) -> list[Waveform]:
    """Decode the recordings that are long enough."""
    paths = sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    waveforms = []
    for path in paths[:n_recordings]:
        try:
            waveform = audio.load(path)
        except AudioError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if len(waveform) >= LEAST_S * SAMPLE_RATE:
            waveforms.append(waveform)
    return waveforms


def heard(waveform: Waveform) -> Recording:
    """Listen to a waveform as `Embedder.listen` does to a file."""
    return record([waveform], listener=shipped_listener())


def row(name: str, ranks: list[int]) -> dict[str, str | int]:
    """Sum up the ranks of the originals."""
    found = np.array(ranks)
    return {
        "system": name,
        "edits": len(found),
        "original first": f"{(found == 1).mean():.3f}",
        "original in the first ten": f"{(found <= 10).mean():.3f}",
        "mean reciprocal rank": f"{(1 / found).mean():.3f}",
    }


def main() -> None:
    """Print a row for each system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--recordings", type=int, help="read no more than so many files")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder(options.embedder)
    waveforms = read(options.folders, options.recordings)
    recordings = [heard(waveform) for waveform in waveforms]
    vectors = embedder.embed(recordings)
    ranking = ranking_from(embedder.ranking)
    systems = {
        embedder.name: ranking.without("alignment"),
        "alignment": ranking.only("alignment"),
        "both": ranking,
    }
    hubs = hubness(mean_embeddings(vectors))
    pool = Pool(
        embeddings=vectors,
        is_candidate=np.ones(len(vectors), bool),
        mean_length=mean_length(vectors),
        hubness=lambda: hubs,
        tonal_of=lambda indices: (
            tonal(recordings[one].chroma, recordings[one].harmony) for one in indices
        ),
    )
    ranks: dict[str, list[int]] = {name: [] for name in systems}
    for place, waveform in enumerate(waveforms):
        edit = heard(edited(waveform, np.random.default_rng(place)))
        query = Query(
            embeddings=embedder.embed([edit])[0],
            tonal=tonal(edit.chroma, edit.harmony),
            duration_s=edit.duration_s,
            at_other_tempos=embed_at_tempos(embedder, edit, ranking.tempos),
        )
        for name, one in systems.items():
            scores = rank(query, pool, one).scores
            ranks[name].append(1 + int((scores > scores[place]).sum()))
    rows = [row(name, found) for name, found in ranks.items()]
    for one in rows:
        print("  ".join(map(str, one.values())))
    if options.out:
        given = {str(folder): folder.name for folder in options.folders}
        told = [given.get(word, word) for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/edits.py", *told])
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
