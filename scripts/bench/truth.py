"""Vectors as they are, in a file: what a vector file of codes is compared with.

Letters: D embedding, N tracks.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.exact import Segments
from indexer.hubs import directions, neighbours
from indexer.searched import Searched

Vectors = NDArray[np.float32]


class Held(NamedTuple):
    """What is searched, and beside it the vectors as they are, and the directions of the tracks."""

    searched: Searched
    truth: Segments
    rows: Vectors

    @classmethod
    def of(cls, searched: Searched, truth: Segments) -> "Held":
        """Work out the directions, some thousand tracks at a time."""
        rows = []
        for first in range(0, len(truth), 1_000):
            block = truth.starts[first : first + 1_001]
            sums = np.add.reduceat(truth.values[block[0] : block[-1]], block[:-1] - block[0])
            rows.append(sums / np.diff(block)[:, None])
        return cls(searched, truth, directions(np.concatenate(rows)))

    def hubness(self, track_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Measure how near tracks are to their nearest ten, by comparing them with all."""
        places = self.truth.places_of(track_ids)
        return neighbours(track_ids, self.rows[places], self.truth.ids, self.rows).hubness()


def written(tracks: Iterable[tuple[int, Vectors]], dim: int, path: Path) -> Segments:
    """Write vectors as they are to a file, and map it; in order of their ids."""
    ids, lengths = [], []
    with path.open("wb") as file:
        for track_id, vectors in tracks:
            ids.append(track_id)
            lengths.append(len(vectors))
            file.write(np.ascontiguousarray(vectors, np.float32).data)
    values = np.memmap(path, np.float32, "r").reshape(-1, dim)
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    return Segments(np.array(ids, np.int64), starts, values, np.zeros(0, np.float32), dim)
