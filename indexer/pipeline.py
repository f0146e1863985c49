"""Recordings to embeddings: files are decoded in threads, recordings embedded as they arrive.

Reader threads make recordings; the caller's thread embeds those that are ready, several at a
time, and hands them back in the order in which they were asked for, whatever the threads do.
Which recordings share a batch does depend on time, so an embedder whose rounding depends on the
batch may differ in a vector's last bits.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeAlias, TypeVar

from indexer.embedder import Embedder
from indexer.errors import ChangedFileError
from indexer.records import Embedded, Recording

T = TypeVar("T")
Hear: TypeAlias = Callable[[], Recording]
Outcome: TypeAlias = Embedded | Exception | None
_Heard: TypeAlias = Recording | Exception | None

_MAX_TOGETHER = 16
"""Recordings that are embedded at once, though more are ready."""


def n_readers() -> int:
    """How many files are decoded at once: as many as this process has cores, up to eight."""
    has_affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(8, n_cores)


def embed_all(
    embedder: Embedder, jobs: Iterable[tuple[T, Hear | None]], n_threads: int | None = None
) -> Generator[tuple[T, Outcome]]:
    """Embed recordings in order; so few are held at a time that ten-hour files do no harm.

    Parameters
    ----------
    embedder : Embedder
        Its `embed` is called from the caller's thread.
    jobs : iterable of (anything, callable or None)
        What goes with a recording, and what makes it, called in a thread; without that the first
        passes through, in its turn. Taken little by little, ahead of what is handed back.
    n_threads : int, optional
        Recordings that are made at once; `n_readers` if not given.

    Yields
    ------
    tuple
        What came with the recording, then its `Embedded`, or the error that makes its file
        unusable (one of `embedder.file_errors`, a `ChangedFileError` or an `OSError`), or None
        where there was nothing to be embedded.
    """
    rest = iter(jobs)
    waiting: deque[tuple[T, Future[Recording] | None]] = deque()
    n_threads = n_threads or n_readers()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="reader-")
    try:
        while True:
            for payload, hear in islice(rest, 2 * n_threads - len(waiting)):
                waiting.append((payload, None if hear is None else pool.submit(hear)))
            if not waiting:
                return
            yield from _embedded(embedder, _next_ready(waiting, embedder.file_errors))
    finally:
        pool.shutdown(cancel_futures=True)


def _next_ready(
    waiting: deque[tuple[T, Future[Recording] | None]], file_errors: tuple[type[Exception], ...]
) -> list[tuple[T, _Heard]]:
    """Wait for the first in the line, then take those behind it that are ready too."""
    expected: tuple[type[Exception], ...] = (OSError, ChangedFileError, *file_errors)
    ready: list[tuple[T, _Heard]] = []
    while waiting and len(ready) < _MAX_TOGETHER:
        payload, future = waiting[0]
        if ready and future is not None and not future.done():
            break
        waiting.popleft()
        try:
            ready.append((payload, None if future is None else future.result()))
        except expected as error:
            ready.append((payload, error))
    return ready


def _embedded(embedder: Embedder, heard: list[tuple[T, _Heard]]) -> Iterator[tuple[T, Outcome]]:
    recordings = [one for _, one in heard if one is not None and not isinstance(one, Exception)]
    vectors = iter(embedder.embed(recordings))
    for payload, one in heard:
        if one is None or isinstance(one, Exception):
            yield payload, one
        else:
            yield payload, Embedded(next(vectors), embedder.spans_s(one), one)
