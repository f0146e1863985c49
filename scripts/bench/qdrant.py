#!/usr/bin/env python
"""Measure vectors in Qdrant's core beside a vector file, among real works rotated at random.

    pip install qdrant-edge-py
    scripts/bench/qdrant.py --works CATALOG... [--tracks 10000] [--queries 100] [--out STEM]

The tracks are those of `scripts/bench/scale.py`. They are put into Qdrant's core, which runs in
this process without a server, in the form that `indexer.stores.qdrant` gives them; what asks it is
`indexer.stores.remote`, as with a server. Figures of both, in one run: how many of the exact best
100 are found, how many covers that exact search ranks in its first ten, seconds of the clock and
of the processor for a query, and for the ten neighbours of 500 tracks; what was put and how long
that took. Then both are asked among shares of the tracks that are drawn at random, and the core
alone for its part of that, once with the ids of those tracks and once with a number that it keeps
beside each track in an index. The network is left out. With --out, they are written to STEM.json.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from edge import Edge, numbered
from rotated import Performance, Vectors, gather
from scale import N_BEST, N_FIRST, POOL_LENGTH, Asked, Made, tracks_of

from indexer import repair
from indexer.exact import Ids, Segments
from indexer.stores import remote
from indexer.stores.engine import Point
from indexer.stores.index import Rows, VectorIndex
from indexer.stores.remote import RemoteIndex
from pemr import load_embedder
from retrieval.ranking.ranking import ranking_from
from retrieval.reporting.provenance import trace

_PUT_AT_ONCE = 64
_N_NUMBERS = 1_000
_SHARES = (0.01, 0.1, 0.4, 0.9)


def written(
    works: Sequence[Sequence[Performance]], options: argparse.Namespace, folder: Path
) -> tuple[Segments, dict[int, int], list[Made]]:
    """Write the tracks to a file; also each one's work, and those that can be asked."""
    of: dict[int, int] = {}
    can_ask: list[Made] = []
    lengths = []
    with (folder / "values").open("wb") as file:
        for made in islice(tracks_of(works, options.seed), options.tracks):
            of[made.track_id] = made.work
            vectors = made.turned.at(0)
            lengths.append(len(vectors))
            file.write(vectors.tobytes())
            if made.turned.n_versions > 1 and len(can_ask) < 20 * options.queries:
                can_ask.append(made)
    dim = works[0][0][0].shape[1]
    values = np.memmap(folder / "values", np.float32, "r").reshape(-1, dim)
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    ids = np.fromiter(of, np.int64)
    return Segments(ids, starts, values, np.zeros(0, np.float32), values.shape[1]), of, can_ask


def rows_of(held: Segments) -> Rows:
    """Offer the tracks as a database does."""

    def of(track_ids: Sequence[int]) -> dict[int, Vectors]:
        places = held.places_of(np.array(track_ids, np.int64)).tolist()
        return {int(held.ids[one]): held.of(np.array([one])) for one in places}

    return Rows(
        dim=held.values.shape[1],
        all=lambda: tracks_in(held),
        since=lambda _: [],
        gone=lambda _: np.zeros(0, np.int64),
        of=of,
        n_tracks=lambda: len(held),
        n_segments=lambda: len(held.values),
    )


def tracks_in(held: Segments) -> Iterator[tuple[int, Vectors]]:
    """Yield every track."""
    for place, track_id in enumerate(held.ids.tolist()):
        yield track_id, held.of(np.array([place]))


def fill(engine: Edge, held: Segments) -> None:
    """Put all tracks, and have their graphs made."""
    engine.make(held.values.shape[1], {})
    tracks = tracks_in(held)
    while some := [Point.of(*track) for track in islice(tracks, _PUT_AT_ONCE)]:
        engine.put(some)
    engine.settle()


def timed(ask: Callable[[], Any], into: dict[str, list[float]]) -> Any:  # noqa: ANN401
    """Ask, and note how long that took on the clock and on the processor."""
    begun, worked = time.perf_counter(), time.process_time()
    found = ask()
    into["s"].append(time.perf_counter() - begun)
    into["cpu_s"].append(time.process_time() - worked)
    return found


def asked(
    index: VectorIndex,
    queries: Sequence[Asked],
    exact: Sequence[Ids],
    of: dict[int, int],
) -> dict[str, float]:
    """Ask one index every query, and compare with what exact search finds."""
    spent: dict[str, list[float]] = {"s": [], "cpu_s": []}
    around: dict[str, list[float]] = {"s": [], "cpu_s": []}
    recalls, n_planted, n_kept = [], 0, 0
    for query, best in zip(queries, exact, strict=True):
        found = timed(lambda q=query: index.nearest(q.versions, POOL_LENGTH, without=q.own), spent)
        fresh = index.changed(np.zeros(0, np.int64), [])  # nothing is remembered
        timed(lambda i=fresh, f=found: i.neighbours(f), around)
        recalls.append(np.isin(best, found).mean())
        planted = [one for one in best[:N_FIRST].tolist() if of[one] == query.work]
        n_planted += len(planted)
        n_kept += int(np.isin(planted, found).sum())
    times = {
        f"{what}_{unit}_p{share}": float(np.percentile(times[unit], share))
        for what, times in (("nearest", spent), ("neighbours", around))
        for unit in ("s", "cpu_s")
        for share in (50, 99)
    }
    kept = {"planted": n_planted, "kept": n_kept}
    return {"recall_100": float(np.mean(recalls)), **kept, **times}


class Both(NamedTuple):
    """The same tracks in a file and in the core, and the truth."""

    held: Segments
    file: VectorIndex
    remote: RemoteIndex
    core: Edge


def among(both: Both, queries: Sequence[Asked]) -> dict[str, dict[str, float]]:
    """Ask among shares of the tracks, and compare ids that are sent with numbers that are kept."""
    drawn = np.random.default_rng(0).permutation(both.held.ids)
    parts = np.array_split(drawn, _N_NUMBERS)
    both.core.number(dict(enumerate(parts)))
    both.core.settle()
    found = {}
    for share in _SHARES:
        n_numbers = round(share * _N_NUMBERS)
        only = np.sort(np.concatenate(parts[:n_numbers]))
        ways: dict[str, Callable[[Asked], Ids]] = {
            "file": lambda q, o=only: both.file.nearest(q.versions, POOL_LENGTH, only=o),
            "core": lambda q, o=only: both.remote.nearest(q.versions, POOL_LENGTH, only=o),
            "core_by_ids": lambda q, o=only: asked_alone(both, q, o, None),
            "core_by_numbers": lambda q, o=only, n=n_numbers: asked_alone(both, q, o, n),
        }
        best = [best_of(both.held, query, only) for query in queries]
        figures = {name: compared(way, queries, best) for name, way in ways.items()}
        ids_bytes = len(json.dumps(only.tolist()))
        found[f"{share:g}"] = {"tracks": len(only), "ids_bytes": ids_bytes, **figures}
    return found


def asked_alone(both: Both, query: Asked, only: Ids, below: int | None) -> Ids:
    """Ask the core for its part of an answer, by ids or by numbers, as deeply as it is asked."""
    n_wide = both.remote._n_wide(query.versions, len(only))
    n_deep = round(remote._N_DEEP * remote._depth(len(only)))
    if below is None:
        return both.core.best(query.versions, n_wide, n_deep, only=only, without=only[:0])
    return both.core.ask(query.versions, n_wide, n_deep, numbered(below))


def compared(
    ask: Callable[[Asked], Ids], queries: Sequence[Asked], best: Sequence[Ids]
) -> dict[str, float]:
    """Ask in one way, and compare with the best."""
    spent: dict[str, list[float]] = {"s": [], "cpu_s": []}
    answers = [timed(partial(ask, query), spent) for query in queries]
    recalls = [np.isin(*pair).mean() for pair in zip(best, answers, strict=True)]
    times = {f"{unit}_p50": float(np.median(took)) for unit, took in spent.items()}
    return {"recall_100": float(np.mean(recalls)), **times}


def asked_by(made: Made) -> Asked:
    """Ask with a track at every tempo."""
    versions = [made.turned.at(version) for version in range(made.turned.n_versions)]
    return Asked(versions, made.work, np.array([made.track_id]))


def best_of(held: Segments, query: Asked, only: Ids | None = None) -> Ids:
    """Score all tracks or some, and name the best, best first; of all not the query itself."""
    places = np.arange(len(held)) if only is None else held.places_of(only)
    scores = held.scores(query.versions, len(held.values) / len(held), places)
    if only is None:
        scores[held.places_of(query.own)] = -2
    return held.ids[places[np.argsort(-scores, kind="stable")[:N_BEST]]]


def built(make: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Make something, and say how long that took."""
    spent: dict[str, list[float]] = {"s": [], "cpu_s": []}
    made = timed(make, spent)
    return made, {"built_s": spent["s"][0], "built_cpu_s": spent["cpu_s"][0]}


def measure(
    works: Sequence[Sequence[Performance]], options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Make the tracks, hold them twice, ask both."""
    held, of, can_ask = written(works, options, folder)
    drawn = np.random.default_rng(options.seed).permutation(len(can_ask))[: options.queries]
    queries = [asked_by(can_ask[place]) for place in drawn]
    exact = [best_of(held, query) for query in queries]
    dim = held.values.shape[1]
    file, of_file = built(lambda: repair.rebuilt(lambda: tracks_in(held), len(held), dim))
    engine = Edge(folder / "core")
    _, of_core = built(lambda: fill(engine, held))
    remote = RemoteIndex(lambda: engine, rows_of(held))
    some = held.ids[:: max(1, len(held) // 500)]
    apart = np.abs(file.neighbours(some).hubness() - remote.neighbours(some).hubness())
    on_disk = sum(one.stat().st_blocks * 512 for one in (folder / "core").rglob("*"))
    return {
        "tracks": options.tracks,
        "segments": len(held.values),
        "queries": len(queries),
        "file": {**of_file, **asked(file, queries, exact, of)},
        "core": {**of_core, **asked(remote, queries, exact, of)},
        "among": among(Both(held, file, remote, engine), queries[: options.queries // 5]),
        "core_disk_bytes_a_track": on_disk / options.tracks,
        "hubness_apart_p50": float(np.median(apart)),
        "hubness_apart_max": float(apart.max()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", type=Path, required=True, metavar="CATALOG")
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--asked", type=int, default=120, help="real tracks that can be asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for files of tens of gigabytes")
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    embedder = load_embedder(None, "cpu")
    works = gather(options.works, embedder, ranking_from(embedder.ranking).tempos, options.asked)
    command = "scripts/bench/qdrant.py --works CATALOG..."  # their places are of this machine
    command += f" --tracks {options.tracks} --queries {options.queries} --seed {options.seed}"
    about = {**asdict(trace(command)), "embedder": embedder.name}
    about["core"] = f"qdrant-edge-py {version('qdrant-edge-py')}"
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = {**about, "figures": measure(works, options, Path(folder))}
    print(json.dumps(found["figures"], indent=1))
    if options.out:
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
