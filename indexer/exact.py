"""The segments of many tracks, one track after the other, and what a query scores with each.

Segments are float32, or half a byte for each value and a scale for each segment, which takes an
eighth and moves a cosine by about 0.007, at random. Either may lie in memory or be mapped from a
file. Who ranks what was found reads the vectors themselves from the database.

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
_PUT_AT_ONCE = 2_000  # tracks
_STEP = (
    0.35  # between codes, of the root mean square of a segment's values; 15 codes suit normal ones
)
_MOST = 7  # the greatest code


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
    values : float32 array, shape (M, D), or int8 array, shape (M, ceil(D / 2))
        Unit vectors; as int8 from `halved`, to be multiplied by `scales`.
    scales : float32 array, shape (M,) or (0,)
        None for float32.
    dim : int
        Length D.
    """

    ids: Ids
    starts: Places
    values: NDArray[Any]
    scales: Vectors
    dim: int

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
        codes = np.concatenate(_apart(self.values[rows]), axis=1, dtype=np.float32)
        return np.asarray(codes[:, : self.dim] * self.scales[rows][:, None])

    def _rows(self, places: Places, every: int = 1) -> tuple[Any, Places]:
        """Where the segments of some tracks lie, or every second or third, and how many of each."""
        first, lengths = self.starts[places], self.starts[places + 1] - self.starts[places]
        if every == 1 and len(places) and (np.diff(places) == 1).all():
            return slice(int(first[0]), int(first[-1] + lengths[-1])), lengths
        lengths = -(-lengths // every)
        return _ranges(first, lengths, every), lengths

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
        asked = np.concatenate([np.zeros((0, self.dim), np.float32), *versions])  # (R, D)
        halves = _for_halves(asked)
        lengths = -(-(self.starts[places + 1] - self.starts[places]) // every)
        for first, end in _blocks(lengths, max(1, _COSINES_AT_ONCE // max(1, len(asked)))):
            rows, of_block = self._rows(places[first:end], every)
            if len(self.scales):
                cosines = _coded_products(halves, self.values[rows])
                cosines *= self.scales[rows]  # fewer numbers than the segments have
            else:
                cosines = products(asked, self.values[rows])
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
        dim,
    )


def joined(
    one: Segments, is_kept: NDArray[np.bool_], other: Segments
) -> tuple[Segments, Iterator[NDArray[Any]]]:
    """Put some of the tracks of one in order with all of another, which are other tracks.

    Parameters
    ----------
    one, other : Segments
        Of the same form.
    is_kept : bool array, shape (N,)
        Which of the first.

    Returns
    -------
    segments : Segments
        Without their values.
    values : iterator of arrays
        These, in blocks.
    """
    ids = np.concatenate([one.ids[is_kept], other.ids])
    order = np.argsort(ids)
    lengths = np.concatenate([one.lengths[is_kept], other.lengths])[order]
    n_rows = len(one.values)
    firsts = np.concatenate([one.starts[:-1][is_kept], n_rows + other.starts[:-1]])[order]

    def picked(mine: NDArray[Any], theirs: NDArray[Any], first: int, end: int) -> NDArray[Any]:
        rows = _ranges(firsts[first:end], lengths[first:end])
        found = np.empty((len(rows), *mine.shape[1:]), mine.dtype)
        is_mine = rows < n_rows
        found[is_mine], found[~is_mine] = mine[rows[is_mine]], theirs[rows[~is_mine] - n_rows]
        return found

    values = (
        picked(one.values, other.values, first, min(first + _PUT_AT_ONCE, len(ids)))
        for first in range(0, max(1, len(ids)), _PUT_AT_ONCE)
    )
    scales = one.scales
    if len(one.scales) or len(other.scales):
        scales = picked(one.scales, other.scales, 0, len(ids))
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    return Segments(ids[order], starts, one.values[:0], scales, one.dim), values


def _ranges(firsts: Places, lengths: Places, every: int = 1) -> Places:
    """Count up from each of some numbers so many times, one after the other."""
    ends = np.cumsum(lengths)
    within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    return np.asarray(within * every + np.repeat(firsts, lengths))


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
    values, scales = np.empty(vectors.shape, np.int8), np.empty(len(vectors), np.float32)
    for first in range(0, len(vectors), _MEANS_AT_ONCE):
        block = slice(first, first + _MEANS_AT_ONCE)
        scales[block] = np.abs(vectors[block]).max(axis=1) / 127
        steps = np.maximum(scales[block], np.finfo(np.float32).tiny)
        values[block] = np.rint(vectors[block] / steps[:, None])
    return values, scales


def halved(vectors: Vectors) -> tuple[NDArray[np.int8], Vectors]:
    """Write vectors as half a byte for each value: a code of -7 to 7.

    A byte is the code of a value of the first half, and sixteen times that of one of the second.

    Parameters
    ----------
    vectors : float32 array, shape (M, D)

    Returns
    -------
    codes : int8 array, shape (M, ceil(D / 2))
    scales : float32 array, shape (M,)
        What to multiply each row with, so that its product with what it was is as before.
    """
    squares = np.square(vectors).sum(axis=1)
    steps = np.maximum(_STEP * np.sqrt(squares / vectors.shape[1]), np.finfo(np.float32).tiny)
    codes = np.clip(np.rint(vectors / steps[:, None]), -_MOST, _MOST)
    scales = squares / np.maximum((vectors * codes).sum(axis=1), np.finfo(np.float32).tiny)
    codes = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2))).astype(np.int8)
    first, second = np.split(codes, 2, axis=1)
    return first + 16 * second, scales.astype(np.float32)


def _apart(codes: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Take bytes apart, (M, D / 2) each."""
    second = (codes + np.int8(_MOST + 1)) >> 4
    return codes - 16 * second, second


def _for_halves(queries: Vectors) -> tuple[Vectors, Vectors]:
    """Write queries (R, D) as what is multiplied with bytes, and with their second codes."""
    padded = np.pad(queries, ((0, 0), (0, queries.shape[1] % 2)))
    first, second = np.split(padded, 2, axis=1)
    return first, second - 16 * first


def _coded_products(halves: tuple[Vectors, Vectors], codes: NDArray[np.int8]) -> Vectors:
    """Multiply queries with codes without taking these apart, (R, M).

    With bytes b = c + 16 d, q·c + r·d = q·b + (r - 16 q)·d: only d is worked out.
    """
    found = products(halves[0], codes.astype(np.float32))
    second = (codes + np.int8(_MOST + 1)) >> 4
    found += products(halves[1], second.astype(np.float32))
    return found
