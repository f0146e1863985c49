"""Loops in Python → machine code, which is kept for the next run only as far as it can be trusted.

Numba believes what lies in its cache, and ends the program where that is damaged or its disk full.
Here every file of the cache carries a checksum, and any trouble with it means that code is
compiled again. `retrieval.ranking.matching.kernels` is the same, as the rooms share no code.
"""

import io
import logging
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_N_SUM = 4  # bytes of a checksum


def compiled(function: Kernel, *, fastmath: bool = False) -> Kernel:
    """Compile with numba, and keep the machine code for the next run where a folder allows it.

    Parameters
    ----------
    function : callable
        What numba can compile.
    fastmath : bool, optional
        Whether sums may be taken in another order.

    Returns
    -------
    callable
        The same, compiled when it is first called; it lets other threads run.
    """
    dispatcher: Any = njit(nogil=True, fastmath=fastmath)(function)
    try:
        dispatcher._cache = _CheckedCache(dispatcher.py_func)
    except (RuntimeError, OSError) as error:  # no writable place, neither here nor at home
        log.debug("compiled code is not kept: %s", error)
    return cast(Kernel, dispatcher)


class _CheckedCache(FunctionCache):
    """Numba's cache of one function, whose every error means that there is nothing in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, sig: object, target_context: object) -> object:
        """Load what was compiled for a signature; None where that cannot be trusted."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            log.debug("compiled code is not read: %s", error)
            return None

    def save_overload(self, sig: object, data: object) -> None:
        """Keep what was compiled for a signature, if that can be done."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            log.debug("compiled code is not kept: %s", error)


class _CheckedFile(IndexDataCacheFile):
    """The files of such a cache; each ends in a checksum, which unpickling passes over."""

    def _dump(self, obj: object) -> bytes:
        content: bytes = super()._dump(obj)
        return content + _sum(content)

    def _load_index(self) -> dict[Any, Any]:
        try:
            content = io.BytesIO(Path(self._index_path).read_bytes())
            pickle.load(content)  # noqa: S301 (numba's version, before the rest)
            found: dict[Any, Any] = super()._load_index() if _is_sound(content.read()) else {}
        except Exception as error:
            log.debug("compiled code is not read: %s", error)
            return {}
        return found

    def _load_data(self, name: str) -> object:
        if not _is_sound(Path(self._data_path(name)).read_bytes()):
            raise OSError("its checksum is wrong")
        return super()._load_data(name)


def _sum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_N_SUM, "big")


def _is_sound(content: bytes) -> bool:
    return len(content) > _N_SUM and _sum(content[:-_N_SUM]) == content[-_N_SUM:]
