#!/usr/bin/env python
"""Index one folder by two processes, or by two workers of a Ray cluster, into one catalog.

    scripts/bench/workers.py kill [--how indexers|ray] [--qdrant] [--files 500] [--rounds 20]
                                  [--out STEM]
    scripts/bench/workers.py speed FOLDER [--embedder cover] [--out STEM]

`kill` draws short tones, embeds them with a stand-in that takes ten milliseconds a file, and kills
one of the two at a random moment of each round. It counts files that are lost, files that were
stored twice, files that had to be embedded again because the dead one had not stored them, and
rounds in which the catalog differs from that of a calm one. With --qdrant the vectors are put into
a stand-in that speaks Qdrant's HTTP, every fifty tracks, by whichever process has stored them; then
it also counts points that are lost, or are not of what the database holds.

`speed` embeds real music with a real embedder: by one process bound to one core, then by two, each
bound to a core of its own, with a thread each, from when the embedders are loaded.

The PostgreSQL server is a temporary one, as in the tests.
"""

import argparse
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from indexer import Added, Address, Catalog, Cluster, build, carry_out, plan, writer
from indexer.stores.engine import Point
from retrieval import trace, write_rows
from tests.conftest import FakeEmbedder, tone
from tests.indexer.stores.standin import StandIn
from tests.server import Server, programs

ROOT = Path(__file__).parents[2]
_FILE_S = 0.01
_PUT_AFTER = 50


class Slow(FakeEmbedder):
    """Takes its time, and writes down what it embedded in a file named after its process."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log

    def embed(self, recordings: Any, *, tempo: float = 1.0) -> Any:  # noqa: ANN401 (as it is there)
        with (self._log / f"{os.getpid()}.embedded").open("a") as log:
            for recording in recordings:
                time.sleep(_FILE_S)
                log.write(f"{hash(recording.chroma.tobytes())}\n")
                log.flush()
        return super().embed(recordings, tempo=tempo)


def work(options: argparse.Namespace) -> None:
    """Index in a process of its own, and write down what was stored."""
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    place, log = Address(options.address), options.log
    writer._STORED_AT_ONCE = _PUT_AFTER
    if options.embedder:
        from pemr import load_embedder

        embedder: Any = load_embedder(options.embedder, "cpu")
        embedder.embed([embedder.listen(next(options.folder.rglob("*.*")))])  # warms up
    else:
        embedder = Slow(log)
    with Catalog.write(place, embedder) as catalog:
        (log / f"{os.getpid()}.ready").touch()
        while not (log / "go").exists():
            time.sleep(0.005)
        if options.ray:
            cluster = Cluster("local", partial(Slow, log), 2)
            events = carry_out(catalog, embedder, plan(catalog, [options.folder]), cluster=cluster)
        else:
            events = build(catalog, embedder, [options.folder])
        with (log / f"{os.getpid()}.stored").open("a") as out:
            for event in events:
                if isinstance(event, Added):
                    out.write(f"{event.path}\n")
                    out.flush()


class Round:
    """Some processes that index one folder into an empty catalog."""

    def __init__(self, server: Server, folder: Path, log: Path, **how: Any) -> None:  # noqa: ANN401
        self.address, self.log = server.emptied(), log
        log.mkdir()
        self.engine = StandIn() if how.get("has_engine") else None
        if self.engine is not None:
            with Catalog.write(self.address, Slow(log)) as catalog:
                catalog.keep_vectors(f"{self.engine.url}/tracks")
        self.is_ray = how.get("is_ray", False)
        cores = how.get("cores") or [None] * (1 if self.is_ray else 2)
        self.running = [self._start(folder, core, how.get("embedder")) for core in cores]
        while len(list(log.glob("*.ready"))) < len(self.running):
            time.sleep(0.05)
            if any(one.poll() for one in self.running):
                sys.exit("a process ended before it began")
        self.began_s = time.perf_counter()
        (log / "go").touch()

    def _start(self, folder: Path, core: int | None, embedder: str | None) -> Any:  # noqa: ANN401
        command = [sys.executable, __file__, "work", str(folder), "--address", self.address.text]
        command += ["--log", str(self.log)] + (["--ray"] if self.is_ray else [])
        command += [] if core is None else ["--core", str(core)]
        command += ["--embedder", embedder] if embedder else []
        threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        threads["RAY_worker_niceness"] = "0"  # else they would wait for this process
        return subprocess.Popen(command, env={**os.environ, **threads}, cwd=ROOT)

    def kill_one(self, after_s: float, draw: random.Random) -> bool:
        """Kill one of those who embed, some time after they have begun; whether it still did."""
        while len(pids := list(self.log.glob("*.embedded"))) < 2:
            time.sleep(0.005)
        time.sleep(after_s)
        pid = int(draw.choice(sorted(pids)).stem)
        if any(one.pid == pid and one.poll() is not None for one in self.running):
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def end(self) -> SimpleNamespace:
        """Wait for all, and read what they did."""
        codes = [one.wait() for one in self.running]
        if set(codes) - {0, -signal.SIGKILL}:
            sys.exit(f"a process failed: {codes}")
        took_s = time.perf_counter() - self.began_s
        stored = Counter(
            line for path in self.log.glob("*.stored") for line in path.read_text().splitlines()
        )
        embedded = Counter(
            line for path in self.log.glob("*.embedded") for line in path.read_text().split()
        )
        with Catalog.open(self.address) as catalog:
            vectors = {track.id: catalog.embeddings(track.id) for track in catalog.tracks()}
            paths = {track.id: str(track.path) for track in catalog.tracks()}
        return SimpleNamespace(
            took_s=took_s,
            stored=stored,
            embedded=embedded,
            held={paths[one]: np.round(found, 6).tobytes() for one, found in vectors.items()},
            codes=codes,
            n_astray=self._n_astray(vectors),
        )

    def _n_astray(self, vectors: dict[int, Any]) -> int:
        """Count the tracks that are not in the engine as the database has them, or only there."""
        if self.engine is None:
            return 0
        points, _ = self.engine.engine.scroll("tracks", limit=len(vectors) + 1_000)
        found = Counter((int(one.id), (one.payload or {})["checksum"]) for one in points)
        wanted = Counter((one, Point.of(one, of).checksum) for one, of in vectors.items())
        self.engine.close()
        return ((found - wanted) + (wanted - found)).total()


def kill(server: Server, work_in: Path, options: argparse.Namespace) -> dict[str, str]:
    """Kill one of two in each round."""
    folder = work_in / "music"
    for seed in range(options.files):
        tone(folder / f"{seed:04}.wav", seed=seed, duration_s=1.0)
    is_ray, draw = options.how == "ray", random.Random(options.seed)  # noqa: S311
    how = {"is_ray": is_ray, "has_engine": options.qdrant}
    calm = Round(server, folder, work_in / "calm", **how).end()
    span_s = calm.took_s if not is_ray else options.files * _FILE_S / 2
    lost = twice = again = different = killed = astray = 0
    while killed < options.rounds:
        running = Round(server, folder, work_in / f"round{killed}", **how)
        was_killed = running.kill_one(draw.uniform(0, 0.6 * span_s), draw)
        done = running.end()
        if not was_killed:
            shutil.rmtree(running.log)
            continue
        killed += 1
        lost += options.files - len(done.held)
        twice += sum(n > 1 for n in done.stored.values())
        again += sum(n - 1 for n in done.embedded.values())
        different += done.held != calm.held
        astray += done.n_astray
        print(f"round {killed}: {len(done.held)} tracks, {again} embedded again", file=sys.stderr)
    return {
        "embedded by": "two indexers" if not is_ray else "Ray with two workers",
        "files": f"{options.files}",
        "killed": f"{killed}",
        "lost": f"{lost}",
        "stored twice": f"{twice}",
        "embedded again": f"{again}",
        "other than a calm catalog": f"{different}",
        **({"points lost or wrong": f"{astray}"} if options.qdrant else {}),
    }


def speed(server: Server, work_in: Path, options: argparse.Namespace) -> dict[str, str]:
    """Time one process on one core, then two on two."""
    took_s = []
    for cores in ([0], [0, 1]):
        log = work_in / f"on{len(cores)}"
        how = {"cores": cores, "embedder": options.embedder}
        done = Round(server, options.folder, log, **how).end()
        took_s.append(done.took_s)
    return {
        "files": f"{len(done.held)}",
        "one worker (s)": f"{took_s[0]:.1f}",
        "two workers (s)": f"{took_s[1]:.1f}",
        "speed-up": f"{took_s[0] / took_s[1]:.2f}",
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    killing = kinds.add_parser("kill")
    killing.add_argument("--how", choices=["indexers", "ray"], default="indexers")
    killing.add_argument("--qdrant", action="store_true")
    killing.add_argument("--files", type=int, default=500)
    killing.add_argument("--rounds", type=int, default=20)
    killing.add_argument("--seed", type=int, default=0)
    timing = kinds.add_parser("speed")
    timing.add_argument("folder", type=Path)
    timing.add_argument("--embedder", default="cover")
    for one in (killing, timing):
        one.add_argument("--out", type=Path, help="stem of the files of the result")
    working = kinds.add_parser("work", help="what each process does")
    working.add_argument("folder", type=Path)
    working.add_argument("--address", required=True)
    working.add_argument("--log", type=Path, required=True)
    working.add_argument("--ray", action="store_true")
    working.add_argument("--core", type=int)
    working.add_argument("--embedder")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.kind == "work":
        work(options)
        return
    found = programs()
    if found is None:
        sys.exit("no PostgreSQL here: see scripts/postgresql")
    server = Server(found)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure = kill if options.kind == "kill" else speed
            row = measure(server, Path(folder), options)
    finally:
        server.end()
    print(row)
    if options.out:
        command = shlex.join(["scripts/bench/workers.py", *sys.argv[1:]])
        name = getattr(options, "embedder", "a stand-in")
        write_rows([row], name, trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
