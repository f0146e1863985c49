"""A build that shares its files with those of other processes; see `indexer.claims`.

What others do meanwhile is seen when a file is taken: only then is decided what is to be done.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.claims import Claims, LostClaimError
from indexer.embedder import Embedder
from indexer.events import Event, Unchanged
from indexer.records import Embedded, Known
from indexer.remote import look_at
from indexer.run import Decision, Kind, Plan, Run, is_complete
from indexer.scan import OLD_HASH, AudioFile
from indexer.tags import Tags
from indexer.writer import MovedTrackError, Writer

_WAIT_S = 0.5  # for others, who do the last files


class ClaimedRun(Run):
    """A build of one of several processes.

    Parameters
    ----------
    catalog : Writer
        On a server.
    embedder : Embedder
        The one that the catalog was opened with.
    plan : Plan
        What was found.
    claims : Claims
        Of this process, in the folders of the plan.
    """

    def __init__(self, catalog: Writer, embedder: Embedder, plan: Plan, claims: Claims) -> None:
        super().__init__(catalog, embedder, plan)
        self._claims = claims

    def files(self) -> Iterator[Event]:
        """Yield an event per file found: what this process does of them, and what others did."""
        rest: dict[Path, AudioFile] = {}
        for found in self._plan.found:
            step = self._unread(found)
            if step is None and isinstance(found, AudioFile):
                rest[found.path] = found
            elif step is not None and (event := super()._store(step, None)) is not None:
                yield event
        self._claims.offer(rest)
        left = dict(rest)
        for event in self._rounds(rest):
            left.pop(event.path, None)
            yield event
        for path in left:
            yield Unchanged(path)

    def _rounds(self, rest: dict[Path, AudioFile]) -> Iterator[Event]:
        """Do what can be taken, until all is done; others may give something back."""
        while True:
            yield from self._carried_out(self._taken(rest))
            if not self._claims.are_left():
                return
            time.sleep(_WAIT_S)

    def vanished(self, *, prune: bool) -> Iterator[Event]:
        """Yield an event per track whose file is gone; others may have given some a new name."""
        self._known = {one.file.path: one for one in self._catalog.known()}
        self._skipped = {one.file.path: one for one in self._catalog.skipped()}
        yield from super().vanished(prune=prune)

    def _taken(self, rest: dict[Path, AudioFile]) -> Iterator[AudioFile]:
        """Take files until nobody has any left, and yield those that are there."""
        while paths := self._claims.take(self._plan.n_at_once):
            self._look_again(paths)
            for path in paths:
                file = rest.get(path) or look_at(path)
                if file is None:  # offered by another, and deleted since
                    self._claims.drop(path)
                else:
                    yield file

    def _look_again(self, paths: Sequence[Path]) -> None:
        """Learn what others have stored of some files."""
        known: dict[Path, Known] = {one.file.path: one for one in self._catalog.known(paths)}
        skipped = {one.file.path: one for one in self._catalog.skipped(paths)}
        for path in paths:
            self._known.pop(path, None)
            self._skipped.pop(path, None)
            self._done.discard(path)
        self._known |= known
        self._skipped |= skipped
        again = self._plan.again
        self._done |= {path for path, one in known.items() if is_complete(one, again)}
        for one in known.values():
            self._owners.setdefault(one.file.audio_hash, one.track_id)

    def _is_heard(self, file: AudioFile) -> bool:
        if super()._is_heard(file):
            return True
        return self._claims.is_heard(str(file.audio_hash), is_recorded=self._plan.again)

    def _to_be_embedded(self, file: AudioFile, tags: Tags) -> Decision:
        if not self._claims.reserve(file.path, str(file.audio_hash)):
            return Decision(Kind.WAIT, file, tags)
        return super()._to_be_embedded(file, tags)

    def _store(self, step: Decision, outcome: Embedded | Exception | None) -> Event | None:
        path = step.file.path
        try:
            if step.kind is Kind.WAIT:
                self._claims.put_back(path, step.file.audio_hash)
                return None
            event = super()._store(step, outcome)
        except LostClaimError:
            return None  # who has it now does it
        except MovedTrackError:  # another process took that track for another file
            self._claims.put_back(path, None)
            return None
        self._claims.drop(path)
        return event


class TakingRun(ClaimedRun):
    """A build of a worker, who knows of no file before it is taken, and of no other ever.

    So it begins at once, however many files the catalog knows: what was offered says what is to be
    done, and the database what is known of each such file, or of others of the same audio.
    """

    def _learn(self) -> None:
        self._there: set[Path] = set()

    def _twins(self, audio_hash: str | None) -> deque[Known]:
        if audio_hash is None or audio_hash.startswith(OLD_HASH):
            return deque()
        waiting = self._homeless.setdefault(audio_hash, deque())
        known = self._claims.of_audio(audio_hash)
        new = [one for one in known if one.is_embedded and one.file.path not in self._there]
        self._there.update(one.file.path for one in new)  # as is found out next, or it is taken
        waiting.extend(new)
        return waiting

    def _is_same_sound(self, known: Known, file: AudioFile) -> bool:
        # which of several with an old hash was embedded cannot be told once one has a new hash
        return known.file.audio_hash == file.audio_hash
