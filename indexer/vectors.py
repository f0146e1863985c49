"""Vectors with ids of their own to the nearest of them: the only module that imports faiss.

Letters: D embedding, N vectors held, Q queries, K hits.
"""

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

_GPU_MAX_HITS = 2048
"""The longest list that FAISS makes on a GPU."""


class VectorIndex:
    """Unit vectors under ids of the caller's choice, searched exactly by inner product.

    The index lives in memory on the CPU, where vectors can be removed; a GPU, where there is one,
    holds a copy that answers searches and is thrown away when the vectors change.

    Parameters
    ----------
    dim : int
        Length D of a vector.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._on_gpu: Any = None

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def ids(self) -> Ids:
        """The ids held, in order of their vectors, shape (N,)."""
        held: Ids = faiss.vector_to_array(self._index.id_map)
        return held

    @property
    def vectors(self) -> Vectors:
        """The vectors held, in order of `ids`, shape (N, D)."""
        held: Vectors = self._index.index.reconstruct_n(0, len(self))
        return held

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Take in vectors.

        Parameters
        ----------
        ids : int64 array, shape (N,)
            Not negative, each new and different.
        vectors : float32 array, shape (N, D)
            Of unit length.

        Raises
        ------
        ValueError
            If an id is held already or comes twice, or a shape is wrong.
        """
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.shape != (len(ids), self.dim):
            raise ValueError(f"expected shape {(len(ids), self.dim)}, not {vectors.shape}")
        if len(np.unique(ids)) < len(ids) or np.isin(ids, self.ids).any():
            raise ValueError("an id was added twice")  # faiss would take it silently
        if len(ids):
            self._index.add_with_ids(vectors, ids)
            self._on_gpu = None

    def remove(self, ids: Ids) -> int:
        """Forget some vectors; ids that are not held are passed over.

        Parameters
        ----------
        ids : int64 array, shape (N,)
            What to forget.

        Returns
        -------
        int
            How many were forgotten.
        """
        self._on_gpu = None
        return int(self._index.remove_ids(np.ascontiguousarray(ids, dtype=np.int64)))

    def search(self, queries: Vectors, n_hits: int) -> tuple[Ids, Vectors]:
        """Find the vectors with the greatest inner product to each query.

        Equal scores come in order of id, also where the list is cut, so that the answer does not
        depend on the order in which vectors were added.

        Parameters
        ----------
        queries : float32 array, shape (Q, D)
            Of unit length.
        n_hits : int
            The longest list wanted.

        Returns
        -------
        ids : int64 array, shape (Q, K)
            Best first; K is `n_hits`, or what the index holds where that is less.
        scores : float32 array, shape (Q, K)
            Cosine of the angle between query and vector.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(f"expected shape (Q, {self.dim}), not {queries.shape}")
        n_hits = min(n_hits, len(self))  # faiss would pad with id -1
        if not n_hits or not len(queries):
            return np.empty((len(queries), n_hits), np.int64), np.empty((len(queries), n_hits), "f")
        n_asked = n_hits
        while True:
            n_asked = min(n_asked + 1, len(self))
            scores, ids = self._nearest(queries, n_asked)
            is_cut_in_a_tie = (scores[:, n_hits - 1] == scores[:, -1]).any()
            if n_asked == len(self) or not is_cut_in_a_tie:
                break
            n_asked *= 2
        order = np.lexsort((ids, -scores))[:, :n_hits]
        return np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)

    def _nearest(self, queries: Vectors, n_hits: int) -> tuple[Vectors, Ids]:
        if n_hits > _GPU_MAX_HITS or not faiss.get_num_gpus():
            scores, ids = self._index.search(queries, n_hits)
            return scores, ids
        if self._on_gpu is None:
            self._on_gpu = faiss.index_cpu_to_all_gpus(self._index.index)
        scores, places = self._on_gpu.search(queries, n_hits)
        return scores, self.ids[places]

    def write(self, path: Path) -> None:
        """Write the index to a file, which is either the whole of it or what it was before.

        Parameters
        ----------
        path : Path
            The file.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        beside = path.with_name(path.name + ".part")
        try:
            beside.write_bytes(faiss.serialize_index(self._index).data)
            os.replace(beside, path)  # noqa: PTH105 (Path.replace is the same call)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path, dim: int) -> "VectorIndex | None":
        """Read an index from a file.

        Parameters
        ----------
        path : Path
            The file.
        dim : int
            Length D that its vectors must have.

        Returns
        -------
        VectorIndex or None
            None if there is no such file, or it is damaged or of another shape.
        """
        try:
            stored = faiss.deserialize_index(np.fromfile(path, dtype=np.uint8))
        except (OSError, RuntimeError):
            return None
        if type(stored) is not faiss.IndexIDMap2 or stored.d != dim:
            return None
        found = cls(dim)
        found._index = stored
        return found
