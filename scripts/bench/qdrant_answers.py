#!/usr/bin/env python
"""Compare the answers of a catalog whose vectors are in a file with those from Qdrant's core.

    pip install qdrant-edge-py
    scripts/bench/qdrant_answers.py CATALOG [--queries 100] [--out STEM]

CATALOG is a catalog whose tracks lie in a folder for each work. Tracks that have a cover ask it
with everything on: tempos, hubs, neighbours, alignment. Then its vectors are moved, in a copy, and
the same queries are asked again. Figures: of how many queries the first ten answers are the same
tracks, and in the same order; how far scores are apart. With --out, they are written to STEM.json.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from edge import Edge
from tqdm import tqdm

from indexer import Catalog, Track, afar
from pemr import load_embedder
from retrieval.ranking.candidate import Candidate
from retrieval.ranking.query import track_query
from retrieval.ranking.ranking import ranking_from
from retrieval.ranking.searching import search
from retrieval.reporting.provenance import trace

N_FIRST = 10


def drawn(catalog: Catalog, n_queries: int, seed: int) -> list[Track]:
    """Draw tracks that have a cover in the catalog."""
    tracks = [track for track in catalog.tracks() if track.n_segments]
    sizes = Counter(track.path.parent for track in tracks)
    covered = [track for track in tracks if sizes[track.path.parent] > 1]
    order = np.random.default_rng(seed).permutation(len(covered))[:n_queries]
    return [covered[place] for place in order]


def compared(
    mine: Sequence[Sequence[Candidate]], theirs: Sequence[Sequence[Candidate]]
) -> dict[str, Any]:
    """Compare two lists of answers to each query."""
    ids = [
        ([c.track_id for c in one], [c.track_id for c in two])
        for one, two in zip(mine, theirs, strict=True)
    ]
    apart = [
        abs(one.score - {c.track_id: c.score for c in two}.get(one.track_id, np.nan))
        for first, two in zip(mine, theirs, strict=True)
        for one in first
    ]
    return {
        "queries": len(ids),
        "first_10_same_tracks": float(np.mean([set(one) == set(two) for one, two in ids])),
        "first_10_same_order": float(np.mean([one == two for one, two in ids])),
        "scores_apart_max": float(np.nanmax(apart)),
    }


def main() -> None:
    """Parse, ask twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write STEM.json")
    options = parser.parse_args()
    command = f"scripts/bench/qdrant_answers.py CATALOG --queries {options.queries}"
    embedder = load_embedder(None, "cpu")
    ranking = ranking_from(embedder.ranking)
    about = {**asdict(trace(command)), "embedder": embedder.name, "ranking": asdict(ranking)}
    about["core"] = f"qdrant-edge-py {version('qdrant-edge-py')}"
    with tempfile.TemporaryDirectory() as folder:
        copy, core = Path(folder) / "catalog", Edge(Path(folder) / "core")
        shutil.copytree(options.catalog, copy)
        afar.connect = lambda _: core
        with Catalog.open(copy, embedder.name) as catalog:
            tracks = drawn(catalog, options.queries, options.seed)
            asked = [track_query(catalog, embedder, one, ranking) for one in tqdm(tracks)]
            mine = [search(catalog, query, ranking) for query in tqdm(asked)]
            n_tracks = catalog.n_sounding()
        with Catalog.write(copy) as writer:
            writer.keep_vectors("qdrant://in.process/tracks")
            writer.flush()
            core.settle()
            theirs = [search(writer, query, ranking) for query in tqdm(asked)]
    found = {**about, "figures": {"tracks": n_tracks, **compared(mine, theirs)}}
    print(json.dumps(found["figures"], indent=1))
    if options.out:
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
