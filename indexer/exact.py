"""The segments of many tracks, one track after the other, and what a query scores with each.

Segments are float32, or one byte for each value and a scale for each segment, which takes a
quarter and moves a score by less than 1e-3. Either may lie in memory or be mapped from a file.

Letters: D embedding, N tracks, M segments of all tracks, R segments of all versions of a query,
S segments of one track, K tracks asked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.vectors import products

Ids = NDArray[np.int64]
Places = NDArray[np.int64]
Vectors = NDArray[np.float32]
Scores = NDArray[np.float32]
Track = tuple[int, Vectors]
"""A track's id and its segments, (S, D)."""

_MEANS_AT_ONCE = 1 << 13
_COSINES_AT_ONCE = 1 << 19  # two megabytes, which stay in a processor's cache


@dataclass(frozen=True, slots=True)
class Means:
    """One vector for each of N tracks, the mean of its segments, which is not of unit length.

    Parameters
    ----------
    values : float32 or int8 array, shape (N, D)
        As int8 to be multiplied by `scales`.
    scales : float32 array, shape (N,) or (0,)
        None for float32.
    """

    values: NDArray[Any]
    scales: Vectors

    def __len__(self) -> int:
        return len(self.values)

    def of(self, places: Places | NDArray[np.bool_]) -> Vectors:
        """Read those of some tracks, float32 (K, D)."""
        if not len(self.scales):
            return np.asarray(self.values[places])
        return np.asarray(self.values[places] * self.scales[places][:, None], np.float32)

    def products(self, queries: Vectors, places: Places) -> Vectors:
        """Multiply queries (Q, D) with those of some tracks, (Q, K), a cache full at a time."""
        is_whole = len(places) == len(self)
        found = np.empty((len(queries), len(places)), np.float32)
        for first in range(0, len(places), _MEANS_AT_ONCE):
            block = slice(first, first + _MEANS_AT_ONCE)
            rows = self.values[block if is_whole else places[block]]
            found[:, block] = products(queries, rows.astype(np.float32, copy=False))
        if len(self.scales):
            found *= self.scales if is_whole else self.scales[places]
        return found


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of N tracks.

    Parameters
    ----------
    ids : int64 array, shape (N,)
        The tracks, ascending.
    starts : int64 array, shape (N + 1,)
        Where the segments of each track begin, and where the last one's end.
    values : float32 or int8 array, shape (M, D)
        Unit vectors; as int8 to be multiplied by `scales`.
    scales : float32 array, shape (M,) or (0,)
        None for float32.
    """

    ids: Ids
    starts: Places
    values: NDArray[Any]
    scales: Vectors

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Places:
        """How many segments each track has, shape (N,)."""
        return np.diff(self.starts)

    def places_of(self, ids: Ids) -> Places:
        """Where some tracks are, those that are not here left out."""
        places = np.searchsorted(self.ids, ids)
        inside = places < len(self.ids)
        places = places[inside]
        return np.asarray(places[self.ids[places] == np.asarray(ids)[inside]], np.int64)

    def of(self, places: Places) -> Vectors:
        """Read the segments of some tracks, one after the other, float32."""
        rows, _ = self._rows(places)
        if not len(self.scales):
            return np.asarray(self.values[rows])
        return np.asarray(self.values[rows] * self.scales[rows][:, None], np.float32)

    def _rows(self, places: Places, every: int = 1) -> tuple[Any, Places]:
        """Where the segments of some tracks lie, or every second or third, and how many of each."""
        first, lengths = self.starts[places], self.starts[places + 1] - self.starts[places]
        if every == 1 and len(places) and (np.diff(places) == 1).all():
            return slice(int(first[0]), int(first[-1] + lengths[-1])), lengths
        lengths = -(-lengths // every)
        ends = np.cumsum(lengths)
        within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        return within * every + np.repeat(first, lengths), lengths

    def scores(
        self,
        versions: Sequence[Vectors],
        mean_length: float,
        places: Places | None = None,
        *,
        every: int = 1,
    ) -> Scores:
        """Score tracks by the version of the query that suits each best.

        The same measure as `retrieval.ranking.nearest.best_scores`, without its copies: a block
        of tracks is multiplied with all versions, and what is left of it is a number a track.

        Parameters
        ----------
        versions : sequence of float32 arrays, each of shape (S, D)
            The query, and the same at other tempos; without any segment every score is -1.
        mean_length : float
            Segments that a track has on average, over the whole catalog.
        places : int64 array, shape (K,), optional
            Which tracks; all of them where nothing is said.
        every : int
            2 to look at every second segment of a track alone, which overlap no more: half of the
            work, for a score that is about the same.

        Returns
        -------
        float32 array, shape (K,)
            In -1..1.
        """
        versions = [one for one in versions if len(one)]
        bounds = np.cumsum([0, *map(len, versions)])
        blocks = [
            _best(cosines, bounds, lengths, mean_length)
            for cosines, lengths in self._compared(versions, places, every)
        ]
        return np.concatenate([np.zeros(0, np.float32), *blocks])

    def gains(
        self, versions: Sequence[Vectors], level: float, places: Places | None = None
    ) -> Scores:
        """Add up, for each track, how far the query's segments are above a level.

        A recording of hours may hold a track in a few of its segments; what these gain tells,
        however many others there are.

        Parameters
        ----------
        versions : sequence of float32 arrays, each of shape (S, D)
            As in `scores`.
        level : float
            A cosine that segments of strangers seldom reach.
        places : int64 array, shape (K,), optional
            As in `scores`.

        Returns
        -------
        float32 array, shape (K,)
            At least 0.
        """
        blocks = [
            np.maximum(_nearest(cosines, lengths) - np.float32(level), 0).sum(axis=0)
            for cosines, lengths in self._compared(versions, places)
        ]
        return np.concatenate([np.zeros(0, np.float32), *blocks])

    def _compared(
        self, versions: Sequence[Vectors], places: Places | None, every: int = 1
    ) -> Iterator[tuple[Vectors, Places]]:
        """Yield cosines of all of a query's segments with a block of tracks, and its lengths."""
        places = np.arange(len(self)) if places is None else np.asarray(places, np.int64)
        nothing = np.zeros((0, self.values.shape[1]), np.float32)
        asked = np.concatenate([nothing, *versions])  # (R, D)
        lengths = -(-(self.starts[places + 1] - self.starts[places]) // every)
        for first, end in _blocks(lengths, max(1, _COSINES_AT_ONCE // max(1, len(asked)))):
            rows, of_block = self._rows(places[first:end], every)
            cosines = products(asked, self.values[rows].astype(np.float32, copy=False))
            if len(self.scales):
                cosines *= self.scales[rows]  # fewer numbers than the segments have
            yield cosines, of_block


def _nearest(cosines: Vectors, lengths: Places) -> Vectors:
    """Find the nearest segment of each track to each of the query's, (R, K)."""
    return np.asarray(np.maximum.reduceat(cosines, np.cumsum(lengths) - lengths, axis=1))


def _best(cosines: Vectors, bounds: Places, lengths: Places, mean_length: float) -> Scores:
    """Score a block of tracks from all cosines, (R, M), by the best of several versions."""
    starts = np.cumsum(lengths) - lengths
    there = _nearest(cosines, lengths)
    found = [np.full(len(lengths), -1, np.float32)]
    for first, end in pairwise(bounds.tolist()):
        back = np.add.reduceat(cosines[first:end].max(axis=0), starts) / lengths
        weight = np.float32(min(1.0, (end - first) / mean_length))
        found.append((there[first:end].mean(axis=0) + weight * back) / (1 + weight))
    return np.asarray(np.max(found, axis=0), np.float32)


def _blocks(lengths: Places, n_segments: int) -> Iterator[tuple[int, int]]:
    """Cut a row of tracks so that no block but that of a very long track has too many segments."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ends):
        done = ends[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(ends, done + n_segments, side="right")))
        yield first, end
        first = end


def gathered(tracks: Iterable[Track], dim: int) -> Segments:
    """Hold some tracks as float32.

    Parameters
    ----------
    tracks : iterable of (id, float32 array of shape (S, D))
        In ascending order of their ids; those without segments are left out.
    dim : int
        Length D.

    Returns
    -------
    Segments
    """
    sounding = [track for track in tracks if len(track[1])]
    lengths = [len(vectors) for _, vectors in sounding]
    return Segments(
        np.array([track_id for track_id, _ in sounding], np.int64),
        np.cumsum([0, *lengths], dtype=np.int64),
        np.concatenate([np.zeros((0, dim), np.float32), *(vectors for _, vectors in sounding)]),
        np.zeros(0, np.float32),
    )


def packed(vectors: Vectors) -> tuple[NDArray[np.int8], Vectors]:
    """Write vectors as one byte for each value.

    Parameters
    ----------
    vectors : float32 array, shape (M, D)

    Returns
    -------
    values : int8 array, shape (M, D)
    scales : float32 array, shape (M,)
        What to multiply each row with.
    """
    scales = np.abs(vectors).max(axis=1) / 127
    values = np.rint(vectors / np.maximum(scales, np.finfo(np.float32).tiny)[:, None])
    return values.astype(np.int8), scales.astype(np.float32)
