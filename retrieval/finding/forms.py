"""A whole catalog → groups of tracks that are one recording: copies, and other encodings of it.

Copies have the same packets. Other forms are looked for among the ten nearest tracks of each, which
the catalog keeps, so nobody compares all with all; their chroma decides. What plays in another key
or at another speed is no other encoding, though a search may call it the same recording.

Letters: S segments, D embedding, T frames of chroma.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indexer import FRAME_RATE, Catalog, Track, duplicate_groups
from retrieval.finding.links import NEAR_AS_COPIES
from retrieval.ranking.matching.identity import is_same_recording
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.ranking import Ranking
from retrieval.ranking.searching import tonal_of

SHARED: Final = 0.5
"""Share of the longer track that both must have in common: a mix is no form of what it plays."""

_TEMPO = 0.02  # by which two encodings may differ, as far as a span tells
_AT_ONCE = 500  # tracks whose nearest are read together


def find_duplicates(
    catalog: Catalog,
    ranking: Ranking,
    *,
    is_exact: bool = False,
    watch: Callable[[Iterator[Track]], Iterable[Track]] = iter,
) -> list[list[Track]]:
    """Group the tracks of a catalog that are one recording.

    Parameters
    ----------
    catalog : Catalog
        Where to look. Nothing is decoded or embedded.
    ranking : Ranking
        Whose weights of harmony count.
    is_exact : bool
        Whether only tracks with the same packets count, which takes no time.
    watch : callable, optional
        Given an iterator over the tracks as they are compared, returns what to iterate instead.

    Returns
    -------
    list of list of Track
        Groups of two or more, each in order of path, in order of their first path. Of a recording
        with ten copies and more, another form may stay unseen.
    """
    with catalog.snapshot():
        tracks = {track.id: track for track in catalog.tracks()}
        groups = _Groups(tracks)
        for copies in duplicate_groups(catalog):
            for track in copies[1:]:
                groups.join(copies[0].id, track.id)
        if not is_exact:
            sounding = [track for track in tracks.values() if track.n_segments]
            for _ in watch(_compared(catalog, ranking, sounding, groups)):
                pass
    found = [sorted(one, key=_place) for one in groups.members() if len(one) > 1]
    return sorted(found, key=lambda one: _place(one[0]))


def duplicate_rows(groups: Sequence[Sequence[Track]]) -> list[dict[str, Any]]:
    """Write groups as rows, one for each track.

    Parameters
    ----------
    groups : sequence of sequence of Track
        From `find_duplicates`.

    Returns
    -------
    list of dict
        With the keys group, audio, title, artist, album, duration_s and path. Tracks of a group
        with the same number under `audio` have the same packets.
    """
    rows = []
    for number, tracks in enumerate(groups, start=1):
        hashes = list(dict.fromkeys(track.audio_hash for track in tracks))
        rows += [
            {
                "group": number,
                "audio": hashes.index(track.audio_hash) + 1,
                "title": track.title,
                "artist": track.artist,
                "album": track.album,
                "duration_s": round(track.duration_s, 1),
                "path": str(track.path),
            }
            for track in tracks
        ]
    return rows


class _Groups:
    """Tracks that belong together, joined pair by pair."""

    def __init__(self, tracks: dict[int, Track]) -> None:
        self._tracks = tracks
        self._above = {track_id: track_id for track_id in tracks}

    def root(self, track_id: int) -> int:
        while (above := self._above[track_id]) != track_id:
            self._above[track_id] = self._above[above]
            track_id = above
        return track_id

    def join(self, one: int, other: int) -> None:
        self._above[self.root(other)] = self.root(one)

    def members(self) -> list[list[Track]]:
        found: dict[int, list[Track]] = {}
        for track_id, track in self._tracks.items():
            found.setdefault(self.root(track_id), []).append(track)
        return list(found.values())


def _place(track: Track) -> bytes:
    return bytes(track.path)


def _compared(
    catalog: Catalog, ranking: Ranking, tracks: Sequence[Track], groups: _Groups
) -> Iterator[Track]:
    """Compare each track with those of its nearest that it is not yet joined with."""
    lengths = {track.id: track.duration_s for track in tracks}
    for first in range(0, len(tracks), _AT_ONCE):
        some = tracks[first : first + _AT_ONCE]
        near = catalog.neighbours(np.array([track.id for track in some], np.int64))
        for track, ids, cosines in zip(some, near.ids, near.cosines, strict=True):
            others = [
                other
                for other in ids[cosines > NEAR_AS_COPIES].tolist()
                if SHARED <= lengths[other] / max(lengths[track.id], 1e-9) <= 1 / SHARED
            ]
            for other in _alike(catalog, ranking, track.id, others, groups):
                groups.join(track.id, other)
            yield track


def _alike(
    catalog: Catalog, ranking: Ranking, track_id: int, others: Sequence[int], groups: _Groups
) -> Iterator[int]:
    """Name those of some tracks that are a form of another one."""
    apart = [other for other in others if groups.root(other) != groups.root(track_id)]
    if not apart:
        return
    ours, *vectors = catalog.embeddings_of([track_id, *apart])
    near = [
        other
        for other, theirs in zip(apart, vectors, strict=True)
        if _nearness(ours, theirs) > NEAR_AS_COPIES
    ]
    if not near:
        return
    tonal, *pictures = tonal_of(catalog, [track_id, *near])
    for other, theirs in zip(near, pictures, strict=True):
        if _is_form(tonal, theirs, ranking):
            yield other


def _nearness(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    cosines = ours @ theirs.T
    return max(float(cosines.max(axis=1).mean()), float(cosines.max(axis=0).mean()))


def _is_form(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], ranking: Ranking) -> bool:
    spans = find_spans(ours, theirs, 0, weights=ranking.harmony_weights, n_spans=1)
    if not spans or spans[0].transposition or abs(spans[0].tempo - 1) > _TEMPO:
        return False
    n_seconds = max(ours.shape[1], theirs.shape[1]) / FRAME_RATE
    shared_s = spans[0].end_s - spans[0].start_s
    return shared_s >= SHARED * n_seconds and is_same_recording(ours, theirs, spans[0])
