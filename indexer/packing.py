"""Arrays ↔ the bytes of a row, with checksums: what was damaged since is told, never answered with.

Letters: D embedding, S segments, T frames.
"""

import marshal
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedTrackError
from indexer.records import N_ROWS, Pitches, Vectors


def checksum(parts: Iterable[bytes]) -> int:
    """CRC-32 of some packed parts, one after the other."""
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return found


def packed(part: NDArray[np.uint8]) -> bytes:
    """Deflate a part of a recording; none of its frames are no bytes."""
    frames = np.ascontiguousarray(part, dtype=np.uint8)
    return zlib.compress(frames.tobytes(), 6) if frames.size else b""


def unpacked(name: str, stored: bytes, track_id: int) -> NDArray[np.uint8]:
    """Inflate a part of a recording, uint8 (rows, T).

    Raises
    ------
    DamagedTrackError
        If it is not what was packed.
    """
    try:
        frames = zlib.decompress(stored) if stored else b""  # checks what it was, too
        return np.frombuffer(frames, dtype=np.uint8).reshape(N_ROWS[name], -1)
    except (zlib.error, ValueError) as error:
        raise DamagedTrackError(track_id, name) from error


def row_checksum(values: tuple[Any, ...]) -> int:
    """CRC-32 of the values of a row: text, bytes, numbers, truths and None.

    They are written in the second format of `marshal`, which has not changed since Python 2.5 and
    takes a microsecond.
    """
    return zlib.crc32(marshal.dumps(values, 2))


def begun_checksum(track_id: int, *stored: bytes) -> int:
    """CRC-32 of what is stored of a track, begun with its id: another's is not taken for it."""
    found = track_id & 0xFFFFFFFF
    for part in stored:
        found = zlib.crc32(part, found)
    return found


def vectors_checksum(track_id: int, stored: bytes, generation: int) -> int:
    """CRC-32 of a track's vectors, begun with its id, and of when they came."""
    return begun_checksum(track_id, stored, generation.to_bytes(8, "little", signed=True))


class StoredVectors(NamedTuple):
    """A row of vectors as it is stored."""

    track_id: int
    vectors: bytes
    generation: int
    checksum: int

    def unpacked(self, dim: int) -> Vectors:
        """Read the vectors of a track, float32 (S, D).

        Raises
        ------
        DamagedTrackError
            If their checksum is another than was found when they were stored.
        """
        stored = self.vectors
        is_whole = isinstance(stored, bytes) and not len(stored) % (4 * dim)
        if not is_whole or self.checksum != vectors_checksum(*self[:3]):
            raise DamagedTrackError(self.track_id, "vectors")
        return np.frombuffer(stored, dtype="<f4").reshape(-1, dim).astype(np.float32, copy=False)


def unpacked_spans(track_id: int, stored: bytes, found: int) -> NDArray[np.float64]:
    """Read where a track's segments begin and end, float64 (S, 2).

    Raises
    ------
    DamagedTrackError
        If their checksum is another than was found when they were stored.
    """
    if begun_checksum(track_id, stored) != found or len(stored) % 16:
        raise DamagedTrackError(track_id, "spans")
    return np.frombuffer(stored, dtype="<f8").reshape(-1, 2).astype(np.float64, copy=False)


def unpacked_pitches(track_id: int, chroma: bytes, harmony: bytes, found: int) -> Pitches:
    """Read chroma and harmony of a track.

    Raises
    ------
    DamagedTrackError
        If their checksum is another than was found when they were stored.
    """
    if begun_checksum(track_id, chroma, harmony) != found:
        raise DamagedTrackError(track_id, "chroma")
    return Pitches(
        unpacked("chroma", chroma, track_id),
        unpacked("harmony", harmony, track_id),
    )
