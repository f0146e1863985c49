"""Audio files that lie behind an address which fsspec knows, such as `s3://bucket/music`.

Their paths are written as `s3:/bucket/music/song.mp3`. A file is copied to this machine when it is
read, and the copy deleted when what became of it is stored.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import fsspec

from indexer.errors import FolderError
from indexer.scan import AUDIO_SUFFIXES, AudioFile, Unreachable, find_audio, is_remote

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


def find_files(folders: Iterable[Path]) -> Iterator[AudioFile | Unreachable]:
    """Find the audio below some folders, some of which may be behind addresses.

    Parameters
    ----------
    folders : iterable of Path
        Where to look; see `indexer.scan.find_audio`.

    Yields
    ------
    AudioFile or Unreachable
        First what is on this machine.

    Raises
    ------
    FolderError
        If one of the folders is missing, cannot be read, or holds no audio file.
    """
    folders = list(folders)
    here = [folder for folder in folders if not is_remote(folder)]
    if here:
        yield from find_audio(here)
    seen: set[Path] = set()
    for folder in folders:
        if is_remote(folder):
            for file in _below(folder):
                if file.path not in seen:
                    seen.add(file.path)
                    yield file


def _below(folder: Path) -> Iterator[AudioFile]:
    try:
        system, root = fsspec.core.url_to_fs(_url(folder))
        found = system.find(root, detail=True)
    except Exception as error:  # each file system has errors of its own
        raise FolderError(folder, f"cannot be read: {_reason(error)}") from error
    scheme, n_found = folder.parts[0], 0
    for name in sorted(found):
        path = Path(scheme, name.lstrip("/"))
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in AUDIO_SUFFIXES and not is_hidden:
            n_found += 1
            yield _file(path, found[name])
    if not n_found:
        raise FolderError(folder, "no audio file below this address")


def look_at(path: Path) -> AudioFile | None:
    """Look at one file, here or behind an address; None where there is none."""
    try:
        if not is_remote(path):
            status = os.stat(path)  # noqa: PTH116 (Path.stat is the same call)
            return AudioFile(path, status.st_size, status.st_mtime_ns)
        system, name = fsspec.core.url_to_fs(_url(path))
        return _file(path, system.info(name))
    except Exception:  # each file system has errors of its own
        return None


def _file(path: Path, info: dict[str, Any]) -> AudioFile:
    return AudioFile(path, int(info.get("size") or 0), _changed_ns(info))


def _changed_ns(info: dict[str, Any]) -> int:
    """Say when a file was last written, or else a number that changes with it."""
    for name in _TIMES:
        found = info.get(name)
        if isinstance(found, datetime):
            return round(found.timestamp() * 1e6) * 1000
        if isinstance(found, int | float):
            return round(found * 1e6) * 1000
    tag = str(info.get("ETag") or info.get("etag") or info.get("updated") or "")
    return int.from_bytes(blake2b(tag.encode(), digest_size=7).digest()) if tag else 0


def _url(path: Path) -> str:
    scheme, _, rest = str(path).partition(":/")
    return f"{scheme}:///{rest}" if scheme in {"file", "local"} else f"{scheme}://{rest}"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class Copies:
    """Copies of files behind addresses, each for as long as it is needed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._copies: dict[Path, Path] = {}
        self._numbers = count()

    def of(self, path: Path) -> Path:
        """Find a file on this machine, or copy it here; called from any thread.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        if not is_remote(path):
            return path
        if path in self._copies:
            return self._copies[path]
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="pemr-"))
        copy = self._folder / str(next(self._numbers)) / path.name  # its name may be its title
        copy.parent.mkdir()
        try:
            with fsspec.open(_url(path), "rb") as source, copy.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        except Exception as error:  # each file system has errors of its own
            shutil.rmtree(copy.parent, ignore_errors=True)
            if isinstance(error, OSError) and error.strerror:
                raise
            raise OSError(f"cannot be read: {_reason(error)}") from error
        self._copies[path] = copy
        return copy

    def drop(self, path: Path) -> None:
        """Delete the copy of a file, if there is one."""
        copy = self._copies.pop(path, None)
        if copy is not None:
            shutil.rmtree(copy.parent, ignore_errors=True)

    def close(self) -> None:
        """Delete all copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._copies.clear()
