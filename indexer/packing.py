"""Arrays ↔ the bytes of a row, with checksums: what was damaged since is told, never answered with.

Letters: D embedding, S segments, T frames.
"""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import DamagedTrackError
from indexer.records import N_ROWS, Vectors


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


def vectors_checksum(track_id: int, stored: bytes) -> int:
    """CRC-32 of a track's vectors, begun with its id, so that another's are not taken for them."""
    return zlib.crc32(stored, track_id & 0xFFFFFFFF)


def unpacked_vectors(track_id: int, stored: bytes, found: int, dim: int) -> Vectors:
    """Read the vectors of a track, float32 (S, D).

    Raises
    ------
    DamagedTrackError
        If their checksum is another than was found when they were stored.
    """
    if vectors_checksum(track_id, stored) != found or len(stored) % (4 * dim):
        raise DamagedTrackError(track_id, "vectors")
    return np.frombuffer(stored, dtype="<f4").reshape(-1, dim).astype(np.float32, copy=False)


def unpacked_path(track_id: int, stored: object) -> Path:
    """Read the path of a track's file.

    Raises
    ------
    DamagedTrackError
        If it is no bytes, as all that are written.
    """
    if not isinstance(stored, bytes):
        raise DamagedTrackError(track_id, "facts")
    return Path(os.fsdecode(stored))
