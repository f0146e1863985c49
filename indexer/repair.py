"""The vector file made from the tracks, written, and read back.

`vectors-<generation>.bin` is a cache: it holds nothing that `catalog.db` does not, and it counts
only while the database names it by its generation and its token. What came and went since is in
the database alone, until that is so much that the file is made anew.

Letters: D embedding, N tracks, M segments.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.exact import Means, Segments, Track, Vectors, halved, packed
from indexer.hubs import Neighbours, directions, neighbours_of_all
from indexer.mapped import Draft, Mapped, opened
from indexer.searched import COARSE_LENGTH, EXACT_LENGTH, Main, Searched, coarse_rows
from indexer.vectors import CoarseCodes, SegmentLists

log = logging.getLogger(__name__)

_SEGMENTS_AT_ONCE = 1 << 16
_CHECKED_BYTES = 1 << 26  # of a larger file the segments are not read through when it is opened
_MOST_CHANGES = 2_000  # tracks that may come or go before the file is made anew
_OUTGROWN = 2.0  # lists are learnt again for a catalog this many times the size
_FEW_REMOVED = 20  # neighbours are found anew where more than one in so many tracks went
_N_LEARNT_FROM = 8_000  # tracks that lists are learnt from

Stored = Callable[[], Iterable[Track]]
"""Yields every track that has segments, by id; called once for each pass."""


@dataclass(frozen=True, slots=True)
class Name:
    """Which vector file belongs to a database: its generation, and a number drawn for it."""

    generation: int
    token: int

    def path(self, folder: Path) -> Path:
        """Where it lies."""
        return folder / f"vectors-{self.generation}.bin"


def is_outdated(n_changed: int, n_held: int) -> bool:
    """Whether so many tracks came and went that the vector file should be made anew.

    A small one always is: it takes no time, and is searched best as a whole.
    """
    return n_changed > (0 if n_held <= EXACT_LENGTH else max(_MOST_CHANGES, n_held // 10))


class _Arrays:
    """Gathers what is kept of tracks, while their segments are handed on in blocks."""

    def __init__(self, dim: int, lists: SegmentLists | None) -> None:
        self._dim, self._is_packed, self._lists = dim, lists is not None, lists
        self._ids: list[int] = []
        self._lengths: list[int] = []
        self._means: list[Vectors] = [np.zeros((0, dim), np.float32)]
        self._scales: list[Vectors] = [np.zeros(0, np.float32)]

    def blocks(self, tracks: Iterable[Track]) -> Iterator[NDArray[Any]]:
        """Yield the segments of all tracks, as they are kept."""
        nothing = np.zeros((0, self._dim), np.float32)
        yield halved(nothing)[0] if self._is_packed else nothing
        for some in _batched(tracks):
            ids, lengths = [one for one, _ in some], [len(vectors) for _, vectors in some]
            vectors = np.concatenate([vectors for _, vectors in some])
            self._ids += ids
            self._lengths += lengths
            starts = np.cumsum([0, *lengths[:-1]])
            means = np.add.reduceat(vectors, starts, axis=0) / np.c_[lengths]
            self._means.append(means.astype(np.float32))
            if self._lists is not None:
                self._lists.add(np.repeat(np.array(ids, np.int64), lengths), vectors)
            if self._is_packed:
                codes, scales = halved(vectors)
                self._scales.append(scales)
                yield codes
            else:
                yield vectors

    def main(self, values: NDArray[Any]) -> Main:
        """Put together what was gathered."""
        starts = np.cumsum([0, *self._lengths], dtype=np.int64)
        ids, means = np.array(self._ids, np.int64), _moved(self._means, self._dim)
        segments = Segments(ids, starts, values, np.concatenate(self._scales), self._dim)
        kept, codes = _kept(segments, means, self._lists)
        rows = directions(means, None if self._lists is None else means)  # bytes are kept of them
        return Main(segments, kept, neighbours_of_all(ids, rows), self._lists, codes)


def _moved(blocks: list[Vectors], dim: int) -> Vectors:
    """Put blocks of rows together, from the last on, and let go of each."""
    end = sum(map(len, blocks))
    rows = np.empty((end, dim), np.float32)
    while blocks:
        block = blocks.pop()
        rows[end - len(block) : end] = block
        end -= len(block)
    return rows


def _kept(
    segments: Segments, means: Vectors, lists: SegmentLists | None
) -> tuple[Means, CoarseCodes | None]:
    """Keep the means of tracks in the form that their number asks for."""
    kept = Means(means, np.zeros(0, np.float32)) if lists is None else Means(*packed(means))
    if len(means) <= COARSE_LENGTH:
        return kept, None
    return kept, CoarseCodes.of(coarse_rows(means, segments.lengths))


def _batched(tracks: Iterable[Track]) -> Iterator[list[Track]]:
    waiting: list[Track] = []
    n_waiting = 0
    for track in tracks:
        if len(track[1]):
            waiting.append(track)
            n_waiting += len(track[1])
        if n_waiting >= _SEGMENTS_AT_ONCE:
            yield waiting
            waiting, n_waiting = [], 0
    if waiting:
        yield waiting


def rebuilt(stored: Stored, n_tracks: int, dim: int) -> Searched:
    """Make what is searched in memory; nothing is decoded.

    Parameters
    ----------
    stored : callable
        Yields every track that has segments, by id.
    n_tracks : int
        How many these are.
    dim : int
        Length D of a vector.

    Returns
    -------
    Searched
    """
    lists = _learnt(stored, n_tracks)
    arrays = _Arrays(dim, lists)
    values = np.concatenate(list(arrays.blocks(stored())))
    return Searched(arrays.main(values), dim)


def _learnt(stored: Stored, n_tracks: int) -> SegmentLists | None:
    """Learn lists from a sample of the tracks; None where these are so few that none are needed."""
    if n_tracks <= EXACT_LENGTH:
        return None
    every = max(1, n_tracks // _N_LEARNT_FROM)
    sample = [vectors for place, (_, vectors) in enumerate(stored()) if place % every == 0]
    segments = np.concatenate(sample)
    return SegmentLists.trained(segments, len(segments) * n_tracks // len(sample))


def write(stored: Stored, n_tracks: int, dim: int, folder: Path, name: Name) -> None:
    """Write the vector file from nothing but the stored tracks.

    Parameters
    ----------
    stored, n_tracks, dim
        As in `rebuilt`.
    folder : Path
        The catalog's folder.
    name : Name
        Of the file.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is as it was.
    """
    lists = _learnt(stored, n_tracks)
    arrays = _Arrays(dim, lists)
    with Draft(name.path(folder)) as draft:
        draft.put("values", arrays.blocks(stored()))
        _finish(draft, arrays.main(np.zeros((0, dim))), name, n_learnt=n_tracks)


def write_again(searched: Searched, stored: Stored, folder: Path, name: Name) -> None:
    """Write the vector file from an older one and what came and went since.

    Parameters
    ----------
    searched : Searched
        The older file, and the changes; it goes on answering.
    stored : callable
        As in `rebuilt`; asked only where the catalog has outgrown the form of the older file.
    folder : Path
        The catalog's folder.
    name : Name
        Of the new file.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is as it was.
    """
    old, n_tracks = searched.main, len(searched)
    n_learnt = searched.n_learnt
    if old.lists is None and n_tracks <= EXACT_LENGTH:
        lists = None
    elif old.lists is None or n_tracks > _OUTGROWN * n_learnt or n_tracks <= EXACT_LENGTH:
        write(stored, n_tracks, searched.dim, folder, name)
        return
    else:
        lists = _changed(old.lists, searched)
    segments, values = searched.in_order()
    with Draft(name.path(folder)) as draft:
        draft.put("values", values)
        kept, codes = _kept(segments, searched.means()[1], lists)
        main = Main(segments, kept, _neighbours(searched), lists, codes)
        _finish(draft, main, name, n_learnt=n_learnt)


def _changed(lists: SegmentLists, searched: Searched) -> SegmentLists:
    lists = SegmentLists.from_bytes(lists.to_bytes())  # the old ones may be searched meanwhile
    lists.remove(np.array(sorted(searched.removed), np.int64))
    for track_id, vectors in searched.recent.items():
        lists.add(np.full(len(vectors), track_id, np.int64), vectors)
    return lists


def _neighbours(searched: Searched) -> Neighbours:
    """Find the neighbours of all tracks, from those that are known unless many of them went."""
    ids, rows = searched.directions()
    if len(searched.removed) > len(ids) // _FEW_REMOVED:
        return neighbours_of_all(ids, rows)
    return searched.neighbours(ids)


def _finish(draft: Draft, main: Main, name: Name, *, n_learnt: int) -> None:
    segments, near = main.segments, main.neighbours
    draft.put("ids", [segments.ids])
    draft.put("starts", [segments.starts])
    draft.put("scales", [segments.scales])
    draft.put("means", [main.means.values])
    draft.put("mean_scales", [main.means.scales])
    draft.put("near_ids", [near.ids])
    draft.put("near_cosines", [near.cosines])
    for kind, codes in (("lists", main.lists), ("coarse", main.coarse)):
        if codes is not None:
            draft.pour(kind, codes.write_to)
    facts = {"generation": name.generation, "token": name.token, "n_learnt": n_learnt}
    draft.commit(facts)


def read(folder: Path, name: Name, dim: int) -> Searched | None:
    """Read the vector file that a database names.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    name : Name
        As the database has it.
    dim : int
        Length D of its vectors.

    Returns
    -------
    Searched or None
        None where the file is absent, damaged, or another than the database names.
    """
    found = opened(name.path(folder))
    if found is None or not _is_sound(found, name, dim):
        return None
    held = found.arrays
    lists, coarse = held.get("lists"), held.get("coarse")
    main = Main(
        Segments(held["ids"], held["starts"], held["values"], held["scales"], dim),
        Means(held["means"], held["mean_scales"]),
        Neighbours(held["near_ids"], held["near_cosines"]),
        None if lists is None else SegmentLists.from_bytes(lists),
        None if coarse is None else CoarseCodes.from_bytes(coarse),
    )
    found.let_go()  # what was checked, and what codes were made of
    return Searched(main, dim, n_learnt=found.facts["n_learnt"])


def is_there(folder: Path, name: Name, dim: int) -> bool:
    """Whether the vector file that a database names is there, and undamaged."""
    found = opened(name.path(folder))
    return found is not None and _is_sound(found, name, dim)


def _is_sound(found: Mapped, name: Name, dim: int) -> bool:
    is_named = (found.facts["generation"], found.facts["token"]) == (name.generation, name.token)
    values = found.arrays["values"]
    width = dim if values.dtype == np.float32 else -(-dim // 2)  # once a byte for each value
    if not is_named or values.shape[1] != width:
        return False
    is_small = values.nbytes <= _CHECKED_BYTES
    return found.is_sound(one for one in found.arrays if is_small or one != "values")


def names(folder: Path) -> list[Name]:
    """Name the vector files of a folder as they name themselves, newest first."""
    found = (opened(path) for path in folder.glob("vectors-*.bin"))
    about = [one.facts for one in found if one is not None]
    listed = [Name(facts["generation"], facts["token"]) for facts in about]
    return sorted(listed, key=lambda name: -name.generation)


def delete_files(folder: Path, keep: Name | None = None) -> None:
    """Delete vector files, half-written ones and those of older versions too.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    keep : Name or None
        Which to leave.
    """
    for pattern in ("vectors-*.bin", "vectors-*.bin.part", "*.faiss", "*.faiss.part"):
        for path in folder.glob(pattern):
            if keep is None or path != keep.path(folder):
                path.unlink(missing_ok=True)
