"""Discogs-VI-YT: cliques found in the metadata of Discogs, matched to YouTube.

Audio is fetched by each user and rots; what is missing is counted beside every figure.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrieval.benchmarks import published
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    by_stem,
    choose,
    refuse_choice,
    require_counts,
    require_folder,
    require_unique,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="discogs_vi",
    title="Discogs-VI-YT (20240701)",
    licence="CC BY-NC-SA 4.0 for the metadata; the recordings are in copyright",
    citation="Araz, Serra and Bogdanov, 'Discogs-VI: A musical version identification dataset "
    "based on public editorial metadata', ISMIR 2024",
    source="https://doi.org/10.5281/zenodo.13983028",
    layout=(
        "`Discogs-VI-YT-20240701-light.json.test` (or `.val`, `.train`, or the whole `.json`) in "
        "the root or its folder `main`; audio anywhere below the root as `<YouTube id>.<ext>`"
    ),
    subsets=("test", "val", "train", "all"),
    expected={"all": (493_049, 98_785)},  # the splits' counts are checked against nothing
    published=published.DISCOGS_VI,
)

_STEMS = ("Discogs-VI-YT-20240701-light.json", "Discogs-VI-YT-light-20240701.json")
_FOLDERS = (".", "main", "metadata")


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read a split of Discogs-VI-YT.

    Parameters
    ----------
    root : Path
        The folder of lists and audio.
    subset : str, optional
        `test` (the default), `val`, `train` or `all`.
    convention : None
        There is none.

    Returns
    -------
    Benchmark
        Names are version ids of Discogs-VI, `V-...`; works are its clique ids, `C-...`.

    Raises
    ------
    BenchmarkError
        If the list is absent or malformed, or the counts are not those published.
    """
    refuse_choice(CARD.name, convention, "convention")
    subset = choose(CARD.name, subset, CARD.subsets, "subset")
    root = require_folder(root, CARD)
    files = by_stem(root)
    performances = tuple(_performances(_list(root, subset), files))
    require_unique(CARD, [p.name for p in performances])
    if subset in CARD.expected:
        require_counts(CARD, subset, performances)
    used = {p.path for p in performances}
    return Benchmark(
        card=CARD,
        root=root,
        performances=performances,
        subset=subset,
        extra_files=tuple(path for path in files.values() if path not in used),
    )


def _list(root: Path, subset: str) -> Path:
    ending = "" if subset == "all" else f".{subset}"
    places = [root / folder / f"{stem}{ending}" for folder in _FOLDERS for stem in _STEMS]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise BenchmarkError(f"no such file; {CARD.name} expects {CARD.layout}", places[0])
    return found


def _performances(path: Path, files: dict[str, Path]) -> Iterator[Performance]:
    try:
        cliques = json.loads(path.read_text(encoding="utf-8"))
        for clique, versions in cliques.items():
            for version in versions:
                yield _performance(clique, version, files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(
            f"not cliques of versions with `version_id` and `youtube_id` "
            f"({type(error).__name__}: {error})",
            path,
        ) from error


def _performance(clique: str, version: dict[str, Any], files: dict[str, Path]) -> Performance:
    youtube_id = str(version["youtube_id"])
    return Performance(
        name=str(version["version_id"]),
        work=clique,
        path=files.get(youtube_id),
        title=version.get("track_title"),
        address=f"https://www.youtube.com/watch?v={youtube_id}",
    )
