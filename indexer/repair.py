"""The vector files made again from the database, and kept in step with it.

`segments-<generation>.faiss` and `tracks-<generation>.faiss` are a cache: they hold nothing that
`catalog.db` does not, and they count only while their ids are exactly those of its rows.

Letters: D embedding, N tracks, S segments.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.vectors import Ids, VectorIndex, Vectors

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Indexes:
    """What is searched: all segments, and one vector per track."""

    segments: VectorIndex
    tracks: VectorIndex

    def add(self, track_id: int, segment_ids: Ids, vectors: Vectors) -> None:
        """Take in the segments of one track; a silent one adds nothing."""
        if len(segment_ids):
            self.segments.add(segment_ids, vectors)
            self.tracks.add(np.array([track_id]), track_vector(vectors)[None])

    def remove(self, track_ids: Ids, segment_ids: Ids) -> None:
        """Forget some tracks and their segments."""
        self.tracks.remove(track_ids)
        self.segments.remove(segment_ids)


def track_vector(vectors: Vectors) -> Vectors:
    """Average a track's normalised segment embeddings into one unit vector.

    Parameters
    ----------
    vectors : float32 array, shape (S, D)
        At least one row.

    Returns
    -------
    float32 array, shape (D,)
        Of unit length, or all zero where the segments cancel out.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = np.mean(vectors / np.maximum(lengths, 1e-12), axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def read_indexes(
    folder: Path, generation: int, dim: int, segment_ids: Ids, track_ids: Ids
) -> Indexes | None:
    """Read the vector files, if they agree with the database.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    generation : int
        The database's.
    dim : int
        Length D of a vector.
    segment_ids, track_ids : int64 arrays
        What the database holds, ascending.

    Returns
    -------
    Indexes or None
        None where a file is absent, damaged, or does not hold exactly these ids.
    """
    segments, tracks = (VectorIndex.read(path, dim) for path in _files(folder, generation))
    if segments is None or tracks is None:
        return None
    if not np.array_equal(np.sort(segments.ids), segment_ids):
        return None
    if not np.array_equal(np.sort(tracks.ids), track_ids):
        return None
    return Indexes(segments, tracks)


def rebuild_indexes(stored: Iterable[tuple[int, Ids, Vectors]], dim: int) -> Indexes:
    """Make the indexes from the stored vectors; nothing is decoded.

    Parameters
    ----------
    stored : iterable of (track id, segment ids of shape (S,), vectors of shape (S, D))
        Every track that has segments.
    dim : int
        Length D of a vector.

    Returns
    -------
    Indexes
        In memory.
    """
    indexes = Indexes(VectorIndex(dim), VectorIndex(dim))
    waiting: list[tuple[int, Ids, Vectors]] = []
    n_waiting = 0
    for track in stored:
        waiting.append(track)
        n_waiting += len(track[1])
        if n_waiting >= _ROWS_AT_ONCE:
            _add_all(indexes, waiting)
            waiting, n_waiting = [], 0
    _add_all(indexes, waiting)
    return indexes


def _add_all(indexes: Indexes, tracks: list[tuple[int, Ids, Vectors]]) -> None:
    if tracks:
        ids = np.array([track_id for track_id, _, _ in tracks])
        indexes.tracks.add(ids, np.stack([track_vector(vectors) for _, _, vectors in tracks]))
        indexes.segments.add(
            np.concatenate([segment_ids for _, segment_ids, _ in tracks]),
            np.concatenate([vectors for _, _, vectors in tracks]),
        )


def is_written(folder: Path, generation: int) -> bool:
    """Whether both vector files of a generation are there."""
    return all(path.exists() for path in _files(folder, generation))


def write_indexes(indexes: Indexes, folder: Path, generation: int) -> None:
    """Write the vector files of a generation, then delete those of any other.

    Parameters
    ----------
    indexes : Indexes
        What to write.
    folder : Path
        The catalog's folder.
    generation : int
        The database's.

    Raises
    ------
    OSError
        If a file cannot be written; then the next writer rebuilds them.
    """
    segments, tracks = _files(folder, generation)
    indexes.segments.write(segments)
    indexes.tracks.write(tracks)
    delete_indexes(folder, keep=(segments, tracks))
    log.debug("wrote %s and %s", segments.name, tracks.name)


def delete_indexes(folder: Path, keep: tuple[Path, ...] = ()) -> None:
    """Delete vector files, half-written ones too.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    keep : tuple of Path
        Which to leave.
    """
    for path in [*folder.glob("*.faiss"), *folder.glob("*.faiss.part")]:
        if path not in keep:
            path.unlink(missing_ok=True)


def _files(folder: Path, generation: int) -> tuple[Path, Path]:
    return folder / f"segments-{generation}.faiss", folder / f"tracks-{generation}.faiss"
