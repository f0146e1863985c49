"""Arrays ↔ one file, which is mapped and not read.

The file holds the arrays one after the other, then what they are as JSON, then how long that is:
a file that was cut short has no end, and one that is whole says so itself.
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

_END = b"pemr vectors 2\n"
_TAIL = struct.Struct("<QI")  # length of the JSON, and its CRC-32
_ALIGNED = 64
_BYTES_AT_ONCE = 1 << 24

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A file as it was found: its arrays, mapped, and the facts beside them."""

    facts: Mapping[str, Any]
    arrays: Arrays
    _checksums: Mapping[str, int]
    _whole: np.memmap[Any, Any]

    def is_sound(self, names: Iterable[str]) -> bool:
        """Whether some of the arrays are as they were written; reads them whole."""
        return all(_checksum(self.arrays[name]) == self._checksums[name] for name in names)

    def let_go(self) -> None:
        """Count nothing of the file as memory of this process, until it is read again."""
        held = self._whole._mmap  # type: ignore[attr-defined]  # NumPy has no other way to it
        if hasattr(mmap, "MADV_DONTNEED"):
            held.madvise(mmap.MADV_DONTNEED)


class Draft:
    """A file that is being written beside its place, and takes that only when it is whole.

    Use it in a `with` statement: an error leaves what was there before.

    Parameters
    ----------
    path : Path
        Where it will be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._beside.open("wb")
        self._about: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)

    def put(self, name: str, blocks: Iterable[NDArray[Any]]) -> None:
        """Write an array, given as blocks of its rows; at least one, which may be empty."""
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNED))
        offset, n_rows, checksum = self._file.tell(), 0, 0
        for block in blocks:
            rows = np.ascontiguousarray(block)
            if rows.size:
                self._file.write(rows.data)
                checksum = zlib.crc32(rows.data, checksum)
            n_rows += len(rows)
        about = {"name": name, "offset": offset, "checksum": checksum}
        self._about.append(about | {"dtype": rows.dtype.str, "shape": [n_rows, *rows.shape[1:]]})

    def pour(self, name: str, source: Callable[[Callable[[bytes], object]], None]) -> None:
        """Write an array of bytes, given piece by piece to a function that takes them."""
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNED))
        offset, checksum = self._file.tell(), 0
        failed: list[OSError] = []

        def take(piece: bytes) -> None:
            nonlocal checksum
            try:
                self._file.write(piece)
            except OSError as error:
                failed.append(error)
                raise
            checksum = zlib.crc32(piece, checksum)

        try:
            source(take)
        except RuntimeError as error:  # what a library makes of an error in between
            if failed:
                raise failed[0] from error
            raise
        about = {"name": name, "offset": offset, "checksum": checksum, "dtype": "|u1"}
        self._about.append(about | {"shape": [self._file.tell() - offset]})

    def commit(self, facts: Mapping[str, Any]) -> None:
        """Write the end, and put the file in its place.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        about = json.dumps({"facts": dict(facts), "arrays": self._about}).encode()
        self._file.write(about + _TAIL.pack(len(about), zlib.crc32(about)) + _END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._beside, self._path)  # noqa: PTH105 (Path.replace is the same call)


def opened(path: Path) -> Mapped | None:
    """Map a file; None if there is none, or it is cut short or none of ours.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Mapped or None
    """
    try:
        about = _about(path)
        if about is None:
            return None
        whole = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError):
        return None
    arrays, checksums = {}, {}
    for one in about["arrays"]:
        dtype, shape = np.dtype(one["dtype"]), tuple(one["shape"])
        n_bytes = dtype.itemsize * int(np.prod(shape))
        rows = whole[one["offset"] : one["offset"] + n_bytes]
        arrays[one["name"]] = np.asarray(rows).view(dtype).reshape(shape)
        checksums[one["name"]] = one["checksum"]
    return Mapped(about["facts"], arrays, checksums, whole)


def _about(path: Path) -> dict[str, Any] | None:
    n_tail = _TAIL.size + len(_END)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < n_tail:
            return None
        file.seek(size - n_tail)
        tail = file.read(n_tail)
        length, checksum = _TAIL.unpack(tail[: _TAIL.size])
        if not tail.endswith(_END) or length > size - n_tail:
            return None
        file.seek(size - n_tail - length)
        about = file.read(length)
    if zlib.crc32(about) != checksum:
        return None
    found: dict[str, Any] = json.loads(about)
    return found


def _checksum(array: NDArray[Any]) -> int:
    found = 0
    raw = array.reshape(-1).view(np.uint8)
    for first in range(0, len(raw), _BYTES_AT_ONCE):
        found = zlib.crc32(raw[first : first + _BYTES_AT_ONCE].data, found)
    return found
