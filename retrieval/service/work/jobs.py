"""Work that takes longer than an answer: it has an id, a progress and a way to stop it."""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from indexer import IndexerError
from retrieval.errors import RetrievalError
from retrieval.service.problems import refusal

log = logging.getLogger(__name__)

_N_KEPT = 32
_N_AT_ONCE = 4


class StoppedError(Exception):
    """A job was told to stop."""


class LongJob:
    """One piece of work.

    Parameters
    ----------
    kind : str
        `index`, `setlist` or `groups`.
    """

    def __init__(self, kind: str) -> None:
        self.id = secrets.token_hex(8)
        self.kind = kind
        self.state = "running"
        self.n_done = 0
        self.n_total: int | None = None
        self.result: Any = None
        self.error: str | None = None
        self.on_cancel: Callable[[], object] = lambda: None
        self._cancelled = Event()
        self._ended = Event()

    def advance(self, n_done: int, n_total: int | None) -> None:
        """Note how far it is; a job that was cancelled ends here.

        Raises
        ------
        StoppedError
            If it was cancelled.
        """
        self.n_done, self.n_total = n_done, n_total
        if self._cancelled.is_set():
            raise StoppedError

    def cancel(self) -> None:
        """Tell it to stop; what it has stored stays."""
        if not self._ended.is_set():
            self._cancelled.set()
            self.on_cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; say whether it has come."""
        return self._ended.wait(seconds)

    def run(self, work: Callable[["LongJob"], Any]) -> None:
        """Do the work in this thread, and note what became of it."""
        try:
            self.result = work(self)
            self.state = "done"
        except StoppedError:
            self.state = "cancelled"
        except Exception as error:
            self.state = "cancelled" if self._cancelled.is_set() else "failed"
            self.error = None if self._cancelled.is_set() else _sentence(error)
            log.debug("job %s: %s", self.id, error, exc_info=True)
        finally:
            self._ended.set()

    def row(self) -> dict[str, Any]:
        """Write it as plain values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": self.n_done,
            "total": self.n_total,
            "error": self.error,
            "result": self.result,
        }


class LongJobs:
    """Runs jobs in threads of their own, and remembers the last ones."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, LongJob] = OrderedDict()
        self._lock = Lock()

    def start(self, job: LongJob, work: Callable[[LongJob], Any]) -> LongJob:
        """Begin a job.

        Raises
        ------
        HTTPException
            429 if enough are running.
        """
        with self._lock:
            running = [one for one in self._jobs.values() if one.state == "running"]
            if len(running) >= _N_AT_ONCE:
                raise refusal(429, "enough jobs are running: wait for one, or cancel it")
            self._jobs[job.id] = job
            for old in [one for one in self._jobs.values() if one.state != "running"][:-_N_KEPT]:
                del self._jobs[old.id]
        Thread(target=job.run, args=(work,), daemon=True, name=f"job {job.kind}").start()
        return job

    def find(self, job_id: str) -> LongJob:
        """Look up a job.

        Raises
        ------
        HTTPException
            404 if there is none of this id.
        """
        with self._lock:
            found = self._jobs.get(job_id)
        if found is None:
            raise refusal(404, "there is no job of this id")
        return found

    def all(self) -> list[LongJob]:
        """List the jobs that are remembered, the newest last."""
        with self._lock:
            return list(self._jobs.values())

    def close(self) -> None:
        """Tell every job to stop."""
        for job in self.all():
            job.cancel()


def _sentence(error: Exception) -> str:

    if isinstance(error, RetrievalError | IndexerError | OSError):
        return str(error)
    log.error("a job failed", exc_info=error)
    return "it failed: see what the server printed"
