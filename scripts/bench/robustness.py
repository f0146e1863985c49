#!/usr/bin/env python
"""Measure what key, tempo, excerpts, noise and a poor codec cost an embedder.

    scripts/bench/robustness.py FOLDER [--embedder cover] [--sound] [--queries N]
        [--change NAME ...] [--without STAGE ...] [--out STEM]

FOLDER has one sub-folder per work, or is a folder of packed recordings, or a corpus of
`pemr corpus build`, whose spectrograms and harmony are read (`--sound` needs sound, of a
corpus one built with --audio). Each
query is changed in one way and looks for its relatives among the unchanged recordings;
the figure is MAP without alignment, and its difference from the unchanged queries with
a 95 % interval bootstrapped over works. Key, tempo and excerpts are changed in what is
kept of the recording (transposing moves the spectrogram by whole bins and turns harmony);
with `--sound`, noise and a codec in what is listened to.
"""

import argparse
import shlex
import sys
import tempfile
import wave
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr import load_embedder
from pemr.embed import Embedder
from pemr.errors import AudioError
from pemr.signal import audio
from pemr.signal.recording import N_PITCH_CLASSES, Recording
from pemr.training.cliques import read_manifest
from pemr.training.labelled import restored
from retrieval import Ranking, chosen, load_benchmark, trace, write_rows
from retrieval.benchmarks.packed import LIST, read_parts
from retrieval.measuring.metrics import score_queries
from retrieval.ranking.candidate import Query
from retrieval.ranking.hubs import hubness, mean_embeddings
from retrieval.ranking.matching.harmony import no_harmony
from retrieval.ranking.nearest import mean_length
from retrieval.ranking.pool import Pool
from retrieval.ranking.query import embed_at_tempos
from retrieval.ranking.stages import rank

SUFFIXES = {".opus", ".mp3", ".ogg", ".flac", ".wav", ".m4a"}
EXCERPT_LENGTH = 100  # frames: 20 s
N_REPLICATES = 2000
SILENT = np.zeros((12, 0), np.uint8)  # nothing is aligned here


def pool_of(embedder: Embedder, recordings: list[Recording]) -> Pool:
    """Embed what is searched: the unchanged recordings."""
    embeddings = embedder.embed(recordings)
    hubs = hubness(mean_embeddings(embeddings))
    return Pool(
        embeddings=embeddings,
        is_candidate=np.ones(len(embeddings), bool),
        mean_length=mean_length(embeddings),
        hubness=lambda: hubs,
        tonal_of=lambda indices: [SILENT] * len(indices),
    )


def transposed(recording: Recording, semitones: int) -> Recording:
    """Move by whole bins, the edge repeated, and turn the circles of pitch classes."""
    bins = np.arange(len(recording.spectrogram)) - semitones

    def turned(circles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        n_pictures = len(circles) // N_PITCH_CLASSES
        pictures = circles.reshape(n_pictures, N_PITCH_CLASSES, circles.shape[1])
        return np.roll(pictures, semitones, axis=1).reshape(circles.shape)

    return replace(
        recording,
        spectrogram=recording.spectrogram[np.clip(bins, 0, len(bins) - 1)],
        chroma=turned(recording.chroma),
        harmony=turned(recording.harmony),
    )


def excerpt(recording: Recording, rng: Generator) -> Recording:
    """Take 20 s from anywhere."""
    start = int(rng.integers(max(1, recording.spectrogram.shape[1] - EXCERPT_LENGTH)))
    end = start + EXCERPT_LENGTH
    return replace(recording, **{k: part[:, start:end] for k, part in recording.parts.items()})


def noisy(path: Path, embedder: Embedder, rng: Generator) -> Recording:
    """Add white noise, 20 dB below the whole recording, and listen to that."""
    waveform = audio.load(path)
    noise = rng.normal(0, waveform.std() / 10, len(waveform))
    with tempfile.TemporaryDirectory() as folder:
        noisy_file = Path(folder) / "noisy.wav"
        with wave.open(str(noisy_file), "wb") as file:
            file.setparams((1, 2, audio.SAMPLE_RATE, 0, "NONE", ""))
            samples = np.rint(np.clip(waveform + noise, -1, 1) * 32767)
            file.writeframes(samples.astype("<i2").tobytes())
        return embedder.listen(noisy_file)


def through_codec(path: Path, embedder: Embedder) -> Recording:
    """Encode as MP3 with 32 kbit/s, 16 kHz, mono, and listen to that."""
    waveform = audio.load(path)
    with tempfile.TemporaryDirectory() as folder:
        coded = Path(folder) / "coded.mp3"
        with av.open(str(coded), "w") as container:
            stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
            stream.bit_rate = 32_000
            samples = np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 16_000
            resampled = av.AudioResampler("s16p", "mono", 16_000, frame_size=stream.frame_size)
            for piece in [*resampled.resample(frame), *resampled.resample(None)]:
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        return embedder.listen(coded)


def precision(
    queries: NDArray[np.int64],
    asked: list[tuple[NDArray[np.float32], ...]],
    pool: Pool,
    works: list[str],
    by: Ranking,
) -> NDArray[np.float64]:
    """Average precision of each query, at whatever tempos, each candidate by itself."""
    names = np.array(works)
    found = []
    for own, *others in asked:
        query = Query(embeddings=own, tonal=SILENT, duration_s=0.0, at_other_tempos=tuple(others))
        found.append(rank(query, pool, by).scores)
    relevant = names[queries][:, None] == names[None]
    relevant[np.arange(len(queries)), queries] = False
    return score_queries(np.stack(found), relevant, queries).average_precision


def interval(differences: NDArray[np.float64], works: list[str]) -> NDArray[np.float64]:
    """Bootstrap the mean over works."""
    rng = np.random.default_rng(0)
    sums = {work: [] for work in works}
    for work, difference in zip(works, differences, strict=True):
        sums[work].append(difference)
    totals = np.array([[sum(values), len(values)] for values in sums.values()])
    drawn = totals[rng.integers(len(totals), size=(N_REPLICATES, len(totals)))].sum(axis=1)
    return np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])


def read(folder: Path, embedder: Embedder) -> tuple[list[Path], list[str], list[Recording]]:
    """Read paths of the sound, works and recordings of all that can be read."""
    if (folder / LIST).is_file():
        packed = load_benchmark("packed", folder).present
        parts = [read_parts(one.path) for one in packed]
        recordings = [embedder.restore({"harmony": no_harmony(), **one}) for one in parts]
        return [one.path for one in packed], [one.work for one in packed], recordings
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        members = read_manifest(manifest)
        spectrograms = folder / "spectrograms"
        names = [one.recording.path.relative_to(spectrograms) for one in members]
        paths = [(folder / "audio" / name).with_suffix(".flac") for name in names]
        works = [one.clique for one in members]
        return paths, works, [restored(embedder, one) for one in members]
    paths, heard = [], []
    for path in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES):
        try:
            heard.append(embedder.listen(path))
            paths.append(path)
        except AudioError as error:
            print(f"left out: {error}", file=sys.stderr)
    return paths, [path.parent.name for path in paths], heard


def main() -> None:
    """Print a row for each change."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--embedder", default="cover")
    parser.add_argument("--sound", action="store_true", help="also noise, and a 32 kbit/s MP3")
    parser.add_argument("--queries", type=int, help="how many to draw; all of them if not given")
    parser.add_argument("--without", action="append", default=[], help="as `pemr search`")
    parser.add_argument("--change", action="append", help="this one alone; may be repeated")
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    embedder = load_embedder(options.embedder)
    paths, works, recordings = read(options.folder, embedder)
    counts = Counter(works)
    several = np.array([i for i, work in enumerate(works) if counts[work] > 1])
    drawn = np.random.default_rng(1).permutation(several)[: options.queries]
    queries = np.sort(drawn)
    pool = pool_of(embedder, recordings)
    ranking = chosen(embedder.ranking, ("neighbours", "alignment", *options.without))
    whole = [recordings[i] for i in queries]
    rng = np.random.default_rng(0)
    changes = {
        "none": lambda: whole,
        **{
            f"transposed {s:+d}": lambda s=s: [transposed(x, s) for x in whole]
            for s in range(-6, 7)
            if s
        },
        **{f"tempo x {f}": lambda f=f: [x.at_tempo(f) for x in whole] for f in (0.7, 1.4)},
        "excerpt of 20 s": lambda: [excerpt(x, rng) for x in whole],
    }
    if options.sound:
        changes["noise at 20 dB"] = lambda: [noisy(paths[i], embedder, rng) for i in queries]
        changes["MP3 at 32 kbit/s"] = lambda: [through_codec(paths[i], embedder) for i in queries]
    if options.change:
        changes = {name: changes[name] for name in ("none", *options.change)}
    rows, plain = [], None
    for name, make in changes.items():
        tempos = (1.0, *ranking.tempos)
        asked = [embed_at_tempos(embedder, one, tempos) for one in make()]
        found = precision(queries, asked, pool, works, ranking)
        plain = found if plain is None else plain
        low, high = interval(found - plain, [works[i] for i in queries])
        rows.append(
            {
                "change": name,
                "MAP": f"{found.mean():.4f}",
                "difference": f"{(found - plain).mean():+.4f}",
                "95 %": f"{low:+.3f} to {high:+.3f}",
            }
        )
        print("  ".join(rows[-1].values()), flush=True)
    print(f"{len(queries)} queries, {len(paths)} recordings, {embedder.name}")
    if options.out:
        told = [word for word in sys.argv[1:] if word != str(options.folder)]
        command = shlex.join(["scripts/bench/robustness.py", options.folder.name, *told])
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
