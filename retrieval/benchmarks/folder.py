"""A user's own folder: one sub-folder per work, with the performances of that work inside.

A work with a single performance is noise: it asks nothing but stays a candidate. So does audio
that lies directly in the root, each file a work of its own. A folder with a ``cliques.csv`` holds
packed recordings instead (`retrieval.benchmarks.packed`).
"""

from pathlib import Path

from retrieval.benchmarks import packed
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    audio_files,
    refuse_choice,
    require_folder,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="folder",
    title="A folder with one sub-folder per work",
    licence="that of the recordings",
    citation="none",
    source="your own",
    layout="one sub-folder per work, each with the audio files of its performances",
)


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read a folder of works.

    Parameters
    ----------
    root : Path
        The folder.
    subset, convention : None
        There are none.

    Returns
    -------
    Benchmark
        Names are paths relative to the root; works are names of sub-folders.

    Raises
    ------
    BenchmarkError
        If the folder is absent or no work in it has two performances.
    """
    refuse_choice(CARD.name, subset, "subset")
    refuse_choice(CARD.name, convention, "convention")
    root = require_folder(root, CARD)
    if (root / packed.LIST).is_file():
        return packed.load(root)
    performances = tuple(_performance(path, root) for path in audio_files(root))
    works = [p.work for p in performances]
    if len(works) == len(set(works)):
        raise BenchmarkError(
            f"no work has two performances, so there is nothing to measure; expected {CARD.layout}",
            root,
        )
    return Benchmark(card=CARD, root=root, performances=performances)


def _performance(path: Path, root: Path) -> Performance:
    inside = path.relative_to(root)
    name = inside.as_posix()
    is_loose = len(inside.parts) == 1
    return Performance(
        name=name,
        work=name if is_loose else inside.parts[0],
        path=path,
        title=path.stem,
    )
