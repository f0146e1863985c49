"""What every kind of vectors can be asked, and what it is made from.

`indexer.searched.Searched` is the kind in a mapped file, `indexer.stores.remote.RemoteIndex` the
one in an engine by address. Both are one state of the catalog, which another follows when tracks
came and went; both are tested by the same tests.

Letters: D embedding, S segments, K tracks asked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from indexer.exact import Ids, Track, Vectors
from indexer.hubs import Neighbours


@dataclass(frozen=True, slots=True)
class Rows:
    """The vectors that the database holds in one state: the truth that every index is made from.

    Parameters
    ----------
    dim : int
        Length D.
    all : callable
        Yields every track that has segments, by id; called once for each pass.
    since : callable
        Yields those whose vectors came after a generation, by id.
    gone : callable
        Lists the tracks whose vectors went after a generation.
    of : callable
        Reads the segments of some tracks; those that there are not are left out.
    n_tracks : callable
        Tells how many tracks have segments, at once.
    n_segments : callable
        Counts their segments, which takes seconds among millions.
    """

    dim: int
    all: Callable[[], Iterable[Track]]
    since: Callable[[int], Iterable[Track]]
    gone: Callable[[int], Ids]
    of: Callable[[Sequence[int]], Mapping[int, Vectors]]
    n_tracks: Callable[[], int]
    n_segments: Callable[[], int]


class VectorIndex(Protocol):
    """All tracks of a catalog that sound, in one state, to be asked which are near."""

    @property
    def dim(self) -> int:
        """Length D of a vector."""

    @property
    def n_changed(self) -> int:
        """How many tracks came or went since the store was last brought up to date."""

    @property
    def n_segments(self) -> int:
        """How many segments there are."""

    @property
    def mean_length(self) -> float:
        """How many segments a track has on average; 1 where there is none."""

    def __len__(self) -> int:
        """How many tracks there are."""

    def changed(self, gone: Ids, came: Iterable[Track]) -> Self:
        """Return what is searched after some tracks went and others came; this stays as it is."""

    def over(self, rows: Rows) -> Self:
        """Return the same, to be read from another session that sees the same state."""

    def directions(self) -> tuple[Ids, Vectors]:
        """Ids of all tracks, ascending, and the unit vector of each one's mean, (N, D)."""

    def nearest(
        self,
        versions: Sequence[Vectors],
        n_tracks: int,
        *,
        only: Ids | None = None,
        without: Ids | None = None,
        is_exact: bool = False,
    ) -> Ids:
        """Name the tracks that score best as answers to a query.

        Parameters
        ----------
        versions : sequence of float32 arrays, each of shape (S, D)
            The query at its own tempo, then at others; at least one has segments.
        n_tracks : int
            The longest list wanted.
        only : int64 array, optional
            The tracks that may be answers; all where nothing is said.
        without : int64 array, optional
            Tracks that are no answers.
        is_exact : bool
            Whether every track is scored by all of its segments, however many there are.

        Returns
        -------
        int64 array
            Ascending.

        Raises
        ------
        VectorStoreError
            If an engine that is asked cannot answer.
        """

    def gaining(self, versions: Sequence[Vectors], n_tracks: int, level: float) -> Ids:
        """Name the tracks of which a recording of hours holds most; see `Segments.gains`.

        Parameters
        ----------
        versions : sequence of float32 arrays, each of shape (S, D)
            The recording at its own tempo and at others.
        n_tracks : int
            The longest list wanted.
        level : float
            A cosine that segments of strangers seldom reach.

        Returns
        -------
        int64 array
            Ascending; tracks that gain nothing are left out.

        Raises
        ------
        VectorStoreError
            If an engine that is asked cannot answer.
        """

    def neighbours(self, track_ids: Ids) -> Neighbours:
        """Find the ten tracks that are nearest to each of some tracks as a whole."""
