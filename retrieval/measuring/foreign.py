"""Other people's embeddings or distances, in a file, scored by the same code as ours.

The file is a NumPy `.npz` or an HDF5 `.h5` with `ids`, the names of N performances as the
benchmark has them, and one of

- `embeddings`, shape (N, D): compared by cosine,
- `distances`, shape (N, N): row asks, column answers; lower is better,
- `scores`, shape (N, N): the same; higher is better.

Letters: N performances, D embedding.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EmbeddingsFileError
from retrieval.measuring.scorers import MatrixScorer, VectorScorer

_KINDS = ("embeddings", "distances", "scores")


def read_embeddings(path: Path) -> VectorScorer | MatrixScorer:
    """Read a file of embeddings, distances or scores.

    Parameters
    ----------
    path : Path
        With the ending `.npz` or `.h5`.

    Returns
    -------
    VectorScorer or MatrixScorer
        For `evaluate`.

    Raises
    ------
    EmbeddingsFileError
        If the file cannot be read, or its arrays do not fit each other, name something twice, or
        hold values that are no numbers.
    """
    arrays = _read(path)
    kinds = [kind for kind in _KINDS if kind in arrays]
    if "ids" not in arrays or len(kinds) != 1:
        raise EmbeddingsFileError(
            f"expected `ids` with one of `embeddings`, `distances` and `scores`, "
            f"found {', '.join(f'`{name}`' for name in sorted(arrays)) or 'nothing'}",
            path,
        )
    names = _names(path, arrays["ids"])
    values = _values(path, kinds[0], arrays[kinds[0]], len(names))
    if kinds[0] == "embeddings":
        _require_directions(path, names, values)
        return VectorScorer(names=names, embeddings=values)
    return MatrixScorer(names=names, scores=-values if kinds[0] == "distances" else values)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix not in {".npz", ".h5", ".hdf5"}:
        raise EmbeddingsFileError("expected a file with the ending .npz or .h5", path)
    try:
        return _read_npz(path) if path.suffix == ".npz" else _read_h5(path)
    except Exception as error:  # a stranger's file makes its readers raise anything
        raise EmbeddingsFileError(f"cannot be read ({error})", path) from error


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in ("ids", *_KINDS) if name in file}


def _read_h5(path: Path) -> dict[str, NDArray[Any]]:
    import h5py

    with h5py.File(path) as file:
        return {name: np.asarray(file[name]) for name in ("ids", *_KINDS) if name in file}


def _names(path: Path, ids: NDArray[Any]) -> list[str]:
    if ids.ndim != 1 or not len(ids):
        raise EmbeddingsFileError(
            f"`ids` should be a list of names, not of shape {ids.shape}", path
        )
    names = [one.decode() if isinstance(one, bytes) else str(one) for one in ids.tolist()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise EmbeddingsFileError(
            f"`ids` names {len(twice)} performances more than once, {twice[0]!r} first", path
        )
    return names


def _values(path: Path, kind: str, values: NDArray[Any], n_names: int) -> NDArray[np.float32]:
    is_matrix = kind != "embeddings"
    wanted = f"({n_names}, {n_names if is_matrix else 'D'})"
    fits = values.ndim == 2 and len(values) == n_names and values.shape[1] > 0
    if not fits or (is_matrix and values.shape[1] != n_names):
        raise EmbeddingsFileError(
            f"`{kind}` should have the shape {wanted} for {n_names} ids, not {values.shape}", path
        )
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise EmbeddingsFileError(f"`{kind}` holds {values.dtype}, not numbers", path)
    floats = values.astype(np.float32)
    bad = int((~np.isfinite(floats)).any(axis=1).sum())
    if bad:
        raise EmbeddingsFileError(
            f"{bad} rows of `{kind}` hold NaN or infinity, so they have no ranking", path
        )
    return floats


def _require_directions(path: Path, names: list[str], values: NDArray[np.float32]) -> None:
    zero = np.flatnonzero(~values.any(axis=1))
    if len(zero):
        raise EmbeddingsFileError(
            f"{len(zero)} embeddings are all zero, that of {names[zero[0]]!r} first; "
            f"leave out what has none",
            path,
        )
