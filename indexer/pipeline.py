"""Files to embedded recordings: decode ∥ front end ∥ encode, with bounded queues between.

Reader threads decode files and cut segments; the caller's thread embeds what has arrived,
segments of several files in one batch, and hands recordings back in the order in which they were
asked for, whatever the threads do. Which segments share a batch does depend on time, so an
embedder whose rounding depends on the batch may differ in a vector's last bits.

Letters: D embedding, S segments.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from indexer.embedder import Embedder, SegmentBatch
from indexer.rows import Embedded, Vectors

T = TypeVar("T")

_MAX_SEGMENTS = 256
"""Segments after which a batch is embedded, though more are waiting."""

_MAX_WAITING = 8
"""Stretches of audio that are cut but not embedded yet."""

_POLL_S = 0.2


def n_readers() -> int:
    """How many files are decoded at once: as many as there are cores, up to eight."""
    return min(8, os.cpu_count() or 1)


@dataclass(slots=True)
class _Job(Generic[T]):
    payload: T
    source: Path | None
    vectors: list[Vectors] = field(default_factory=list)
    spans_s: list[NDArray[np.float64]] = field(default_factory=list)
    chroma: list[NDArray[np.uint8]] = field(default_factory=list)
    duration_s: float = 0.0
    error: Exception | None = None
    is_done: bool = False

    def note(self, batch: SegmentBatch) -> None:
        """Keep what is small of a batch; its segments go once they are embedded."""
        self.spans_s.append(np.stack([batch.start_s, batch.end_s], axis=1))
        self.chroma.append(batch.chroma)
        self.duration_s += batch.duration_s

    def outcome(self, dim: int) -> Embedded | Exception | None:
        if self.source is None or self.error is not None:
            return self.error
        return Embedded(
            np.concatenate([np.empty((0, dim), np.float32), *self.vectors]),
            np.concatenate([np.empty((0, 2)), *self.spans_s]),
            np.concatenate([np.empty((12, 0), np.uint8), *self.chroma], axis=1),
            self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing that is said of a file."""

    error: Exception | None = None


def embed_files(
    embedder: Embedder, jobs: Iterable[tuple[T, Path | None]]
) -> Generator[tuple[T, Embedded | Exception | None]]:
    """Embed files, in bounded memory and in order.

    Parameters
    ----------
    embedder : Embedder
        `stream` is called from several threads, `embed` from the caller's.
    jobs : iterable of (anything, Path or None)
        What goes with a file, and the file; without a file the first passes through, in its turn.
        Taken little by little, ahead of what is handed back.

    Yields
    ------
    tuple
        What came with the file, then its `Embedded`, or the error that makes the file unusable
        (one of `embedder.file_errors`, or an `OSError`), or None where there was no file.
    """
    line = _Line(embedder, iter(jobs))
    try:
        while (job := line.next_done()) is not None:
            yield job.payload, job.outcome(embedder.dim)
    finally:
        line.stop()


class _Line(Generic[T]):
    """The readers, what they have been given, and what they have made."""

    def __init__(self, embedder: Embedder, jobs: Iterator[tuple[T, Path | None]]) -> None:
        self._embedder = embedder
        self._jobs = jobs
        self._in_order: deque[_Job[T]] = deque()
        self._to_read: queue.SimpleQueue[_Job[T] | None] = queue.SimpleQueue()
        self._read: queue.Queue[tuple[_Job[T], SegmentBatch | _End]] = queue.Queue(_MAX_WAITING)
        self._is_stopped = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_all, name=f"reader-{number}", daemon=True)
            for number in range(n_readers())
        ]
        for reader in self._readers:
            reader.start()

    def stop(self) -> None:
        """Send the readers home; what they have begun is dropped."""
        self._is_stopped.set()
        for _ in self._readers:
            self._to_read.put(None)
        for reader in self._readers:
            reader.join()

    def next_done(self) -> _Job[T] | None:
        """Wait for the next recording in order; None after the last."""
        self._top_up()
        if not self._in_order:
            return None
        while not self._in_order[0].is_done:
            self._encode()
        return self._in_order.popleft()

    def _top_up(self) -> None:
        while len(self._in_order) < 2 * len(self._readers):
            asked = next(self._jobs, None)
            if asked is None:
                return
            payload, source = asked
            job = _Job(payload, source, is_done=source is None)
            self._in_order.append(job)
            if source is not None:
                self._to_read.put(job)

    def _encode(self) -> None:
        """Wait for something to embed, then embed it with whatever else has arrived."""
        arrived = [self._read.get()]
        n_segments = 0
        while n_segments < _MAX_SEGMENTS:
            job, item = arrived[-1]
            n_segments += 0 if isinstance(item, _End) else len(item.segments)
            try:
                arrived.append(self._read.get_nowait())
            except queue.Empty:
                break
        batches = [(job, item) for job, item in arrived if not isinstance(item, _End)]
        for job, batch in batches:
            job.note(batch)
        sounding = [(job, batch.segments) for job, batch in batches if len(batch.segments)]
        if sounding:
            vectors = self._embedder.embed(np.concatenate([some for _, some in sounding]))
            ends = np.cumsum([len(some) for _, some in sounding])
            for (job, _), some in zip(sounding, np.split(vectors, ends[:-1]), strict=True):
                job.vectors.append(some)
        for job, item in arrived:
            if isinstance(item, _End):
                self._finish(job, item)

    def _finish(self, job: _Job[T], end: _End) -> None:
        if end.error is not None and not isinstance(
            end.error, (*self._embedder.file_errors, OSError)
        ):
            raise end.error  # no fault of the file
        job.error = end.error
        job.is_done = True

    def _read_all(self) -> None:
        while (job := self._to_read.get()) is not None:
            self._read_one(job)

    def _read_one(self, job: _Job[T]) -> None:
        end = _End()
        try:
            for batch in self._embedder.stream(cast(Path, job.source)):
                if not self._put(job, batch):
                    return
        except Exception as error:
            end = _End(error)
        self._put(job, end)

    def _put(self, job: _Job[T], item: SegmentBatch | _End) -> bool:
        while not self._is_stopped.is_set():
            try:
                self._read.put((job, item), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
