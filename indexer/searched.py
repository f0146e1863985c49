"""What is near to a query: the tracks of the vector file, those that came since, less what went.

A catalog of up to `EXACT_LENGTH` tracks is compared whole. In a larger one a query is first
compared with a row for each track, the mean of its segments, and with quantised segments in
inverted lists; what either finds is then scored by every second of its segments at the query's own
tempo, and the best of these at every tempo. A short query has few segments that may find anything,
so it is compared with more, with all of their segments and at every tempo at once. How many are
kept from step to step grows with the catalog.

Letters: D embedding, S segments of a track, N tracks of the file, K tracks asked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.exact import (
    Ids,
    Means,
    Places,
    Scores,
    Segments,
    Track,
    Vectors,
    gathered,
    halved,
    joined,
)
from indexer.hubs import Neighbours, directions, neighbours, unknown
from indexer.vectors import CoarseCodes, SegmentLists

EXACT_LENGTH = 5_000
"""Tracks that are compared whole; more are searched in steps."""

COARSE_LENGTH = 300_000
"""Tracks whose rows are looked through as they are; more are quantised."""

LENGTH_WEIGHT = 0.02  # of the logarithm of a track's length: long tracks hold more good segments
_GROWTH = 0.43  # depths grow as this power of the number of tracks; fitted on 10^4 to 10^5
_N_WIDE, _N_DEEP = 5_000, 1_250  # kept from step to step among 10^5 tracks
_N_HITS, _N_PROBES = 50, 8  # segments for each of the query's, from so many inverted lists
_LONG_LENGTH = 16  # segments of a query that is compared with every second segment of a track
_SHORT_LENGTH = 50  # segments of all versions of a query that is asked at every tempo at once,
_N_SHORT_WIDE = 10_000  # when more is kept among 10^5 tracks,
_N_SHORT_HITS, _N_SHORT_PROBES = 8_000, 400  # and more found for all of its segments together


@dataclass(frozen=True, slots=True)
class Main:
    """What a vector file holds.

    Parameters
    ----------
    segments : Segments
        Of N tracks.
    means : Means
        Of each track's segments.
    neighbours : Neighbours
        Of each track among the others.
    lists : SegmentLists or None
        None where the catalog is compared whole.
    coarse : CoarseCodes or None
        None where the means are looked through as they are.
    """

    segments: Segments
    means: Means
    neighbours: Neighbours
    lists: SegmentLists | None = None
    coarse: CoarseCodes | None = None


def nothing(dim: int) -> Main:
    """Make what a catalog without sounding tracks is searched by."""
    return Main(
        gathered([], dim),
        Means(np.zeros((0, dim), np.float32), np.zeros(0, np.float32)),
        unknown(0),
    )


def coarse_rows(means: NDArray[Any], lengths: Places) -> Vectors:
    """Write the rows that a query is first compared with, (N, D + 1)."""
    weighted = LENGTH_WEIGHT * np.log(lengths)
    return np.concatenate([means, weighted[:, None]], axis=1, dtype=np.float32)


class Searched:
    """All tracks of a catalog that sound, to be asked which are near.

    Parameters
    ----------
    main : Main
        From the vector file.
    dim : int
        Length D.
    n_learnt : int
        How many tracks the lists were learnt for.
    """

    def __init__(self, main: Main, dim: int, *, n_learnt: int | None = None) -> None:
        self.main = main
        self.dim = dim
        self.n_learnt = len(main.segments) if n_learnt is None else n_learnt
        self.removed: set[int] = set()
        self.recent: dict[int, Vectors] = {}
        self._is_there = np.ones(len(main.segments), bool)
        self._gathered: Segments | None = None

    def __len__(self) -> int:
        return int(self._is_there.sum()) + len(self.recent)

    @property
    def n_changed(self) -> int:
        """How many tracks came or went since the vector file was written."""
        return len(self.removed) + len(self.recent)

    @property
    def n_segments(self) -> int:
        """How many segments there are."""
        n_recent = sum(map(len, self.recent.values()))
        return int(self.main.segments.lengths[self._is_there].sum()) + n_recent

    @property
    def mean_length(self) -> float:
        """How many segments a track has on average; 1 where there is none."""
        return self.n_segments / len(self) if len(self) else 1.0

    def add(self, track_id: int, vectors: Vectors) -> None:
        """Take in a track, in place of what was held of it; a silent one adds nothing."""
        self.remove([track_id])
        if len(vectors):
            self.recent[track_id] = vectors
        self._gathered = None

    def remove(self, track_ids: Sequence[int] | Ids) -> None:
        """Forget some tracks; those that are not held are passed over."""
        places = self.main.segments.places_of(np.sort(np.asarray(track_ids, np.int64)))
        self._is_there[places] = False
        self.removed.update(self.main.segments.ids[places].tolist())
        for track_id in np.asarray(track_ids).tolist():
            self.recent.pop(track_id, None)
        self._gathered = None

    def changed(self, gone: Ids, came: Iterable[Track]) -> "Searched":
        """Return what is searched after some tracks went and others came; this stays as it is."""
        new = Searched(self.main, self.dim, n_learnt=self.n_learnt)
        new.removed, new.recent = set(self.removed), dict(self.recent)
        new._is_there = self._is_there.copy()
        new.remove(gone)
        for track_id, vectors in came:
            new.add(track_id, vectors)
        return new

    def over(self, rows: object) -> "Searched":  # noqa: ARG002 (other indexes read the database)
        """Return the same, which holds all that it needs."""
        return self

    def directions(self) -> tuple[Ids, Vectors]:
        """Ids of all tracks, ascending, and the unit vector of each one's mean, (N, D)."""
        ids, means = self.means()
        return ids, directions(means)

    def means(self) -> tuple[Ids, Vectors]:
        """Ids of all tracks, ascending, and the mean of each one's segments, (N, D)."""
        newer = self._newer()
        ids = np.concatenate([self.main.segments.ids[self._is_there], newer.ids])
        rows = np.concatenate([self.main.means.of(self._is_there), _means(newer)])
        order = np.argsort(ids)
        return ids[order], np.asarray(rows[order], np.float32)

    def tracks(self) -> Iterator[Track]:
        """Yield every track as it is compared, in order of the ids."""
        places = np.flatnonzero(self._is_there).tolist()
        held = (
            (int(self.main.segments.ids[place]), self.main.segments.of(np.array([place])))
            for place in places
        )
        return merge(held, sorted(self.recent.items()), key=itemgetter(0))

    def in_order(self) -> tuple[Segments, Iterator[NDArray[Any]]]:
        """Put what is new in its place among the rest, all in the form of the vector file."""
        newer = self._newer()
        if self.main.lists is not None:
            codes, scales = halved(newer.values)
            newer = Segments(newer.ids, newer.starts, codes, scales, self.dim)
        return joined(self.main.segments, self._is_there, newer)

    def _newer(self) -> Segments:
        if self._gathered is None:
            self._gathered = gathered(sorted(self.recent.items()), self.dim)
        return self._gathered

    def nearest(
        self,
        versions: Sequence[Vectors],
        n_tracks: int,
        *,
        only: Ids | None = None,
        without: Ids | None = None,
        is_exact: bool = False,
    ) -> Ids:
        """Name the tracks that score best as answers to a query; see `VectorIndex.nearest`."""
        versions = [one for one in versions if len(one)]
        newer, mean_length = self._newer(), self.mean_length
        is_asked = self._is_there & _chosen(self.main.segments, only, without)
        places, every = np.flatnonzero(is_asked), 1
        if len(places) > EXACT_LENGTH and not is_exact and self.main.lists is not None:
            places = self._promising(versions, is_asked, n_tracks, mean_length)
            every = _every(versions)
        recent = np.flatnonzero(_chosen(newer, only, without))
        ids = np.concatenate([self.main.segments.ids[places], newer.ids[recent]])
        scores = np.concatenate(
            [
                self.main.segments.scores(versions, mean_length, places, every=every),
                newer.scores(versions, mean_length, recent),
            ]
        )
        return np.sort(ids[_best(scores, n_tracks)])

    def gaining(self, versions: Sequence[Vectors], n_tracks: int, level: float) -> Ids:
        """Name the tracks of which a recording of hours holds most; see `VectorIndex.gaining`."""
        newer, places = self._newer(), np.flatnonzero(self._is_there)
        if len(places) > EXACT_LENGTH and self.main.lists is not None:
            places = self._held(np.concatenate(versions), _N_HITS, _N_PROBES)
            places = places[self._is_there[places]]
        ids = np.concatenate([self.main.segments.ids[places], newer.ids])
        gains = np.concatenate(
            [self.main.segments.gains(versions, level, places), newer.gains(versions, level)]
        )
        best = _best(gains, n_tracks)
        return np.sort(ids[best[gains[best] > 0]])

    def _promising(
        self,
        versions: Sequence[Vectors],
        is_asked: NDArray[np.bool_],
        n_tracks: int,
        mean_length: float,
    ) -> Places:
        """Name the places that are worth a score at every tempo."""
        depth = (int(is_asked.sum()) / 1e5) ** _GROWTH
        if _is_short(versions):
            asked = np.concatenate(versions)
            n_wide = max(round(_N_SHORT_WIDE * depth), 2 * n_tracks)
            n_hits = max(_N_HITS, _N_SHORT_HITS // len(asked))
            held = self._held(asked, n_hits, max(_N_PROBES, _N_SHORT_PROBES // len(asked)))
            return np.union1d(self._coarse(versions, is_asked, n_wide), held[is_asked[held]])
        n_wide = max(round(_N_WIDE * depth), 2 * n_tracks)
        held = self._held(versions[0], _N_HITS, _N_PROBES)
        wide = np.union1d(self._coarse(versions, is_asked, n_wide), held[is_asked[held]])
        scores = self.main.segments.scores(versions[:1], mean_length, wide, every=_every(versions))
        return np.sort(wide[_best(scores, max(round(_N_DEEP * depth), 2 * n_tracks))])

    def _held(self, queries: Vectors, n_hits: int, n_probes: int) -> Places:
        """Name the places of the tracks that hold the segments nearest to some of a query."""
        if self.main.lists is None:
            return np.zeros(0, np.int64)
        return self.main.segments.places_of(self.main.lists.search(queries, n_hits, n_probes))

    def _coarse(
        self, versions: Sequence[Vectors], is_asked: NDArray[np.bool_], n_wide: int
    ) -> Places:
        """Name the places whose rows are nearest to the query's mean at any tempo."""
        asked = np.stack([version.mean(axis=0) for version in versions])  # (V, D)
        places = np.flatnonzero(is_asked)
        if self.main.coarse is not None and len(places) > COARSE_LENGTH:
            n_hits = round(2 * n_wide * len(is_asked) / len(places))
            rows = np.concatenate([asked, np.ones((len(asked), 1), np.float32)], axis=1)
            places = self.main.coarse.search(rows, n_hits)
            places = places[is_asked[places]]
        best = self.main.means.products(asked, places).max(axis=0)
        lengths = self.main.segments.starts[places + 1] - self.main.segments.starts[places]
        best += LENGTH_WEIGHT * np.log(lengths, dtype=np.float32)
        return places[_best(best, n_wide)]

    def neighbours(self, track_ids: Ids) -> Neighbours:
        """Find the ten tracks that are nearest to each of some tracks as a whole.

        Parameters
        ----------
        track_ids : int64 array, shape (K,)
            Of tracks that sound.

        Returns
        -------
        Neighbours
        """
        track_ids = np.asarray(track_ids, np.int64)
        held = self.main.segments.ids
        places = np.searchsorted(held, track_ids)
        is_old = places < len(held)
        is_old[is_old] = held[places[is_old]] == track_ids[is_old]
        is_old[is_old] = self._is_there[places[is_old]]
        found = unknown(len(track_ids))
        for chosen, these in (
            (is_old, self._old_neighbours(places[is_old])),
            (~is_old, self._new_neighbours(track_ids[~is_old])),
        ):
            found.ids[chosen], found.cosines[chosen] = these.ids, these.cosines
        return found

    def _old_neighbours(self, places: Places) -> Neighbours:
        known = self.main.neighbours.of(places)
        ids, rows = self.main.segments.ids[places], directions(self.main.means.of(places))
        if self.removed:
            gone = np.isin(known.ids, np.fromiter(self.removed, np.int64)).any(axis=1)
            if gone.any():
                again = self._among_main(ids[gone], rows[gone])
                known.ids[gone], known.cosines[gone] = again.ids, again.cosines
        newer = self._newer()
        if not len(newer):
            return known
        return known.joined(neighbours(ids, rows, newer.ids, directions(_means(newer))))

    def _new_neighbours(self, track_ids: Ids) -> Neighbours:
        newer = self._newer()
        rows = directions(_means(newer))
        asked = rows[newer.places_of(track_ids)]
        among_new = neighbours(track_ids, asked, newer.ids, rows)
        return among_new.joined(self._among_main(track_ids, asked))

    def _among_main(self, ids: Ids, rows: Vectors) -> Neighbours:
        held = self.main.segments.ids[self._is_there]
        return neighbours(ids, rows, held, directions(self.main.means.of(self._is_there)))


def _is_short(versions: Sequence[Vectors]) -> bool:
    return sum(map(len, versions)) <= _SHORT_LENGTH


def _every(versions: Sequence[Vectors]) -> int:
    """Say whether every segment of a track is looked at, or every second."""
    return 2 if len(versions[0]) >= _LONG_LENGTH else 1


def _means(segments: Segments) -> Vectors:
    if not len(segments):
        return np.zeros((0, segments.dim), np.float32)
    totals = np.add.reduceat(segments.values, segments.starts[:-1], axis=0)
    return np.asarray(totals / segments.lengths[:, None], np.float32)


def _chosen(segments: Segments, only: Ids | None, without: Ids | None) -> NDArray[np.bool_]:
    is_chosen = np.full(len(segments), only is None)
    if only is not None:
        is_chosen[segments.places_of(np.sort(only))] = True
    if without is not None:
        is_chosen[segments.places_of(np.sort(without))] = False
    return is_chosen


def _best(scores: Scores, n_kept: int) -> Places:
    """Name the places of the greatest scores, of equal ones the first."""
    if len(scores) <= n_kept:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - n_kept)[len(scores) - n_kept]
    above = np.flatnonzero(scores > least)
    level = np.flatnonzero(scores == least)[: n_kept - len(above)]
    return np.sort(np.concatenate([above, level]))
