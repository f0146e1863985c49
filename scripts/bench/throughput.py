#!/usr/bin/env python
"""Measure what it takes to hear and embed files, stage by stage, against decoding them alone.

    scripts/bench/throughput.py FILE... [--threads 2] [--rounds 3] [--out STEM]

Stages are those of one thread, in seconds of CPU for a song of four minutes. Then all files are
taken by as many threads as asked: PyAV's decoder alone, with nothing made of what it yields; what
`pemr index` does but for the database, which is hashing, hearing and embedding; and the same
encoder driven the obvious way, one file after the other through torch, with as many threads of its
own. Every file is read once before it is timed; of several rounds the quickest counts. With --out,
the rows are written to STEM.json.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import torch

from indexer import hash_audio
from indexer.pipeline import embed_all
from pemr import load_embedder
from pemr.embed import Embedder, cover_embedder
from pemr.model.cover import load_shipped
from pemr.model.harmony import shipped_listener
from pemr.signal import audio
from pemr.signal.cqt import HARMONY, Cqt
from pemr.signal.recording import record
from retrieval import trace, write_rows

SONG_S = 240


def timed(work: Callable[[], Any], n_rounds: int) -> tuple[float, float]:
    """Do it again and again: the least seconds, and seconds of CPU."""
    walls, cpus = [], []
    for _ in range(n_rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls[1:]), min(cpus[1:])


def decoded(path: Path) -> None:
    """Decode a file with PyAV and do nothing with it."""
    with av.open(str(path)) as container:
        for _ in container.decode(audio=0):
            pass


def stages(path: Path, embedder: Embedder, n_rounds: int) -> dict[str, float]:
    """Time each stage of one file: seconds of CPU for a song of four minutes."""
    blocks = list(audio.blocks(path))
    transform, of_harmony = Cqt(), Cqt(grid=HARMONY)
    recording = embedder.listen(path)

    def heard() -> None:
        listener = shipped_listener()
        for block in blocks:
            listener.push(block)
        listener.finish(recording.chroma.shape[1])

    works: dict[str, Callable[[], Any]] = {
        "decoding alone (PyAV)": lambda: decoded(path),
        "hashing the packets": lambda: hash_audio(path),
        "decoding, mixing, resampling": lambda: list(audio.blocks(path)),
        "spectrum, tuning, chroma": lambda: record(blocks, transform),
        "transform for harmony": lambda: list(of_harmony.stream(blocks)),
        "harmony, its transform included": heard,
        "embedding": lambda: embedder.embed([recording]),
        "embedding at four more tempos": lambda: [
            embedder.embed([recording], tempo=tempo) for tempo in (0.8, 0.89, 1.12, 1.25)
        ],
    }
    scale = SONG_S / recording.duration_s
    return {name: timed(work, n_rounds)[1] * scale for name, work in works.items()}


def indexed(paths: Sequence[Path], embedder: Embedder) -> None:
    """Hash, hear and embed files as `pemr index` does."""

    def listen(path: Path) -> Any:  # noqa: ANN401 (a recording)
        hash_audio(path)
        return embedder.listen(path)

    for _ in embed_all(embedder, ((path, lambda path=path: listen(path)) for path in paths)):
        pass


def driven_plainly(paths: Sequence[Path], embedder: Embedder) -> None:
    """Hash, hear and embed one file after the other."""
    for path in paths:
        hash_audio(path)
        embedder.embed([embedder.listen(path)])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    embedder = load_embedder(device="cpu")
    plain = replace(cover_embedder(load_shipped("cover")), ranking=embedder.ranking)
    paths, n_rounds = options.files, options.rounds
    found = stages(paths[0], embedder, n_rounds)
    rows = [{"what": name, "s of CPU a song": f"{cpu:.3f}"} for name, cpu in found.items()]
    audio_s = sum(embedder.listen(path).duration_s for path in paths)
    with ThreadPoolExecutor(options.threads) as pool:
        alone = timed(lambda: list(pool.map(decoded, paths)), n_rounds)
    whole = {
        "all files: decoding alone (PyAV)": alone,
        "all files: as pemr index does": timed(lambda: indexed(paths, embedder), n_rounds),
        "all files: one after the other, torch": timed(
            lambda: driven_plainly(paths, plain), n_rounds
        ),
    }
    for name, (wall, cpu) in whole.items():
        row = {"what": name, "s of CPU a song": f"{cpu / audio_s * SONG_S:.3f}"}
        row |= {"s": f"{wall:.2f}", "times decoding alone": f"{wall / alone[0]:.2f}"}
        rows.append(row | {"s of audio a s": f"{audio_s / wall:.0f}"})
    for row in rows:
        print(row)
    if options.out:
        command = f"scripts/bench/throughput.py FILE... --threads {options.threads}"
        command += f" --rounds {n_rounds}"  # the files are of this machine
        write_rows(rows, embedder.name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
