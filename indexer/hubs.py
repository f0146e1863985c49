"""Which ten tracks are nearest to each track, kept so that nobody compares all with all again.

How near a track is to its own nearest tracks tells a hub, which answers every query
(`retrieval.ranking.hubs`). The ten nearest of each track are found once, and joined with what is
new since.

Letters: D embedding, N tracks held, K tracks asked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

N_NEIGHBOURS = 10
_COSINES_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest tracks of each of K tracks, in no order.

    Parameters
    ----------
    ids : int64 array, shape (K, 10)
        -1 where there are fewer.
    cosines : float32 array, shape (K, 10)
        Of mean embeddings; minus infinity where there are fewer.
    """

    ids: Ids
    cosines: Vectors

    def hubness(self) -> NDArray[np.float64]:
        """Average the cosines of each track, float64 (K,); 0 for a track that is alone."""
        is_there = np.isfinite(self.cosines)
        total = np.sum(self.cosines, axis=1, where=is_there, dtype=np.float64)
        return np.asarray(total / np.maximum(is_there.sum(axis=1), 1))

    def of(self, places: Ids) -> "Neighbours":
        """Keep those of some of the tracks."""
        return Neighbours(self.ids[places], self.cosines[places])

    def joined(self, other: "Neighbours") -> "Neighbours":
        """Keep the nearest ten of two lists for each track, which have no track in common."""
        ids = np.concatenate([self.ids, other.ids], axis=1)
        cosines = np.concatenate([self.cosines, other.cosines], axis=1)
        kept = np.argpartition(-cosines, N_NEIGHBOURS - 1, axis=1)[:, :N_NEIGHBOURS]
        return Neighbours(
            np.take_along_axis(ids, kept, axis=1), np.take_along_axis(cosines, kept, axis=1)
        )


def unknown(n_tracks: int) -> Neighbours:
    """Make the lists of so many tracks that have no neighbours."""
    shape = (n_tracks, N_NEIGHBOURS)
    return Neighbours(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))


def directions(means: Vectors) -> Vectors:
    """Bring vectors (N, D) to unit length; those that are all zero stay so."""
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def neighbours(asked_ids: Ids, asked: Vectors, held_ids: Ids, held: Vectors) -> Neighbours:
    """Find the ten nearest of the tracks held for each of the tracks asked.

    Parameters
    ----------
    asked_ids, held_ids : int64 arrays, shapes (K,) and (N,)
        A track is no neighbour of its own; those held ascend.
    asked, held : float32 arrays, shapes (K, D) and (N, D)
        From `directions`.

    Returns
    -------
    Neighbours
    """
    found = unknown(len(asked))
    if not len(held):
        return found
    n_at_once = max(1, _COSINES_AT_ONCE // len(held))
    n_kept = min(N_NEIGHBOURS, len(held))
    for first in range(0, len(asked), n_at_once):
        block = slice(first, first + n_at_once)
        of_block = asked[block] @ held.T  # (block, N)
        places = np.searchsorted(held_ids, asked_ids[block])
        places = np.minimum(places, len(held) - 1)
        own = np.flatnonzero(held_ids[places] == asked_ids[block])
        of_block[own, places[own]] = -np.inf
        nearest = np.argpartition(of_block, len(held) - n_kept, axis=1)[:, len(held) - n_kept :]
        found.cosines[block, :n_kept] = np.take_along_axis(of_block, nearest, axis=1)
        found.ids[block, :n_kept] = held_ids[nearest]
    found.ids[np.isneginf(found.cosines)] = -1
    return found
