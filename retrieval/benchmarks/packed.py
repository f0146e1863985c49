"""Recordings as features: packed spectrogram, chroma and harmony, without their sound.

A folder with ``cliques.csv`` (columns `file` and `work`) and the `.npz` files that it names. A work
with a single recording is noise.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from indexer import N_ROWS
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    read_table,
    refuse_choice,
    require_file,
    require_unique,
)
from retrieval.errors import BenchmarkError

LIST: Final = "cliques.csv"
CARD = Card(
    name="packed",
    title="A folder of packed recordings",
    licence="that of the recordings",
    citation="none",
    source="your own",
    layout="cliques.csv with the columns `file` and `work`, and the .npz files that it names",
    has_audio=False,
)


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read the list of a folder of packed recordings.

    Parameters
    ----------
    root : Path
        The folder.
    subset, convention : None
        There are none.

    Returns
    -------
    Benchmark
        Names are those of the files without their ending.

    Raises
    ------
    BenchmarkError
        If the list is absent or malformed, names a file twice, or pairs nothing.
    """
    refuse_choice(CARD.name, subset, "subset")
    refuse_choice(CARD.name, convention, "convention")
    path = require_file(root / LIST, CARD).absolute()
    rows = read_table(path, "file", "work")
    performances = tuple(_performance(path.parent, row) for row in rows)
    require_unique(CARD, [p.name for p in performances])
    if len({p.work for p in performances}) == len(performances):
        raise BenchmarkError("no work has two recordings, so there is nothing to measure", path)
    return Benchmark(card=CARD, root=path.parent, performances=performances)


def _performance(folder: Path, row: Mapping[str, str]) -> Performance:
    if Path(row["file"]).name != row["file"]:
        raise BenchmarkError(f"{row['file']!r} of work {row['work']!r} is no row", folder / LIST)
    path = folder / row["file"]
    return Performance(
        name=path.stem, work=row["work"], path=path if path.is_file() else None, title=path.stem
    )


def read_parts(path: Path, convention: str | None = None) -> dict[str, Any]:  # noqa: ARG001 (features have none)
    """Read what is kept of one recording, for `Embedder.restore`.

    Parameters
    ----------
    path : Path
        `.npz` with `chroma`, uint8 (12, T), and, where there are any, `spectrogram` (84, T) and
        `harmony` (36, T), 5 frames a second.
    convention : None
        There are none.

    Returns
    -------
    dict
        The arrays by name.

    Raises
    ------
    BenchmarkError
        If the file cannot be read, or an array has another shape or type.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in N_ROWS if name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BenchmarkError(f"no packed recording ({error})", path) from error
    if "chroma" not in parts:
        raise BenchmarkError("no chroma in it", path)
    n_frames = parts["chroma"].shape[-1]
    for name, part in parts.items():
        if part.dtype != np.uint8 or part.shape != (N_ROWS[name], n_frames):
            expected = f"uint8 ({N_ROWS[name]}, {n_frames})"
            raise BenchmarkError(
                f"{name} should be {expected}, not {part.dtype} {part.shape}", path
            )
    return parts
