"""What is near to a query, asked of an engine behind an address, and scored from the database.

The engine names the tracks whose segments are nearest to the query's: that is the query's half of
a score. They are then scored by all of their segments as the database holds them, so an answer is
of one state of the catalog, whatever the engine has been given meanwhile. What came and went since
the engine was last brought up to date is searched beside it.

Letters: D embedding, S segments, N tracks, K tracks asked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np

from indexer.exact import Ids, Scores, Segments, Track, Vectors, gathered
from indexer.hubs import N_NEIGHBOURS, Neighbours, directions, neighbours, unknown
from indexer.stores.engine import VectorEngine
from indexer.stores.index import Rows

_GROWTH = 0.43  # depths grow as this power of the number of tracks, as those of a vector file
_N_WIDE, _N_DEEP = 7_500, 2_500  # among 10^5 tracks
_COUNTED_LENGTH = 100_000  # up to so many tracks, segments are counted after every change
_WHOLE_COSINES = 1 << 24  # up to so many, all segments of all tracks are compared
_MOST_EXCLUDED = 500_000  # tracks that a request names as no answers; more fall out afterwards
_SHORT_LENGTH = 50  # segments of all versions of a query that is asked at each tempo for itself
_SCORED_AT_ONCE = 500  # tracks whose segments are in memory together
_STRETCH_LENGTH, _STRETCH_HOP = 24, 12  # segments of a long recording that are asked together
_N_OF_STRETCH = 200  # tracks that each stretch names
_MOST_KEPT = 200_000  # tracks whose neighbours are remembered


class RemoteIndex:
    """All tracks of a catalog that sound, most of them in an engine.

    Parameters
    ----------
    reach : callable
        Returns the engine, which holds what the catalog was when it was last brought up to date,
        and maybe more; called whenever that is needed.
    rows : Rows
        What the database holds now.
    """

    def __init__(self, reach: Callable[[], VectorEngine], rows: Rows) -> None:
        self._reach = reach
        self._rows = rows
        self._removed: frozenset[int] = frozenset()
        self._recent: dict[int, Vectors] = {}
        self._means: list[float] = []  # of lengths: one, once it was asked for
        self._near: dict[int, tuple[Ids, Vectors]] = {}

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return self._rows.dim

    @property
    def n_changed(self) -> int:
        """How many tracks came or went since the engine was last brought up to date."""
        return len(self._removed | set(self._recent))

    @property
    def n_segments(self) -> int:
        """How many segments there are."""
        return self._rows.n_segments()

    @property
    def mean_length(self) -> float:
        """How many segments a track has on average; 1 where there is none.

        In a large catalog what comes and goes changes nothing of it before the next state.
        """
        if not self._means:
            self._means.append(self.n_segments / len(self) if len(self) else 1.0)
        return self._means[0]

    def __len__(self) -> int:
        return self._rows.n_tracks()

    def over(self, rows: Rows) -> "RemoteIndex":
        """Return the same, read from another session of the same state."""
        same = RemoteIndex(self._reach, rows)
        same._removed, same._recent = self._removed, self._recent
        same._means, same._near = self._means, self._near
        return same

    def changed(self, gone: Ids, came: Iterable[Track]) -> "RemoteIndex":
        """Return what is searched after some tracks went and others came; this stays as it is."""
        new = RemoteIndex(self._reach, self._rows)
        went = set(gone.tolist())
        new._removed = self._removed | went
        new._recent = {i: vectors for i, vectors in self._recent.items() if i not in went}
        if len(self) > _COUNTED_LENGTH:
            new._means = self._means
        new._recent |= {track_id: vectors for track_id, vectors in came if len(vectors)}
        return new

    def directions(self) -> tuple[Ids, Vectors]:
        """Ids of all tracks, ascending, and the unit vector of each one's mean, (N, D)."""
        newer = self._newer()
        nothing = (np.zeros(0, np.int64), np.zeros((0, self.dim), np.float32))
        blocks = list(chain([nothing], self._reach().rows(), [(newer.ids, _directions(newer))]))
        stale = self._stale()
        kept = [~np.isin(ids, stale) for ids, _ in blocks[:-1]] + [np.ones(len(newer), bool)]
        ids = np.concatenate([one[0][here] for one, here in zip(blocks, kept, strict=True)])
        rows = np.concatenate([one[1][here] for one, here in zip(blocks, kept, strict=True)])
        order = np.argsort(ids)
        return ids[order], rows[order]

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
        unwanted = np.zeros(0, np.int64) if without is None else np.asarray(without, np.int64)

        def scored(tracks: Segments) -> Scores:
            return tracks.scores(versions, self.mean_length)

        if is_exact:
            found = self._scored(_batches(self._rows.all()), scored)
        else:
            held = _wanted(self._promising(versions, n_tracks, only, unwanted), only, unwanted)
            found = self._scored(chain(self._read(held), [self._newer()]), scored)
        ids, scores = found
        is_wanted = np.isin(ids, _wanted(ids, only, unwanted))
        return _best(ids[is_wanted], scores[is_wanted], n_tracks)

    def gaining(self, versions: Sequence[Vectors], n_tracks: int, level: float) -> Ids:
        """Name the tracks that a recording of hours holds; see `VectorIndex.gaining`.

        Each stretch of the recording, about as long as a track, names those nearest to it.
        """
        stale = self._stale()
        named = [np.zeros(0, np.int64)]
        for stretch in chain.from_iterable(map(_stretches, versions)):
            n_wide = self._n_wide([stretch], len(self))
            deep = max(_N_OF_STRETCH, n_tracks)
            named.append(self._reach().best([stretch], n_wide, deep, only=None, without=stale))
        held = self._read(np.unique(np.concatenate(named)))

        def gained(tracks: Segments) -> Scores:
            return tracks.gains(versions, level)

        ids, gains = self._scored(chain(held, [self._newer()]), gained)
        return _best(ids[gains > 0], gains[gains > 0], n_tracks)

    def neighbours(self, track_ids: Ids) -> Neighbours:
        """Find the ten tracks that are nearest to each of some tracks as a whole.

        What is found is kept as long as nothing comes or goes, unless parts were away.

        Parameters
        ----------
        track_ids : int64 array, shape (K,)
            Of tracks that sound.

        Returns
        -------
        Neighbours

        Raises
        ------
        VectorStoreError
            If the engine cannot be asked.
        """
        asked = np.asarray(track_ids, np.int64).tolist()
        known = {i: self._near[i] for i in asked if i in self._near}
        if new := sorted(set(asked) - set(known)):
            found = self._found_neighbours(np.array(new, np.int64))
            more = dict(zip(new, zip(found.ids, found.cosines, strict=True), strict=True))
            known |= more
            if len(self._near) < _MOST_KEPT and not self._reach().is_partial:
                self._near |= more
        lists = unknown(len(asked))
        for place, track_id in enumerate(asked):
            lists.ids[place], lists.cosines[place] = known[track_id]
        return lists

    def _found_neighbours(self, ids: Ids) -> Neighbours:
        newer = self._newer()
        vectors = dict(self._rows.of([i for i in ids.tolist() if i not in self._recent]))
        vectors |= self._recent
        rows = directions(np.stack([vectors[i].mean(axis=0) for i in ids.tolist()]))
        found = self._reach().near(rows, N_NEIGHBOURS + 1, without=self._stale())
        is_own = found.ids == ids[:, None]
        found = Neighbours(
            np.where(is_own, -1, found.ids), np.where(is_own, -np.inf, found.cosines)
        )
        return found.joined(neighbours(ids, rows, newer.ids, _directions(newer)))

    def _promising(
        self, versions: Sequence[Vectors], n_tracks: int, only: Ids | None, unwanted: Ids
    ) -> Ids:
        """Name the tracks in the engine that are worth a score by all of their segments.

        Where more than half of them are wanted, naming these costs more than finding a few more:
        all are asked, so much more deeply, and some that are not wanted are among those named.
        """
        stale = self._stale()
        without = np.union1d(stale, unwanted)
        n_all = len(self)
        n_asked = max(1, n_all - len(unwanted))
        if only is not None:
            only = np.setdiff1d(only, without)
            n_asked = len(only)
        n_deep = max(round(_N_DEEP * _depth(n_asked)), 2 * n_tracks)
        if only is not None and len(only) <= n_deep:
            return only
        if len(without) > _MOST_EXCLUDED or (only is not None and 2 * len(only) > n_all):
            n_deep = round(n_deep * n_all / n_asked)  # those that are not wanted fall out later
            only, without, n_asked = None, stale, n_all
        n_wide = self._n_wide(versions, n_asked)
        n_wide = None if n_wide is None else max(n_wide, n_deep)
        is_short = sum(map(len, versions)) <= _SHORT_LENGTH
        found = [
            self._reach().best(asked, n_wide, n_deep, only=only, without=without)
            for asked in ([[version] for version in versions] if is_short else [versions])
        ]
        return np.unique(np.concatenate(found))

    def _n_wide(self, versions: Sequence[Vectors], n_asked: int) -> int | None:
        """How many tracks are chosen by means first; None where all segments can be compared."""
        if len(versions[0]) * self.mean_length * n_asked <= _WHOLE_COSINES:
            return None
        return max(round(_N_WIDE * _depth(n_asked)), _N_OF_STRETCH)

    def _stale(self) -> Ids:
        """List the tracks of which the engine may hold what they were before."""
        return np.array(sorted(self._removed | set(self._recent)), np.int64)

    def _newer(self) -> Segments:
        return gathered(sorted(self._recent.items()), self.dim)

    def _read(self, ids: Ids) -> Iterator[Segments]:
        """Yield the segments of some tracks; the engine may name some that are not there now."""
        for first in range(0, len(ids), _SCORED_AT_ONCE):
            found = self._rows.of(ids[first : first + _SCORED_AT_ONCE].tolist())
            yield gathered(sorted(found.items()), self.dim)

    def _scored(
        self, blocks: Iterable[Segments], score: Callable[[Segments], Scores]
    ) -> tuple[Ids, Scores]:
        ids, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for tracks in blocks:
            ids.append(tracks.ids)
            scores.append(score(tracks))
        return np.concatenate(ids), np.concatenate(scores)


def _depth(n_asked: int) -> float:
    return float((n_asked / 1e5) ** _GROWTH)


def _wanted(ids: Ids, only: Ids | None, unwanted: Ids) -> Ids:
    """Keep the ids that may be answers, in their order."""
    is_wanted = ~np.isin(ids, unwanted)
    return ids[is_wanted if only is None else is_wanted & np.isin(ids, only)]


def _batches(tracks: Iterable[Track]) -> Iterator[Segments]:
    rest = iter(tracks)
    while some := list(islice(rest, _SCORED_AT_ONCE)):
        yield gathered(some, some[0][1].shape[1])


def _stretches(recording: Vectors) -> Iterator[Vectors]:
    for first in range(0, max(1, len(recording) - _STRETCH_HOP), _STRETCH_HOP):
        if len(recording):
            yield recording[first : first + _STRETCH_LENGTH]


def _directions(segments: Segments) -> Vectors:
    if not len(segments):
        return np.zeros((0, segments.values.shape[1]), np.float32)
    totals = np.add.reduceat(segments.values, segments.starts[:-1], axis=0)
    return directions(np.asarray(totals / segments.lengths[:, None], np.float32))


def _best(ids: Ids, scores: Scores, n_kept: int) -> Ids:
    """Name the tracks of the greatest scores, ascending; of equal ones the first."""
    order = np.lexsort((ids, -scores))
    return np.sort(ids[order[:n_kept]])
