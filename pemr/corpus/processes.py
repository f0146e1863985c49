"""Worker processes that leave an interrupt to the process that started them."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool


@contextmanager
def processes(n_jobs: int, start: Callable[[], None] | None = None) -> Iterator[Pool]:
    """Start worker processes, and end them with the block.

    Ctrl-C reaches every process of a terminal. Workers ignore it from their very start, since
    they are born while it is ignored here; so one interrupt is told once, and not by each.

    Parameters
    ----------
    n_jobs : int
        How many.
    start : callable, optional
        What each does first.

    Yields
    ------
    Pool
    """
    may_set = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if may_set else None
    try:
        pool = get_context("spawn").Pool(n_jobs, initializer=start)
    finally:
        if may_set:
            signal.signal(signal.SIGINT, before)
    with pool:
        yield pool
