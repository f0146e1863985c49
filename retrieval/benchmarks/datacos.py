"""Da-TACOS: metadata and features of 15,000 and 10,000 performances, without audio.

Its chroma (HPCP, or CREMA) at 86.1 frames a second is brought to the 5 frames a second that our
alignment and the `ftm2d` embedder read. Works of one performance are noise: they answer and never
ask, unlike in the code of the data set's authors, which counts them as found at rank 1.

Letters: T frames at 5 a second, S segments, D embedding.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.benchmarks import published
from retrieval.benchmarks.base import (
    Benchmark,
    Card,
    Performance,
    choose,
    require_counts,
    require_file,
    require_folder,
    require_unique,
)
from retrieval.errors import BenchmarkError

CARD = Card(
    name="datacos",
    title="Da-TACOS",
    licence="CC BY-NC-SA 4.0",
    citation="Yesiler et al., 'Da-TACOS: A dataset for cover song identification and "
    "understanding', ISMIR 2019",
    source="https://mtg.github.io/da-tacos/",
    layout=(
        "`da-tacos_metadata/da-tacos_benchmark_subset_metadata.json` and "
        "`da-tacos_benchmark_subset_hpcp/W_<work>_hpcp/P_<performance>_hpcp.h5` (or `crema`, or "
        "`da-tacos_benchmark_subset_single_files/W_<work>/P_<performance>.h5`); likewise with "
        "`coveranalysis`"
    ),
    subsets=("benchmark", "coveranalysis"),
    conventions=("hpcp", "crema"),
    expected={"benchmark": (15_000, 3_000), "coveranalysis": (10_000, 5_000)},
    published=published.DA_TACOS,
    has_audio=False,
)

FRAME_RATE = 5.0  # of our chroma, in Hz
_FEATURE_RATE = 44_100 / 512  # of theirs
_FIRST_PITCH = {"hpcp": 9, "crema": 0}  # pitch class of the first bin: A, C
_MAX_SHARE_LOST = 0.01  # frames with values that are no numbers, before a file is refused


def load(root: Path, subset: str | None = None, convention: str | None = None) -> Benchmark:
    """Read a subset of Da-TACOS.

    Parameters
    ----------
    root : Path
        The folder that its download script unpacks into.
    subset : str, optional
        `benchmark` (the default) or `coveranalysis`.
    convention : str, optional
        The feature: `hpcp` (the default) or `crema`.

    Returns
    -------
    Benchmark
        Names are `P_...`, works `W_...`; paths are those of `.h5` files.

    Raises
    ------
    BenchmarkError
        If the metadata is absent or malformed, or the counts are not those published.
    """
    subset = choose(CARD.name, subset, CARD.subsets, "subset")
    feature = choose(CARD.name, convention, CARD.conventions, "feature")
    root = require_folder(root, CARD)
    stem = f"da-tacos_{subset}_subset"
    places = [root / folder / f"{stem}_metadata.json" for folder in ("da-tacos_metadata", ".")]
    path = require_file(next((p for p in places if p.is_file()), places[0]), CARD)
    performances = tuple(
        _performance(name, work, about, _file(root / stem, work, name, feature))
        for work, clique in _metadata(path).items()
        for name, about in clique.items()
    )
    require_unique(CARD, [p.name for p in performances])
    require_counts(CARD, subset, performances)
    return Benchmark(
        card=CARD, root=root, performances=performances, subset=subset, convention=feature
    )


def _metadata(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        metadata: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text("utf-8"))
        own_names = {
            (work, name): (about["work_id"], about["perf_id"])
            for work, clique in metadata.items()
            for name, about in clique.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(
            f"not the metadata of works and performances ({type(error).__name__}: {error})", path
        ) from error
    odd = next((key for key, own in own_names.items() if key != own), None)
    if odd is not None:
        raise BenchmarkError(f"{'/'.join(odd)} calls itself {'/'.join(own_names[odd])}", path)
    return metadata


def _file(stem: Path, work: str, name: str, feature: str) -> Path | None:
    """Find the features of a performance in either of the two layouts."""
    places = (
        stem.with_name(f"{stem.name}_{feature}") / f"{work}_{feature}" / f"{name}_{feature}.h5",
        stem.with_name(f"{stem.name}_single_files") / work / f"{name}.h5",
    )
    return next((place for place in places if place.is_file()), None)


def _performance(name: str, work: str, about: dict[str, Any], path: Path | None) -> Performance:
    return Performance(
        name=name,
        work=work,
        path=path,
        title=about.get("perf_title"),
        artist=about.get("perf_artist"),
        address=f"https://secondhandsongs.com/performance/{name.removeprefix('P_')}",
    )


def read_chroma(path: Path, feature: str) -> NDArray[np.uint8]:
    """Read the chroma of one performance and bring it to 5 frames a second.

    Parameters
    ----------
    path : Path
        An `.h5` file of the data set.
    feature : str
        `hpcp` or `crema`.

    Returns
    -------
    uint8 array, shape (12, T)
        Row 0 is C; each frame that is not silent has the maximum 255.

    Raises
    ------
    BenchmarkError
        If the file holds no such feature.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            values = np.asarray(file[feature], dtype=np.float64)  # (frames, 12)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BenchmarkError(f"no {feature} in it ({error})", path) from error
    if values.ndim != 2 or values.shape[1] != 12 or not len(values):
        raise BenchmarkError(f"{feature} should be (frames, 12), not {values.shape}", path)
    lost = ~np.isfinite(values).all(axis=1)
    if lost.mean() > _MAX_SHARE_LOST:
        raise BenchmarkError(f"{lost.mean():.0%} of the frames of {feature} are no numbers", path)
    values[lost] = 0.0
    return _slower(np.roll(values, _FIRST_PITCH[feature], axis=1).T)


def _slower(chroma: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Average the frames of each fifth of a second, (12, frames) to (12, T)."""
    n_frames = max(1, int(chroma.shape[1] / _FEATURE_RATE * FRAME_RATE))
    edges = np.linspace(0, chroma.shape[1], n_frames + 1)[:-1].astype(np.int64)
    sums = np.add.reduceat(np.maximum(chroma, 0.0), edges, axis=1)
    loudest = sums.max(axis=0)
    scaled: NDArray[np.uint8] = np.rint(sums * (255 / np.maximum(loudest, 1e-9))).astype(np.uint8)
    return scaled


def read_parts(path: Path, convention: str | None) -> dict[str, NDArray[np.uint8]]:
    """Read the features of one performance, for `Embedder.restore`.

    Parameters
    ----------
    path : Path
        As for `read_chroma`.
    convention : str
        The feature.

    Returns
    -------
    dict
        Chroma alone.

    Raises
    ------
    BenchmarkError
        As `read_chroma` does.
    """
    return {"chroma": read_chroma(path, convention or CARD.conventions[0])}
