"""What is asked of an engine that keeps vectors behind an address, whichever it is.

A point is a track. It is kept three times over: as the row that a query is first compared with,
as its direction, and as all of its segments.

Letters: D embedding, S segments, K points asked, V versions of a query.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from indexer.exact import Ids, Vectors
from indexer.hubs import Neighbours, directions
from indexer.searched import coarse_rows

MOST_VALUES = 1 << 20
"""What an engine takes of one track at most; of a longer one some segments are left out."""


@dataclass(frozen=True, slots=True)
class Point:
    """A track as an engine keeps it.

    Parameters
    ----------
    id : int
        The track's.
    segments : float32 array, shape (S, D)
        At least one.
    mean : float32 array, shape (D,)
        Of all of the track's segments.
    length : int
        How many these are.
    checksum : int
        Of all of them and the id, so that a point tells whether it is of these.
    """

    id: int
    segments: Vectors
    mean: Vectors
    length: int
    checksum: int

    @classmethod
    def of(cls, track_id: int, vectors: Vectors) -> "Point":
        """Make the point of a track."""
        raw = np.ascontiguousarray(vectors, "<f4").tobytes()
        kept = vectors[:: -(-vectors.size // MOST_VALUES)]
        checksum = zlib.crc32(raw, track_id & 0xFFFFFFFF)
        return cls(track_id, kept, vectors.mean(axis=0), len(vectors), checksum)

    @property
    def coarse(self) -> Vectors:
        """What a query is first compared with, (D + 1,)."""
        return np.asarray(coarse_rows(self.mean[None], np.array([self.length]))[0])

    @property
    def direction(self) -> Vectors:
        """The unit vector of its mean, (D,)."""
        return np.asarray(directions(self.mean[None])[0])


class VectorEngine(Protocol):
    """Keeps the points of one catalog under a name of its own.

    Every call may raise a `VectorStoreError`: the engine is away, too slow, full or refuses.
    """

    @property
    def address(self) -> str:
        """Where it is, for people; no secret is in it."""

    @property
    def is_partial(self) -> bool:
        """Whether what was last searched was searched without parts that are away."""

    def facts(self) -> Mapping[str, Any] | None:
        """Read what was noted of all points; None where there is no such collection."""

    def make(self, dim: int, facts: Mapping[str, Any]) -> None:
        """Make the collection, in place of one that there is."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note facts beside those that were noted before, or in place of them."""

    def put(self, points: Sequence[Point]) -> None:
        """Keep some points, in place of those with the same ids; done when it returns."""

    def drop(self, track_ids: Ids) -> None:
        """Delete some points; those that there are not are passed over."""

    def checksums(self, track_ids: Sequence[int]) -> dict[int, int]:
        """Read the checksums of some points; those that there are not are left out."""

    def ids(self) -> Iterator[Ids]:
        """Yield the ids of all points, in blocks."""

    def rows(self) -> Iterator[tuple[Ids, Vectors]]:
        """Yield ids and directions of all points, in blocks."""

    def best(
        self,
        versions: Sequence[Vectors],
        n_wide: int | None,
        n_deep: int,
        *,
        only: Ids | None,
        without: Ids,
    ) -> Ids:
        """Name the points whose segments are nearest to those of a query, each to its own.

        Parameters
        ----------
        versions : sequence of float32 arrays, each of shape (S, D)
            The query at its own tempo, whose segments decide, then at others.
        n_wide : int or None
            How many are chosen first by the mean of each version; all of them where None.
        n_deep : int
            The longest list wanted.
        only : int64 array or None
            The points that may be answers; all where None.
        without : int64 array
            Points that are no answers.

        Returns
        -------
        int64 array
            In no order.
        """

    def near(self, rows: Vectors, n_points: int, *, without: Ids) -> Neighbours:
        """Find the points whose directions are nearest to each of some rows, (K, D).

        Returns
        -------
        Neighbours
            Lists of `n_points`.
        """

    def snapshot(self) -> str:
        """Have the engine copy all of its files, and say the name of the copy."""

    def close(self) -> None:
        """Let go of the connection."""
