#!/usr/bin/env python
"""Measure search in steps against exact search, among real works rotated at random.

    scripts/bench/scale.py --works CATALOG... [--tracks 100000] [--more] [--out STEM]

CATALOG is a catalog whose tracks lie in a folder for each work, such as `pemr evaluate` leaves in
the cache. Its works are embedded at the ranking's tempos and turned at random until there are
enough tracks (`scripts/bench/rotated.py`); packed recordings are left out. Covers of every query
are among the tracks. Figures: how far the statistics of the tracks agree with the real ones, how
many of the exact best 100 are found, how many of the covers that exact search ranks in its first
ten, how often the final ranking has the same first ten, seconds of CPU a query, bytes a track. With
--more also: searches among chosen tracks, excerpts, an hour, many copies, a third replaced. With
--out, they are written to STEM.json.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from numpy.typing import NDArray
from rotated import Performance, Turned, Vectors, gather, rotated
from truth import Held, written

from indexer import repair
from indexer.exact import Segments
from indexer.searched import Searched
from pemr import load_embedder
from retrieval.ranking.candidate import Query
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.pool import Pool
from retrieval.ranking.ranking import Ranking, ranking_from
from retrieval.ranking.stages import rank
from retrieval.reporting.provenance import trace

N_BEST, N_FIRST, POOL_LENGTH = 100, 10, 500
LAGS = (1, 2, 4, 8)
N_COPIES = 1_000
HOUR_LENGTH = 360  # segments, ten seconds apart


class Made(NamedTuple):
    """A track, and the work it is of."""

    track_id: int
    work: int
    turned: Turned


class Asked(NamedTuple):
    """A query, what is no answer to it, and which tracks may be."""

    versions: Sequence[Vectors]
    work: int
    own: NDArray[np.int64]
    only: NDArray[np.int64] | None = None


def tracks_of(works: Sequence[Sequence[Performance]], seed: int) -> Iterator[Made]:
    """Yield track after track, the same ones for the same seed."""
    track_id = 0
    for number, work in enumerate(rotated(works, np.random.default_rng(seed))):
        for turned in work:
            track_id += 1
            yield Made(track_id, number, turned)


def statistics(tracks: Sequence[tuple[int, Vectors]]) -> dict[str, float]:
    """Measure how alike segments of a track, covers and strangers are; tracks by their work."""
    figures = {}
    for lag in LAGS:
        pairs = [(v[:-lag] * v[lag:]).sum(axis=1) for _, v in tracks if len(v) > lag]
        figures[f"lag_{lag}"] = float(np.concatenate(pairs).mean()) if pairs else float("nan")
    covers, strangers = [], []
    vectors = [v for _, v in tracks]
    works = np.array([work for work, _ in tracks])
    for place, (work, asked) in enumerate(tracks):
        scores = track_scores(asked, vectors)
        covers.append(scores[(works == work) & (np.arange(len(works)) != place)])
        strangers.append(scores[works != work])
    for name, found, shares in (
        ("covers", np.concatenate(covers), (5, 50, 95)),
        ("strangers", np.concatenate(strangers), (50, 99, 99.9)),
    ):
        figures |= {f"{name}_{share}": float(np.percentile(found, share)) for share in shares}
    return figures


def first_of(
    of: Held,
    asked: Asked,
    found: NDArray[np.int64],
    ranking: Ranking,
    hubness: NDArray[np.float64],
) -> list[int]:
    """Rank what was found as search does, without alignment, and name the first ten."""
    held = of.searched
    pool = Pool(
        embeddings=[of.truth.of(of.truth.places_of(found[[i]])) for i in range(len(found))],
        is_candidate=np.ones(len(found), bool),
        mean_length=held.mean_length,
        hubness=lambda: hubness,
        tonal_of=lambda _: [],
        n_tracks=len(held),
    )
    own, *others = asked.versions
    nothing = np.zeros((12, 0), np.uint8)
    query = Query(embeddings=own, tonal=nothing, duration_s=0.0, at_other_tempos=tuple(others))
    order = np.argsort(-rank(query, pool, ranking).scores, kind="stable")
    return [int(one) for one in found[order[:N_FIRST]]]


def compared(
    of_both: Held, queries: Sequence[Asked], of: dict[int, int], ranking: Ranking | None = None
) -> dict[str, float]:
    """Ask every query exactly and in steps; nothing may be held beside the vector file."""
    recalls, pools = [], []
    n_planted = n_kept = n_same = n_same_but_hubs = 0
    times: dict[str, list[float]] = {"steps": [], "exact": []}
    held, main, _ = of_both
    for asked in queries:
        start = time.process_time()
        places = np.arange(len(main)) if asked.only is None else main.places_of(asked.only)
        scores = np.full(len(main), -2, np.float32)
        scores[places] = main.scores(asked.versions, held.mean_length, places)
        times["exact"].append(time.process_time() - start)
        scores[main.places_of(asked.own)] = -2
        order = np.argsort(-scores, kind="stable")[:POOL_LENGTH]
        order = order[scores[order] > -2]
        best = main.ids[order]
        start = time.process_time()
        found = held.nearest(asked.versions, POOL_LENGTH, only=asked.only, without=asked.own)
        times["steps"].append(time.process_time() - start)
        least = scores[order[:N_BEST][-1]]  # equal ones are as good
        reached = scores[main.places_of(found)] >= least
        recalls.append(min(1.0, reached.sum() / len(best[:N_BEST])))
        pools.append(np.isin(best, found).mean())
        planted = [one for one in best[:N_FIRST].tolist() if of.get(one) == asked.work]
        n_planted += len(planted)
        n_kept += int(np.isin(planted, found).sum())
        if ranking is not None:
            kept = held.neighbours(found).hubness()
            now = first_of(of_both, asked, found, ranking, kept)
            whole = np.sort(best)
            n_same += int(now == first_of(of_both, asked, whole, ranking, of_both.hubness(whole)))
            exact = of_both.hubness(found)
            n_same_but_hubs += int(now == first_of(of_both, asked, found, ranking, exact))
    cpu = {
        f"cpu_s_{name}_p{share}": float(np.percentile(spent, share))
        for name, spent in times.items()
        for share in (50, 99)
    }
    same = {
        "first_ten_equal": n_same / len(queries),
        "first_ten_equal_with_exact_hubs": n_same_but_hubs / len(queries),
    }
    return {
        "queries": len(queries),
        "recall_100": float(np.mean(recalls)),
        "recall_500": float(np.mean(pools)),
        "planted": n_planted,
        "kept": n_kept,
        **(same if ranking is not None else {}),
        **cpu,
    }


def measure(
    works: Sequence[Sequence[Performance]],
    ranking: Ranking,
    options: argparse.Namespace,
    folder: Path,
) -> Iterator[tuple[str, Any]]:
    """Make the tracks, hold them, ask."""
    rng = np.random.default_rng(options.seed)

    def stored() -> Iterator[tuple[int, Vectors]]:
        for made in islice(tracks_of(works, options.seed), options.tracks):
            yield made.track_id, made.turned.at(0)

    of: dict[int, int] = {}
    can_ask: list[Made] = []
    for made in islice(tracks_of(works, options.seed), options.tracks):
        of[made.track_id] = made.work
        if made.turned.n_versions > 1 and len(can_ask) < 20 * options.queries:
            can_ask.append(made)
    truth = written(stored(), works[0][0][0].shape[1], folder / "truth")
    before, start = peak_mb(), time.process_time()
    held = built(truth, folder)
    yield "cpu_s_built", time.process_time() - start
    yield "peak_mb_before", before
    yield "peak_mb_built", peak_mb()
    both = Held.of(held, truth)
    yield "tracks", options.tracks
    yield "segments", held.n_segments
    real = [(w, p[0]) for w, work in enumerate(works) for p in work]
    yield "real", statistics(real)
    yield "rotated", statistics([(of[i], v) for i, v in islice(stored(), len(real))])
    drawn = [can_ask[i] for i in rng.permutation(len(can_ask))[: options.queries]]
    asked = [
        Asked([m.turned.at(i) for i in range(m.turned.n_versions)], m.work, np.array([m.track_id]))
        for m in drawn
    ]
    plain = ranking.without("alignment")
    yield "whole", compared(both, asked, of, plain)
    yield from sizes(held, options.tracks)
    yield "cpu_s_added_20", added(held, stored)
    held.remove(np.arange(10_000_001, 10_000_021))
    if options.more:
        some = asked[: options.queries // 3]
        yield from more(both, some, of, rng)
        came = tracks_of(works, options.seed + 1)
        yield "a third replaced", replaced(both, some, of, came, folder)


def built(truth: Segments, folder: Path) -> Searched:
    """Write a vector file of all tracks, and read it; what is mapped would count as memory."""

    def stored() -> Iterator[tuple[int, Vectors]]:
        with (folder / "truth").open("rb") as file:
            for track_id, length in zip(truth.ids.tolist(), truth.lengths.tolist(), strict=True):
                values = np.fromfile(file, np.float32, length * truth.dim)
                yield track_id, values.reshape(length, truth.dim)

    name = repair.Name(1, 1)
    repair.write(stored, len(truth), truth.dim, folder, name)
    held = repair.read(folder, name, truth.dim)
    if held is None:
        sys.exit("what was written is not read")
    return held


def peak_mb() -> int:
    """Measure the memory of this process at most, with what it maps."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def sizes(held: Searched, n_tracks: int) -> Iterator[tuple[str, float]]:
    """Count bytes a track."""
    main = held.main
    means = [main.means.values, main.means.scales]
    searched = [main.segments.ids, main.segments.starts, *means]
    near = [main.neighbours.ids, main.neighbours.cosines]
    codes = [one.to_bytes() for one in (main.lists, main.coarse) if one is not None]
    for name, arrays in (
        ("searched", [*searched, *codes]),
        ("of neighbours", near),
        ("exact", [main.segments.values, main.segments.scales]),
    ):
        yield f"bytes_a_track_{name}", sum(one.nbytes for one in arrays) / n_tracks


def more(
    held: Held, asked: Sequence[Asked], of: dict[int, int], rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, float]]]:
    """Ask in other ways."""
    ids = held.truth.ids
    for share in (0.1, 0.01, 0.001):
        chosen = np.sort(rng.choice(ids, round(share * len(ids)), replace=False))
        yield f"among {share:.1%}", compared(held, [one._replace(only=chosen) for one in asked], of)
    for n_segments in (1, 2, 3):
        cut = [
            one._replace(versions=[v[3 : 3 + n_segments] for v in one.versions]) for one in asked
        ]
        yield f"excerpts of {n_segments}", compared(held, cut, of)
    hours = [hour_from(asked, place) for place in range(0, len(asked), 4)]
    yield "an hour", compared(held, hours, of)


def hour_from(asked: Sequence[Asked], place: int) -> Asked:
    """Join queries to one of an hour; all versions of it hold the same ones, each whole."""
    parts: list[Sequence[Vectors]] = []
    while sum(len(versions[0]) for versions in parts) < HOUR_LENGTH:
        parts.append(asked[(place + len(parts)) % len(asked)].versions)
    joined = [np.concatenate(versions) for versions in zip(*parts, strict=True)]
    return asked[place]._replace(versions=joined)


def replaced(
    held: Held,
    asked: Sequence[Asked],
    of: dict[int, int],
    others: Iterator[Made],
    folder: Path,
) -> dict[str, float]:
    """Replace a third of the tracks by others and a thousand copies, write that, and ask again."""
    searched, truth, _ = held
    n_tracks = len(truth)
    asked_ids = {int(one.own[0]) for one in asked}
    gone = np.array([one for one in truth.ids[::3].tolist() if one not in asked_ids])
    n_others = len(gone) - N_COPIES
    came = [(n_tracks + m.track_id, m.turned.at(0)) for m in islice(others, n_others)]
    copy, first = asked[0].versions[0], n_tracks + 10 * n_others
    came += [(first + i, copy) for i in range(N_COPIES)]
    start = time.process_time()
    later = searched.changed(gone, came)
    name = repair.Name(2, 1)
    repair.write_again(later, later.tracks, folder, name)
    spent = time.process_time() - start
    again = repair.read(folder, name, searched.dim)
    if again is None:
        sys.exit("what was written is not read")
    is_left = ~np.isin(truth.ids, gone)
    places = np.flatnonzero(is_left).tolist()
    left = ((int(truth.ids[place]), truth.of(np.array([place]))) for place in places)
    both = Held.of(again, written(chain(left, came), searched.dim, folder / "later"))
    copies = np.arange(first, first + N_COPIES)
    without = [one._replace(own=np.concatenate([one.own, copies])) for one in asked]
    of_left = {key: of[key] for key in of.keys() - set(gone.tolist())}
    found = compared(both, without, of_left)
    among = compared(both, asked[:1], of_left)
    return {"cpu_s_merged": spent, **found, "recall_100_of_copies": among["recall_100"]}


def added(held: Searched, stored: Callable[[], Iterator[tuple[int, Vectors]]]) -> float:
    """Add twenty tracks and ask for one of them: CPU seconds."""
    twenty = list(islice(stored(), 20))
    start = time.process_time()
    for track_id, vectors in twenty:
        held.add(10_000_000 + track_id, vectors)
    if 10_000_001 not in held.nearest([twenty[0][1]], 10):
        sys.exit("a track that was added is not found")
    return time.process_time() - start


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", type=Path, required=True, metavar="CATALOG")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--asked", type=int, default=120, help="real tracks that can be asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", action="store_true", help="ask in other ways too")
    parser.add_argument("--scratch", type=Path, help="where 30 kB a track are kept meanwhile")
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    embedder = load_embedder(None, "cpu")
    ranking = ranking_from(embedder.ranking)
    works = gather(options.works, embedder, ranking.tempos, options.asked)
    command = "scripts/bench/scale.py --works CATALOG..."  # their places are of this machine
    command += f" --tracks {options.tracks} --queries {options.queries} --seed {options.seed}"
    command += " --more" if options.more else ""
    about = {**asdict(trace(command)), "embedder": embedder.name}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for name, figure in measure(works, ranking, options, Path(scratch)):
            figures[name] = figure
            print(f"{name}: {json.dumps(figure)}", flush=True)
    if options.out:
        tables = [(name, one) for name, one in figures.items() if isinstance(one, dict)]
        found = {
            **about,
            "figures": {name: one for name, one in figures.items() if not isinstance(one, dict)},
            "statistics": {name: one for name, one in tables if "lag_1" in one},
            "searches": {name: one for name, one in tables if "recall_100" in one},
        }
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
