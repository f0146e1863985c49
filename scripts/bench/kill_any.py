#!/usr/bin/env python
"""Kill a writer with SIGKILL at random moments of every job, and look at what it leaves behind.

    scripts/bench/kill_any.py [--kills 200] [--embedder fake] [--seed 0] [--out STEM]

The jobs: indexing, merging what came and went into the vector file, pruning, and repair, which is
making a lost vector file anew. After each kill a reader looks: tracks that were stored before and
are not to go must be there (lost), nothing else may be (ghosts), each must have the vectors, spans
and chroma of its file, and a search must answer as in a catalog whose vector file is made anew
(wrong). Then the job is run to its end, and the catalog must be that of an undisturbed run. With
--out, the figures are written to STEM.md and STEM.json.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from kill_index import TOLERANCE, provenance
from numpy.typing import NDArray

from indexer import Catalog, Embedder, build

JOBS = ("index", "merge", "prune", "repair")
N_FILES = 24
GO = b"go\n"

Content: TypeAlias = dict[str, dict[str, str | NDArray[Any]]]


def embedder_of(name: str) -> Embedder:
    """Load an embedder; `fake` is the one of the tests, which makes vectors from samples."""
    if name == "fake":
        from tests.conftest import FakeEmbedder

        return FakeEmbedder()
    from pemr import load_embedder

    return load_embedder(name, "cpu")


def lay_out(folder: Path, duration_s: float) -> None:
    """Write files of noise with a beat; every third is a copy of the one before."""
    folder.mkdir(parents=True)
    for place in range(N_FILES):
        rng = np.random.default_rng(place - (place % 3 == 2))
        samples = rng.normal(0, 4000, round(8_000 * duration_s)).astype("<i2")
        with wave.open(str(folder / f"{place:02d}.wav"), "wb") as out:
            out.setparams((1, 2, 8_000, 0, "NONE", ""))
            out.writeframes(samples.tobytes())


def carry_out(job: str, catalog: Path, music: Path, embedder: Embedder) -> None:
    """Do one of the jobs."""
    with Catalog.write(catalog, embedder) as writer:
        if job in {"index", "prune"}:
            list(build(writer, embedder, [music], prune=job == "prune"))


class Stage:
    """A job, what it begins with and what it must come to.

    Parameters
    ----------
    job : str
        One of `JOBS`.
    folder : Path
        Where to make it all.
    embedder : embedder
        From `embedder_of`.
    duration_s : float
        Length of the files.
    """

    def __init__(self, job: str, folder: Path, embedder: Embedder, duration_s: float) -> None:
        self.job, self._embedder = job, embedder
        self.music, self._before = folder / "music", folder / "before"
        self.catalog = folder / "catalog"
        lay_out(self.music, duration_s)
        files = sorted(self.music.iterdir())
        first = {"index": files[:8], "merge": files[:16]}.get(job, files)
        with Catalog.write(self._before, embedder) as writer:
            list(build(writer, embedder, first))
            if job == "merge":  # rows come and go, and the vector file stays behind
                writer.flush()
                writer.flush = lambda: None  # type: ignore[method-assign]
                list(build(writer, embedder, files[16:]))
                writer.delete([track.id for track in writer.tracks()[:4]])
        for gone in files[4:9] if job == "prune" else []:
            gone.unlink()
        for vectors in self._before.glob("vectors-*") if job == "repair" else []:
            vectors.unlink()
        self.before = content(self._before)
        self.reset()
        started = time.perf_counter()
        carry_out(job, self.catalog, self.music, embedder)
        self.calm_s = time.perf_counter() - started
        self.after = content(self.catalog)

    def reset(self) -> None:
        """Put the catalog back to where the job begins."""
        shutil.rmtree(self.catalog, ignore_errors=True)
        shutil.copytree(self._before, self.catalog)

    def finish(self) -> list[str]:
        """Run the job to its end; what is not as it should be."""
        carry_out(self.job, self.catalog, self.music, self._embedder)
        return [] if is_same(content(self.catalog), self.after) else ["another end"]


def content(folder: Path) -> Content:
    """All that decides answers of each track, by the name of its file."""
    with Catalog.open(folder) as catalog:
        tracks = catalog.tracks()
        pitches = catalog.pitches_of([track.id for track in tracks])
        return {
            track.path.name: {
                "facts": np.array([track.duration_s, track.is_missing, track.n_segments]),
                "hash": track.audio_hash,
                "vectors": catalog.embeddings(track.id),
                "spans": catalog.segments(track.id),
                "chroma": own.chroma,
            }
            for track, own in zip(tracks, pitches, strict=True)
        }


def is_same(one: Content, other: Content) -> bool:
    """Whether two contents agree."""
    return one.keys() == other.keys() and all(is_same_track(one[key], other[key]) for key in one)


def is_same_track(one: dict[str, str | NDArray[Any]], other: dict[str, str | NDArray[Any]]) -> bool:
    """Whether two tracks agree, numbers up to what embedders round."""
    return all(
        value == other[name]
        if isinstance(value, str)
        else np.shape(value) == np.shape(other[name])
        and np.allclose(value, other[name], atol=TOLERANCE)  # type: ignore[arg-type]
        for name, value in one.items()
    )


def faults(stage: Stage) -> Iterator[str]:
    """Name what a killed job has left that should not be."""
    found = content(stage.catalog)
    yield from ("lost" for name in stage.before.keys() & stage.after.keys() - found.keys())
    yield from ("ghost" for name in found.keys() - stage.before.keys() - stage.after.keys())
    for name, facts in found.items():
        known = [all_of[name] for all_of in (stage.before, stage.after) if name in all_of]
        if not any(is_same_track(facts, one) for one in known):
            yield "wrong track"
    anew = stage.catalog.with_name("anew")
    shutil.rmtree(anew, ignore_errors=True)
    shutil.copytree(stage.catalog, anew, ignore=shutil.ignore_patterns("vectors-*"))
    with Catalog.open(stage.catalog) as one, Catalog.open(anew) as other:
        ids, _ = one.track_embeddings()
        if ids.tolist() != other.track_embeddings()[0].tolist():
            yield "ghost in the vector file"
            return
        for track_id in ids.tolist():
            asked = [one.embeddings(track_id)]
            if not np.array_equal(one.nearest(asked, 10), other.nearest(asked, 10)):
                yield "wrong answer"


def killed(stage: Stage, embedder: str, after_s: float) -> bool:
    """Start the job in a process of its own and kill it; whether it was still running."""
    command = [sys.executable, __file__, "--child", stage.job, "--embedder", embedder]
    command += ["--folder", str(stage.catalog), str(stage.music)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    if running.stdout is None or running.stdout.readline() != GO:
        sys.exit(f"the job could not be started: {command}")
    time.sleep(after_s)
    was_running = running.poll() is None
    running.kill()
    running.communicate()
    return was_running


def measure(
    work: Path, n_kills: int, embedder: str, seed: int, duration_s: float = 2.0
) -> dict[str, object]:
    """Kill each job in turn, look, and let it finish; counts of what was found."""
    draw = random.Random(seed)  # noqa: S311 (moments to kill at, no secrets)
    loaded = embedder_of(embedder)
    stages = [Stage(job, work / job, loaded, duration_s) for job in JOBS]
    found: Counter[str] = Counter()
    n_running: Counter[str] = Counter()
    for place in range(n_kills):
        stage = stages[place % len(stages)]
        stage.reset()
        n_running[stage.job] += killed(stage, embedder, draw.uniform(0, stage.calm_s))
        found.update(faults(stage))
        found.update(stage.finish())
    return {
        "embedder": embedder,
        "kills": n_kills,
        "while the job ran": ", ".join(f"{n} {job}" for job, n in n_running.items()),
        "went wrong": ", ".join(f"{n} {what}" for what, n in found.items()) or "nothing",
    }


def main() -> None:
    """Parse, measure, print; or be the process that is killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--embedder", default="fake")
    parser.add_argument("--duration", type=float, default=2.0, help="seconds of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        embedder = embedder_of(options.embedder)
        sys.stdout.buffer.write(GO)
        sys.stdout.flush()
        carry_out(options.child, *options.folder, embedder)
        return
    with tempfile.TemporaryDirectory() as folder:
        kills = (options.kills, options.embedder, options.seed, options.duration)
        found = measure(Path(folder), *kills) | provenance()
    found["command"] = str(found["command"]).replace("kill_index", "kill_any")
    lines = [f"- {name}: {fact}" for name, fact in found.items()]
    print(*lines, sep="\n")
    if options.out is not None:
        title = "# Writers killed at random moments of every job"
        options.out.with_suffix(".md").write_text("\n".join([title, "", *lines, ""]))
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
