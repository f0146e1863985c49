"""Measure the service: searches by track id with several clients at once, and seeking in audio."""

# ruff: noqa: ANN401, ARG002 (an embedder of nothing: whatever it is given is as good)
import argparse
import json
import statistics
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

N_TRACKS, N_CLIENTS, N_SEARCHES, N_SEEKS = 2_000, 4, 60, 50


class Random:
    """Embedder of recordings that are drawn from a seed: nothing is decoded."""

    name, dim, file_errors = "random", 256, (OSError,)
    like: tuple[Path, ...] = ()  # packed recordings whose chroma and harmony tracks take in turn

    @property
    def ranking(self) -> Any:
        """As many alignments and tempos as the shipped encoder has."""
        from pemr import load_embedder

        return load_embedder("cover").ranking

    def listen(self, source: Path) -> Any:
        from indexer import KeptRecording

        number = int(source.stem)
        rng = np.random.default_rng(number)
        if self.like:
            return self._turned(number)
        notes = np.repeat(rng.integers(0, 12, 300), 3)  # three minutes
        chroma = rng.integers(0, 60, (12, 900)).astype(np.uint8)
        chroma[notes, np.arange(900)] = 255
        return KeptRecording(
            duration_s=180.0,
            spectrogram=rng.integers(0, 256, (84, 900)).astype(np.uint8),
            chroma=chroma,
            harmony=np.zeros((36, 0), np.uint8),
        )

    def _turned(self, number: int) -> Any:
        """A real recording in another key, whose vectors are as random as any."""
        from indexer import KeptRecording

        with np.load(self.like[number % len(self.like)]) as parts:
            chroma, harmony = parts["chroma"], parts["harmony"]
        by, n_frames = number // len(self.like) % 12, chroma.shape[1]
        pictures = harmony.reshape(3, 12, n_frames)
        rng = np.random.default_rng(number)
        return KeptRecording(
            duration_s=n_frames / 5,
            spectrogram=rng.integers(0, 256, (84, n_frames)).astype(np.uint8),
            chroma=np.roll(chroma, by, axis=0),
            harmony=np.roll(pictures, by, axis=1).reshape(harmony.shape),
        )

    def listen_on(self, source: Path) -> Any:
        yield self.listen(source)

    def restore(self, arrays: Any) -> Any:
        from indexer import KeptRecording

        return KeptRecording(**arrays)

    def spans_s(self, recording: Any, *, tempo: float = 1.0) -> Any:
        starts = np.arange(17) * 10.0
        return np.stack([starts, starts + 20], axis=1)

    def embed(self, recordings: Any, *, tempo: float = 1.0) -> Any:
        return [self._one(recording) for recording in recordings]

    def _one(self, recording: Any) -> Any:
        rng = np.random.default_rng(int(recording.spectrogram[:, :50].sum()))
        vectors = rng.standard_normal((17, self.dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("folder", type=Path, help="for the catalog; kept for the next time")
    given.add_argument("--tracks", type=int, default=N_TRACKS)
    given.add_argument("--out", type=Path, help="result file to write")
    given.add_argument("--like", type=Path, help="packed recordings, for real chroma and harmony")
    chosen = given.parse_args()
    Random.like = tuple(sorted(chosen.like.glob("*.npz"))) if chosen.like else ()
    fill(chosen.folder, chosen.tracks)
    row = measured(chosen.folder, chosen.tracks)
    print(json.dumps(row, indent=1))
    if chosen.out:
        from retrieval import trace

        like = f" --like {chosen.like.name}" if chosen.like else ""
        command = f"python scripts/bench/serve.py FOLDER --tracks {chosen.tracks}{like}"
        told = {"rows": [row], **vars(trace(command))}
        chosen.out.write_text(json.dumps(told, indent=1, default=str) + "\n")


def fill(folder: Path, n_tracks: int) -> None:
    """Make the catalog where it is absent: every file is the same second of sound but its end."""
    import wave

    from indexer import Catalog, build

    if (folder / "catalog" / "catalog.db").is_file():
        return
    (folder / "music").mkdir(parents=True, exist_ok=True)
    for number in range(n_tracks):
        samples = np.random.default_rng(number).integers(-9000, 9000, 16_000).astype("<i2")
        with wave.open(str(folder / "music" / f"{number:05}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    embedder = Random()
    with Catalog.write(folder / "catalog", embedder) as catalog:
        for _ in build(catalog, embedder, [folder / "music"]):
            pass


def measured(folder: Path, n_tracks: int) -> dict[str, float]:
    """Time searches with alignment of several clients, and ranges of audio."""
    from retrieval import Place, serve

    place, told, ready = Place(port=0), [], threading.Event()

    def say(sentence: str) -> None:
        told.append(sentence.removeprefix("open "))
        ready.set()

    def no_opus(path: Path, _start_s: float) -> Any:
        yield path.read_bytes()

    def run() -> None:
        serve(folder / "catalog", Random, no_opus, place, say)

    threading.Thread(target=run, daemon=True).start()
    ready.wait(120)
    ask = Client(told[0])
    ask.search(1)  # machine code is compiled, vectors are read
    ids = np.random.default_rng(0).integers(1, n_tracks + 1, N_SEARCHES).tolist()
    used = time.process_time()
    with ThreadPoolExecutor(N_CLIENTS) as pool:
        searches = list(pool.map(ask.search, ids))
    used = time.process_time() - used
    seeks = [ask.seek(number) for number in ids[:N_SEEKS]]
    return {
        "tracks": n_tracks,
        "clients": N_CLIENTS,
        "search_p50_s": statistics.median(searches),
        "search_p95_s": float(np.quantile(searches, 0.95)),
        "search_cpu_s": used / N_SEARCHES,
        "seek_p95_s": float(np.quantile(seeks, 0.95)),
    }


class Client:
    """Asks the service, and says how long the answer took."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def search(self, track_id: int) -> float:
        body = json.dumps({"track_id": track_id, "top": 10, "everything": True}).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self._address}api/search", body, headers)  # noqa: S310
        return self._timed(asked)

    def seek(self, track_id: int) -> float:
        address = f"{self._address}api/tracks/{track_id}/audio"
        asked = urllib.request.Request(address, headers={"Range": "bytes=8000-12000"})  # noqa: S310
        return self._timed(asked)

    def _timed(self, request: urllib.request.Request) -> float:
        started = time.perf_counter()
        with self._open(request, timeout=60) as answer:
            answer.read()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
