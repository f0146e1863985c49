"""One build: what is to be done about each file, and its doing, file by file."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import cast

from indexer.embedder import Embedder
from indexer.errors import ChangedFileError, FolderError
from indexer.events import (
    Added,
    Event,
    Missing,
    Removed,
    Skipped,
    Unchanged,
    Updated,
    reason_of,
)
from indexer.pipeline import Hear, embed_all, n_readers
from indexer.records import Embedded, Known, Recording, SkippedFile
from indexer.remote import Copies, look_at
from indexer.scan import OLD_HASH, AudioFile, Unreachable, is_remote
from indexer.tags import NO_TAGS, Tags, read_tags
from indexer.writer import Writer


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build has before it.

    Parameters
    ----------
    folders : tuple of Path
        Where it looked.
    found : tuple of AudioFile or Unreachable
        What it found there, in order.
    n_files : int
        How many audio files these are.
    n_unchanged : int
        How many of them the catalog knows as they are.
    again : bool
        Whether tracks of which the catalog keeps no recording are decoded again.
    rescan : bool
        Whether every file is read, though its size and date are as they were.
    n_jobs : int or None
        How many files are decoded at once; what suits the machine, where nothing is said.
    """

    folders: tuple[Path, ...]
    found: tuple[AudioFile | Unreachable, ...]
    n_files: int
    n_unchanged: int
    again: bool = False
    rescan: bool = False
    n_jobs: int | None = None

    @property
    def n_at_once(self) -> int:
        """How many files are decoded at once on this machine."""
        return self.n_jobs or n_readers()


def is_complete(known: Known, again: bool) -> bool:
    """Whether nothing is left to be done about a track while its file is as it was."""
    return known.is_embedded and (known.is_recorded or not again)


def likeness(file: AudioFile) -> tuple[Path, int, int]:
    """Tell a file from what it was before it changed."""
    return file.path, file.size_bytes, file.mtime_ns


class Kind(Enum):
    """What is to be done about a file."""

    KEEP = auto()
    SKIP = auto()
    DESCRIBE = auto()
    COPY = auto()
    EMBED = auto()
    WAIT = auto()
    """Another process embeds a copy of it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One file, what is to be done about it, and what that needs."""

    kind: Kind
    file: AudioFile
    tags: Tags = NO_TAGS
    known: Known | None = None
    reason: str = ""


class Run:
    """One build: decides what is to be done, has it done, and stores it.

    Decisions run ahead of storing, so they rest on what was known at the start and on earlier
    decisions alone, never on how far the pipeline has come.
    """

    def __init__(self, catalog: Writer, embedder: Embedder, plan: Plan) -> None:
        self._catalog = catalog
        self._embedder = embedder
        self._plan = plan
        self._found = {found.path for found in plan.found}
        self._unreachable = {one.path for one in plan.found if isinstance(one, Unreachable)}
        self._known: dict[Path, Known] = {}
        self._skipped: dict[Path, SkippedFile] = {}
        self._done: set[Path] = set()
        self._heard: set[str | None] = set()
        self._homeless: dict[str | None, deque[Known]] = {}
        self._owners: dict[str | None, int] = {}
        self._renamed: set[Path] = set()
        self._copies = Copies()
        self._learn()

    def _learn(self) -> None:
        """Remember what the catalog knows of all files."""
        known = self._catalog.known()
        self._known = {one.file.path: one for one in known}
        self._skipped = {one.file.path: one for one in self._catalog.skipped()}
        self._done = {one.file.path for one in known if is_complete(one, self._plan.again)}
        self._heard = {one.file.audio_hash for one in known if one.file.path in self._done}
        for one in known:
            if one.is_embedded and one.file.path not in self._found:
                self._homeless.setdefault(one.file.audio_hash, deque()).append(one)
        for one in known:  # by id: of several with one hash, the first was embedded, others copied
            self._owners.setdefault(one.file.audio_hash, one.track_id)

    def files(self) -> Iterator[Event]:
        """Yield an event per file found."""
        yield from self._carried_out(self._plan.found)

    def _carried_out(self, files: Iterable[AudioFile | Unreachable]) -> Iterator[Event]:
        with ThreadPoolExecutor(self._plan.n_at_once) as pool:
            steps = ((step, self._hear(step)) for step in self._steps(files, pool))
            done = embed_all(self._embedder, steps, self._plan.n_at_once)
            try:
                for step, outcome in done:
                    event = self._store(step, outcome)
                    self._copies.drop(step.file.path)
                    if event is not None:
                        yield event
            finally:
                done.close()
                pool.shutdown(cancel_futures=True)
                self._copies.close()

    def _hear(self, step: Decision) -> Hear | None:
        if step.kind is not Kind.EMBED:
            return None
        return partial(self._listen, step.file)

    def _listen(self, file: AudioFile) -> Recording:
        """Listen to a file, which must be the one that was hashed; a copy is."""
        copy = self._copies.of(file.path)
        recording = self._embedder.listen(copy)
        if copy == file.path and not file.is_as_it_was():
            raise ChangedFileError(file.path)
        return recording

    def vanished(self, *, prune: bool) -> Iterator[Event]:
        """Yield an event per track whose file is gone."""
        gone = [one for path, one in self._known.items() if self._is_gone(path)]
        if prune:
            self._refuse_unmounted({one.file.path for one in gone})
            self._catalog.delete(one.track_id for one in gone)
        else:
            newly = [one.track_id for one in gone if not one.is_missing]
            self._catalog.mark_missing(newly, is_missing=True)
        self._catalog.unskip(path for path in self._skipped if self._is_gone(path))
        for one in gone:
            yield Removed(one.file.path) if prune else Missing(one.file.path)

    def _is_gone(self, path: Path) -> bool:
        if path in self._found or path in self._renamed:
            return False
        above = {path, *path.parents}
        if not above.intersection(self._plan.folders):
            return False
        return not above.intersection(self._unreachable)

    def _refuse_unmounted(self, gone: set[Path]) -> None:
        for root in self._catalog.roots():
            below = {path for path in self._known if root in path.parents}
            if below and below <= gone and not any(root in path.parents for path in self._found):
                raise FolderError(root, "all of it is gone, so nothing was pruned; is it mounted?")

    # Deciding

    def _steps(
        self, files: Iterable[AudioFile | Unreachable], pool: ThreadPoolExecutor
    ) -> Iterator[Decision]:
        """Decide in the order of the scan; files are read a little ahead, in other threads."""
        ahead: deque[Callable[[], Decision]] = deque()
        n_ahead = 2 * self._plan.n_at_once
        for found in files:
            ahead.append(self._begin(found, pool))
            if len(ahead) > n_ahead:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()

    def _begin(
        self, found: AudioFile | Unreachable, pool: ThreadPoolExecutor
    ) -> Callable[[], Decision]:
        step = self._unread(found)
        if step is not None:
            return lambda: step
        file = cast(AudioFile, found)
        examined = pool.submit(self._examine, file)
        return lambda: self._decide(file, examined)

    def _unread(self, found: AudioFile | Unreachable) -> Decision | None:
        """Decide about a file without reading it, where that can be."""
        if isinstance(found, Unreachable):
            return Decision(Kind.SKIP, AudioFile(found.path, 0, 0), reason=found.reason)
        known = self._known.get(found.path)
        is_done = found.path in self._done
        if known is not None and is_done and self._is_as_it_was(known, found):
            return Decision(Kind.KEEP, found, known=known)
        skipped = self._skipped.get(found.path)
        is_same = skipped is not None and likeness(skipped.file) == likeness(found)
        if skipped is not None and is_same and not self._plan.rescan:
            return Decision(Kind.SKIP, found, reason=skipped.reason)
        return None

    def _decide(self, found: AudioFile, examined: "Future[tuple[AudioFile, Tags]]") -> Decision:
        try:
            file, tags = examined.result()
        except OSError as error:
            return Decision(Kind.SKIP, found, reason=reason_of(error))
        known = self._known.get(file.path)
        is_done = file.path in self._done
        if known is not None and is_done and self._is_same_sound(known, file):
            self._heard.add(file.audio_hash)
            return Decision(Kind.DESCRIBE, file, tags, known)
        moved = self._homeless_twin(file) if known is None else None
        if moved is not None:
            self._renamed.add(moved.file.path)
            return Decision(Kind.DESCRIBE, file, tags, moved)
        if self._is_heard(file):
            return Decision(Kind.COPY, file, tags)
        return self._to_be_embedded(file, tags)

    def _is_heard(self, file: AudioFile) -> bool:
        return file.audio_hash in self._heard

    def _to_be_embedded(self, file: AudioFile, tags: Tags) -> Decision:
        self._heard.add(file.audio_hash)
        return Decision(Kind.EMBED, file, tags)

    def _homeless_twin(self, file: AudioFile) -> Known | None:
        """Find a track of the same audio whose own file is gone, so this must be its new name."""
        for audio_hash in (file.audio_hash, file.packet_hash):
            twins = self._twins(audio_hash)
            while twins:
                twin = twins.popleft()
                is_gone = look_at(twin.file.path) is None  # it may be in a folder not looked at now
                if is_gone and self._is_same_sound(twin, file):
                    return twin
        return None

    def _twins(self, audio_hash: str | None) -> deque[Known]:
        """Tracks of some audio whose file may be gone; each is taken once."""
        return self._homeless.get(audio_hash, deque())

    def _is_as_it_was(self, known: Known, found: AudioFile) -> bool:
        is_outdated = (known.file.audio_hash or "").startswith(OLD_HASH)
        is_alike = likeness(known.file) == likeness(found)
        return is_alike and not is_outdated and not self._plan.rescan

    def _is_same_sound(self, known: Known, file: AudioFile) -> bool:
        """Whether a track's vectors are of this sound; a hash of packets alone proves it of one."""
        old = known.file.audio_hash
        is_owner = self._owners.get(old) == known.track_id
        return old == file.audio_hash or (old == file.packet_hash and is_owner)

    # Storing

    def _store(self, step: Decision, outcome: Embedded | Exception | None) -> Event | None:
        file = step.file
        if step.kind is Kind.SKIP:
            return Skipped(file.path, step.reason)
        if step.known is not None:
            return self._keep(step, step.known)
        if step.kind is Kind.COPY:
            outcome = self._catalog.embedded(str(file.audio_hash))
            if outcome is None:  # the one that it is a copy of could not be embedded, or is gone
                hear = partial(self._listen, file)
                ((_, outcome),) = embed_all(self._embedder, [(step, hear)])
        if not isinstance(outcome, Embedded):
            return self._skip(file, cast(Exception, outcome))
        track_id = self._catalog.store(file, step.tags, outcome)
        recording, is_silent = outcome.recording, not len(outcome.vectors)
        return Added(file.path, track_id, recording.duration_s, is_silent, recording.damage)

    def _keep(self, step: Decision, known: Known) -> Event:
        path = step.file.path
        if step.kind is Kind.DESCRIBE:
            self._catalog.describe(known.track_id, step.file, step.tags, known.file.path)
            if likeness(known.file) == likeness(step.file):  # it was only read again
                return Unchanged(path, known.damage)
            change = "retagged" if known.file.path == path else "renamed"
            return Updated(path, change, known.damage)
        if known.is_missing:
            self._catalog.mark_missing([known.track_id], is_missing=False)
            self._catalog.unskip([path])
        return Unchanged(path, known.damage)

    def _skip(self, file: AudioFile, error: Exception) -> Skipped:
        reason = reason_of(error)
        if isinstance(error, self._embedder.file_errors) and (
            is_remote(file.path) or os.access(file.path, os.R_OK)
        ):
            self._catalog.skip(file, reason)  # else it may be readable next time, unchanged
        return Skipped(file.path, reason)

    def _examine(self, file: AudioFile) -> tuple[AudioFile, Tags]:
        copy = self._copies.of(file.path)
        return file.hashed(copy), read_tags(copy)
