"""A folder that the catalog knows → brought up to date, in a process that can be killed.

Every file is stored by itself, so a process that is killed loses only what it was doing.
"""

import multiprocessing
import signal
from collections.abc import Callable
from hashlib import blake2b
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from indexer import Address, Catalog, Embedder, IndexerError, Tally, carry_out, plan
from retrieval.errors import ServiceError
from retrieval.service.work.jobs import LongJob, StoppedError

_GRACE_S = 5.0  # for the file that is being decoded


def root_id(root: Path) -> str:
    """Name a folder without its path."""
    return blake2b(bytes(root), digest_size=8).hexdigest()


def root_rows(roots: list[Path]) -> list[dict[str, str]]:
    """Write the folders of a catalog as rows: id and path."""
    return [{"id": root_id(root), "path": str(root)} for root in roots]


def index_apart(
    place: Path | Address, root: Path, load: Callable[[], Embedder]
) -> Callable[[LongJob], Any]:
    """Make the work of a job that indexes a folder.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    root : Path
        One of the catalog's own folders of music.
    load : callable
        Makes the embedder in the other process; it must pickle.

    Returns
    -------
    callable
        Given the job, returns the counts of what became of the files.
    """

    def work(job: LongJob) -> Any:  # noqa: ANN401 (plain values)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        is_cancelled = context.Event()
        process = context.Process(
            target=_index, args=(there, is_cancelled, place, root, load), daemon=True
        )
        job.on_cancel = is_cancelled.set
        process.start()
        there.close()
        try:
            return _followed(job, here)
        except StoppedError:
            process.join(_GRACE_S)
            raise
        finally:
            process.kill()
            process.join()
            here.close()

    return work


def _followed(job: LongJob, pipe: Connection) -> Any:  # noqa: ANN401
    while True:
        job.advance(job.n_done, job.n_total)
        if not pipe.poll(0.2):
            continue
        try:
            kind, content = pipe.recv()
        except EOFError as error:
            raise ServiceError("the process that indexed has ended early") from error
        if kind == "error":
            raise ServiceError(content)
        if kind == "end":
            return content
        job.advance(*content)


def _index(
    pipe: Connection,
    is_cancelled: Event,
    place: Path | Address,
    root: Path,
    load: Callable[[], Embedder],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when it ends
    tally = Tally()
    try:
        embedder = load()
        with Catalog.write(place, embedder) as catalog:
            planned = plan(catalog, [root])
            for n_done, event in enumerate(carry_out(catalog, embedder, planned), start=1):
                tally.count(event)
                pipe.send(("progress", (n_done, planned.n_files)))
                if is_cancelled.is_set():
                    break
        pipe.send(("end", tally.row()))
    except (IndexerError, OSError) as error:
        pipe.send(("error", str(error)))
