"""Which ten tracks are nearest to each track, kept so that nobody compares all with all again.

How near a track is to its own nearest tracks tells a hub, which answers every query
(`retrieval.ranking.hubs`). The ten nearest of each track are found once, and joined with what is
new since.

Letters: D embedding, N tracks held, K tracks asked, C lists, P lists looked into.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.vectors import centres

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

N_NEIGHBOURS = 10
COMPARED_LENGTH = 300_000
"""Tracks that are all compared with all; of more, each with those of its nearest lists."""

_COSINES_AT_ONCE = 1 << 24
_N_IN_GROUP = 32
_ROWS_AT_ONCE = 1 << 13
_ASKED_AT_ONCE = 1 << 17
_LIST_LENGTH = 50  # tracks, about,
_MAX_LISTS = 4096
_N_COMPARED = 12_500  # tracks with which each is compared among 10^5, growing as the square root


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


def directions(means: Vectors, out: Vectors | None = None) -> Vectors:
    """Bring vectors (N, D) to unit length, in a place for them or a new one; zeros stay so."""
    found = np.empty(means.shape, np.float32) if out is None else out
    for first in range(0, len(means), _ROWS_AT_ONCE):
        some = means[first : first + _ROWS_AT_ONCE]
        lengths = np.linalg.norm(some, axis=1, keepdims=True)
        found[first : first + len(some)] = some / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found


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
    for first in range(0, len(asked), n_at_once):
        block = slice(first, first + n_at_once)
        of_block = asked[block] @ held.T  # (block, N)
        places = np.searchsorted(held_ids, asked_ids[block])
        places = np.minimum(places, len(held) - 1)
        own = np.flatnonzero(held_ids[places] == asked_ids[block])
        of_block[own, places[own]] = -np.inf
        nearest = _greatest(of_block)
        n_kept = nearest.shape[1]
        found.cosines[block, :n_kept] = np.take_along_axis(of_block, nearest, axis=1)
        found.ids[block, :n_kept] = held_ids[nearest]
    found.ids[np.isneginf(found.cosines)] = -1
    return found


def _greatest(cosines: Vectors) -> Ids:
    """Find the columns of the ten greatest of each row, (K, 10), or of all where there are fewer.

    Those are in the ten groups of columns that have the greatest at all, which are found sooner.
    """
    n_held = cosines.shape[1]
    width = n_held // _N_IN_GROUP
    if width <= N_NEIGHBOURS:
        n_kept = min(N_NEIGHBOURS, n_held)
        return np.argpartition(cosines, n_held - n_kept, axis=1)[:, n_held - n_kept :]
    n_grouped = width * _N_IN_GROUP
    groups = cosines[:, :n_grouped].reshape(len(cosines), _N_IN_GROUP, width)
    of_groups = groups.max(axis=1)
    best = np.argpartition(of_groups, width - N_NEIGHBOURS, axis=1)[:, width - N_NEIGHBOURS :]
    columns = best[:, None] + width * np.arange(_N_IN_GROUP)[:, None]
    rest = np.broadcast_to(np.arange(n_grouped, n_held), (len(cosines), n_held - n_grouped))
    columns = np.concatenate([columns.reshape(len(cosines), -1), rest], axis=1)
    within = np.take_along_axis(cosines, columns, axis=1)
    at = within.shape[1] - N_NEIGHBOURS
    return np.take_along_axis(columns, np.argpartition(within, at, axis=1)[:, at:], axis=1)


def neighbours_of_all(ids: Ids, rows: Vectors) -> Neighbours:
    """Find the ten nearest others of every track.

    Every two tracks are compared, which among 10^5 takes 44 s of one core. Of more than
    `COMPARED_LENGTH` tracks each is compared with those of its nearest lists alone: about one in
    ten of the nearest is missed, and the next nearest is in its place.

    Parameters
    ----------
    ids : int64 array, shape (N,)
        Ascending.
    rows : float32 array, shape (N, D)
        From `directions`.

    Returns
    -------
    Neighbours
    """
    found = _by_lists(rows) if len(ids) > COMPARED_LENGTH else _by_pairs(rows)
    is_there = np.isfinite(found.cosines)
    return Neighbours(np.where(is_there, ids[found.ids], -1), found.cosines)


def _by_pairs(rows: Vectors) -> Neighbours:
    """Compare every two tracks once; places stand for ids."""
    n_tracks = len(rows)
    found, first = unknown(n_tracks), 0
    while first < n_tracks:
        n_at_once = max(1, _COSINES_AT_ONCE // (n_tracks - first))
        some, later = np.split(np.arange(first, n_tracks), [n_at_once])
        cosines = rows[some] @ rows[first:].T
        np.fill_diagonal(cosines, -np.inf)
        _keep_nearest(found, some, np.arange(first, n_tracks), cosines)
        _keep_nearest(found, later, some, cosines[:, len(some) :].T)
        first += n_at_once
    return found


def _by_lists(rows: Vectors) -> Neighbours:
    """Compare every track with those of the lists that are nearest to it; places stand for ids."""
    n_tracks = len(rows)
    centred = centres(rows, max(1, min(_MAX_LISTS, n_tracks // _LIST_LENGTH)))
    share = _N_COMPARED * (n_tracks / 1e5) ** 0.5 / n_tracks
    n_looked = max(1, round(len(centred) * min(1.0, share)))
    own = _lists_of(rows, centred, 1)[:, 0]
    found = unknown(n_tracks)
    for first in range(0, n_tracks, _ASKED_AT_ONCE):
        looked = _lists_of(rows[first : first + _ASKED_AT_ONCE], centred, n_looked)
        for held, asked in _meetings(own, looked, len(centred)):
            some = first + asked
            cosines = rows[some] @ rows[held].T
            at_home = np.flatnonzero(own[some] == own[held[0]])
            cosines[at_home, np.searchsorted(held, some[at_home])] = -np.inf
            _keep_nearest(found, some, held, cosines)
    return found


def _lists_of(rows: Vectors, centred: Vectors, n_looked: int) -> NDArray[np.int16]:
    """Find the lists that are nearest to each track, (N, P)."""
    looked = np.empty((len(rows), n_looked), np.int16)
    at = len(centred) - n_looked
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        cosines = rows[first : first + _ROWS_AT_ONCE] @ centred.T
        nearest = np.argpartition(cosines, at, axis=1)[:, at:]
        looked[first : first + len(cosines)] = nearest
    return looked


def _meetings(
    own: NDArray[np.int16], looked: NDArray[np.int16], n_lists: int
) -> Iterator[tuple[Ids, Ids]]:
    """Yield the tracks of each list, ascending, and those that are compared with them."""
    by_list = np.argsort(own, kind="stable")
    ends = np.cumsum(np.bincount(own, minlength=n_lists))
    by_looked = np.argsort(looked, axis=None, kind="stable")
    looked_ends = np.cumsum(np.bincount(looked.ravel(), minlength=n_lists))
    by_looked //= looked.shape[1]
    for one in range(n_lists):
        held = by_list[ends[one - 1] if one else 0 : ends[one]]
        if len(held):
            yield held, by_looked[looked_ends[one - 1] if one else 0 : looked_ends[one]]


def _keep_nearest(found: Neighbours, asked: Ids, held: Ids, cosines: Vectors) -> None:
    """Put what is nearer than the tenth nearest so far in its place; `found` is changed."""
    if not len(asked):
        return
    is_better = cosines.max(axis=1) > found.cosines[asked].min(axis=1)
    asked, cosines = asked[is_better], cosines[is_better]
    columns = _greatest(cosines)
    both = np.concatenate(
        [found.cosines[asked], np.take_along_axis(cosines, columns, axis=1)], axis=1
    )
    kept = np.argpartition(-both, N_NEIGHBOURS - 1, axis=1)[:, :N_NEIGHBOURS]
    ids = np.concatenate([found.ids[asked], held[columns]], axis=1)
    found.cosines[asked] = np.take_along_axis(both, kept, axis=1)
    found.ids[asked] = np.take_along_axis(ids, kept, axis=1)
