"""Vectors to the nearest of them, quantised or not: the only module that imports faiss.

Letters: D embedding, M vectors held, Q queries, K hits.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Take = Callable[[bytes], object]

_N_PER_LIST = 1200  # vectors of an inverted list, about
_N_TRAINED_PER_LIST = 40
_MAX_LISTS = 4096
_N_ROUNDS = 8  # of k-means
_N_COARSE_TRAINED = 50_000


def products(queries: Vectors, rows: Vectors) -> Vectors:
    """Multiply every query with every row, on a GPU where there is one.

    Parameters
    ----------
    queries : float32 array, shape (Q, D)
    rows : float32 array, shape (M, D)

    Returns
    -------
    float32 array, shape (Q, M)
        Inner products.
    """
    if not len(queries) or not len(rows) or not has_gpu():
        return np.asarray(queries @ rows.T)
    multiply: Any = _faiss().pairwise_distance_gpu
    both = (np.ascontiguousarray(side, np.float32) for side in (queries, rows))
    return np.asarray(multiply(_gpu(), *both, metric=_faiss().METRIC_INNER_PRODUCT))


def centres(rows: Vectors, n_centres: int) -> Vectors:
    """Find so many directions that lie among some vectors as these do, float32 (C, D).

    Parameters
    ----------
    rows : float32 array, shape (M, D)
        Of unit length.
    n_centres : int
        C, at most M.
    """
    means = _faiss().Kmeans(
        rows.shape[1],
        n_centres,
        niter=_N_ROUNDS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_N_TRAINED_PER_LIST,
    )
    means.train(np.ascontiguousarray(rows))
    return np.asarray(means.centroids, np.float32)


@cache
def has_gpu() -> bool:
    """Whether there is a GPU; without a driver faiss is not loaded to ask it."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return bool(_faiss().get_num_gpus())


@cache
def _faiss() -> Any:  # noqa: ANN401 (it has no types)
    """Load faiss, which small catalogs can do without: it takes 0.1 s and 200 MB."""
    import faiss  # noqa: PLC0415

    return faiss


@cache
def _gpu() -> Any:  # noqa: ANN401 (faiss has no types)
    return _faiss().StandardGpuResources()


class SegmentLists:
    """Quantised segments in inverted lists, which name the tracks that hold the nearest ones.

    A vector takes a byte for every four of its values, and eight bytes for its track.

    Parameters
    ----------
    index : faiss.IndexIVFPQFastScan
        Trained.
    """

    def __init__(self, index: Any) -> None:  # noqa: ANN401 (faiss has no types)
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @classmethod
    def trained(cls, sample: Vectors, n_vectors: int) -> Self:
        """Learn lists and codes that suit some vectors.

        Parameters
        ----------
        sample : float32 array, shape (M, D)
            A fair sample of what will be held.
        n_vectors : int
            How many there will be.

        Returns
        -------
        SegmentLists
            Empty.
        """
        n_lists = 1 << int(np.log2(max(1, n_vectors / _N_PER_LIST)))
        n_lists = min(n_lists, _MAX_LISTS, max(1, len(sample) // _N_TRAINED_PER_LIST))
        dim = sample.shape[1] + -sample.shape[1] % 4
        index = _faiss().IndexIVFPQFastScan(
            _faiss().IndexFlatIP(dim), dim, n_lists, dim // 2, 4, _faiss().METRIC_INNER_PRODUCT
        )
        index.cp.min_points_per_centroid = 1
        index.pq.cp.min_points_per_centroid = 1
        index.train(_padded(sample, dim))
        return cls(index)

    @staticmethod
    def sample_length(n_vectors: int) -> int:
        """How many vectors `trained` has use for, of so many."""
        n_lists = min(_MAX_LISTS, n_vectors // _N_PER_LIST)
        return min(n_vectors, max(20_000, _N_TRAINED_PER_LIST * n_lists))

    def add(self, track_ids: Ids, vectors: Vectors) -> None:
        """Take in segments, each under the id of its track; shapes (M,) and (M, D)."""
        if len(vectors):
            self._index.add_with_ids(
                _padded(vectors, self._index.d), np.ascontiguousarray(track_ids)
            )

    def remove(self, track_ids: Ids) -> None:
        """Forget the segments of some tracks."""
        self._index.remove_ids(_faiss().IDSelectorBatch(np.ascontiguousarray(track_ids)))

    def search(self, queries: Vectors, n_hits: int, n_probes: int) -> Ids:
        """Name the tracks that hold the segments nearest to any of the queries.

        Parameters
        ----------
        queries : float32 array, shape (Q, D)
            Of unit length.
        n_hits : int
            The longest list of segments for each query.
        n_probes : int
            How many inverted lists are looked into.

        Returns
        -------
        int64 array
            Ascending, each once.
        """
        if not len(queries):
            return np.empty(0, np.int64)
        how: Any = _faiss().SearchParametersIVF()
        how.nprobe = n_probes
        _, found = self._index.search(_padded(queries, self._index.d), n_hits, params=how)
        return np.unique(found[found >= 0])  # faiss pads with -1

    def to_bytes(self) -> NDArray[np.uint8]:
        """Write it, to be kept in a file."""
        found: NDArray[np.uint8] = _faiss().serialize_index(self._index)
        return found

    def write_to(self, take: Take) -> None:
        """Write the same, piece by piece: a copy of it may not find room in memory."""
        _faiss().write_index(self._index, _faiss().PyCallbackIOWriter(take))

    @classmethod
    def from_bytes(cls, stored: NDArray[np.uint8]) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(_read(stored))


class CoarseCodes:
    """Rows of many tracks in a byte for every four values, to be looked through as a whole.

    Parameters
    ----------
    index : faiss.IndexPQFastScan
        Holds a row for each place.
    """

    def __init__(self, index: Any) -> None:  # noqa: ANN401 (faiss has no types)
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @classmethod
    def of(cls, rows: Vectors) -> Self:
        """Quantise rows, float32 (M, D), in their order."""
        sample = rows[:: max(1, len(rows) // _N_COARSE_TRAINED)]
        dim = rows.shape[1] + -rows.shape[1] % 8
        index = _faiss().IndexPQFastScan(dim, dim // 2, 4, _faiss().METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1
        index.train(_padded(sample, dim))
        for first in range(0, len(rows), _N_COARSE_TRAINED):
            index.add(_padded(rows[first : first + _N_COARSE_TRAINED], dim))
        return cls(index)

    def search(self, queries: Vectors, n_hits: int) -> Ids:
        """Name the places of the rows with the greatest products with any of the queries.

        Parameters
        ----------
        queries : float32 array, shape (Q, D)
            As long as the rows.
        n_hits : int
            The longest list for each query.

        Returns
        -------
        int64 array
            Ascending, each once.
        """
        _, found = self._index.search(_padded(queries, self._index.d), n_hits)
        return np.unique(found[found >= 0])

    def to_bytes(self) -> NDArray[np.uint8]:
        """Write it, to be kept in a file."""
        found: NDArray[np.uint8] = _faiss().serialize_index(self._index)
        return found

    def write_to(self, take: Take) -> None:
        """Write the same, piece by piece: a copy of it may not find room in memory."""
        _faiss().write_index(self._index, _faiss().PyCallbackIOWriter(take))

    @classmethod
    def from_bytes(cls, stored: NDArray[np.uint8]) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(_read(stored))


def _read(stored: NDArray[np.uint8]) -> Any:  # noqa: ANN401 (faiss has no types)
    """Read an index bit by bit: `deserialize_index` would hold another copy of it meanwhile."""
    content = memoryview(np.ascontiguousarray(stored).data)
    place = 0

    def next_bytes(n_bytes: int) -> bytes:
        nonlocal place
        some = content[place : place + n_bytes].tobytes()
        place += len(some)
        return some

    return _faiss().read_index(_faiss().PyCallbackIOReader(next_bytes))


def _padded(rows: Vectors, dim: int) -> Vectors:
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, dim - rows.shape[1]))))
