"""A build whose files are embedded by the machines of a Ray cluster.

Each worker is an actor that loads the embedder once, takes files by claims (`indexer.claims`) and
stores them itself. The queue, its retries and who has what are in the database already, so plain
actors do; Ray Data would keep a second queue beside it, and send the sound through its own store.
The one module that imports ray.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from indexer.address import Address
from indexer.catalog import Catalog
from indexer.claimed import ClaimedRun, TakingRun
from indexer.claims import Claims
from indexer.embedder import Embedder
from indexer.errors import ClusterError, IndexerError
from indexer.events import Event
from indexer.run import Plan
from indexer.scan import AudioFile
from indexer.writer import Writer

log = logging.getLogger(__name__)

LOCAL = "local"
"""Stands for a cluster of this machine alone, which is started for the build."""

_CORES_EACH = 8  # of a worker without a GPU
_ANSWERS_IN_S = 10.0
_MOST_DEATHS = 3  # of workers one after the other, without a file between them


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to embed, and with what.

    Parameters
    ----------
    address : str
        Of a Ray cluster, as `ray.init` takes it, or `LOCAL`.
    load : callable
        Makes the catalog's embedder on each machine; it must pickle.
    n_workers : int or None
        How many workers there are: one for each GPU, or for every eight cores, where nothing is
        said.
    """

    address: str
    load: Callable[[], Embedder]
    n_workers: int | None = None


class ClusterRun(ClaimedRun):
    """A build that finds the files here, and has the workers of a cluster do what is to be done.

    Parameters
    ----------
    catalog, embedder, plan, claims
        As in `ClaimedRun`.
    cluster : Cluster
        Where to embed.
    """

    def __init__(
        self,
        catalog: Writer,
        embedder: Embedder,
        plan: Plan,
        claims: Claims,
        cluster: Cluster,
    ) -> None:
        super().__init__(catalog, embedder, plan, claims)
        self._cluster = cluster

    def _rounds(self, rest: dict[Path, AudioFile]) -> Iterator[Event]:
        if not rest:
            return
        place = self._catalog.place
        if not isinstance(place, Address):
            raise TypeError("claims are of a catalog on a server")
        plan = replace(self._plan, found=(), n_files=0, n_unchanged=0)
        with _connected(self._cluster) as ray:
            yield from _Workers(ray, self._cluster, place, plan).events()


class Worker:
    """What runs on a machine of the cluster: an embedder, and the builds that it is asked for."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._embedder = load()

    def work(self, place: Address, plan: Plan) -> Iterator[Event]:
        """Do what was offered below the folders of a plan, until all is done."""
        try:
            with (
                Catalog.write(place, self._embedder) as catalog,
                catalog.claiming(plan.folders) as claims,
            ):
                yield from TakingRun(catalog, self._embedder, plan, claims).files()
        except IndexerError as error:  # as text: not every error can be sent
            raise ClusterError(str(error)) from None


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Connect to a cluster for as long as it is needed, and yield Ray."""
    if find_spec("ray") is None:
        raise ClusterError("--ray needs the extra [ray]: pip install 'pemr-covers[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    import ray  # noqa: PLC0415 (of the extra, and slow to load)

    if ray.is_initialized():  # by the program that this is a part of
        yield ray
        return
    address, own = cluster.address, dict[str, Any]()
    if address == LOCAL:
        own = {"num_cpus": os.cpu_count(), "include_dashboard": False}
    try:
        _refuse_silent(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ClusterError(f"the Ray cluster {address} cannot be reached: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _refuse_silent(address: str) -> None:
    """Raise an `OSError` if nothing listens there; Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWERS_IN_S).close()


class _Workers:
    """The workers of a build, each replaced when it dies."""

    def __init__(self, ray: Any, cluster: Cluster, place: Address, plan: Plan) -> None:  # noqa: ANN401
        self._ray, self._cluster = ray, cluster
        self._place, self._plan = place, plan
        self._needs = _needs(ray.cluster_resources(), cluster.n_workers)
        self._running: dict[Any, Any] = {}  # what is told by each, and who tells it
        self._n_deaths = 0

    def events(self) -> Iterator[Event]:
        """Start the workers, and yield what they tell until all are done."""
        try:
            for needs in self._needs:
                self._start(needs)
            while self._running:
                (told, *_), _ = self._ray.wait([*self._running], num_returns=1)
                yield from self._next(told)
        finally:
            for worker, _ in self._running.values():
                self._ray.kill(worker)

    def _start(self, needs: dict[str, float]) -> None:
        made = self._ray.remote(**needs)(Worker).remote(self._cluster.load)
        told = made.work.options(num_returns="streaming").remote(self._place, self._plan)
        self._running[told] = made, needs

    def _next(self, told: Any) -> Iterator[Event]:  # noqa: ANN401
        try:
            yield self._ray.get(next(told))
            self._n_deaths = 0
        except StopIteration:
            worker, _ = self._running.pop(told)
            self._ray.kill(worker)
        except self._ray.exceptions.RayTaskError as error:
            raise ClusterError(f"a worker stopped: {error.cause}") from error
        except self._ray.exceptions.RayActorError as error:
            self._replace(told, error)

    def _replace(self, told: Any, error: Exception) -> None:  # noqa: ANN401
        _, needs = self._running.pop(told)
        self._n_deaths += 1
        last = str(error).strip().rpartition("\n")[2].partition(". ")[0]
        if getattr(error, "actor_init_failed", False):
            raise ClusterError(f"a worker cannot load its embedder: {last}") from error
        if self._n_deaths >= _MOST_DEATHS:
            raise ClusterError(f"workers die one after the other: {last}") from error
        log.warning("a worker died, another takes its place: %s", last)
        self._start(needs)


def _needs(resources: dict[str, float], n_workers: int | None) -> list[dict[str, float]]:
    """Say what each worker is given: a GPU, or as many cores as there are for each."""
    n_cores, n_gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    if n_gpus:
        n_workers = min(n_workers or n_gpus, n_gpus)
        return [{"num_gpus": 1, "num_cpus": max(1, n_cores // n_workers)}] * n_workers
    n_workers = min(n_workers or max(1, n_cores // _CORES_EACH), n_cores)
    return [{"num_cpus": max(1, n_cores // n_workers)}] * n_workers
