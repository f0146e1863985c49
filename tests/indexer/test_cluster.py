"""Embedding on a Ray cluster of this machine alone."""

import os
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from indexer import (
    Added,
    Address,
    Catalog,
    Cluster,
    ClusterError,
    Plan,
    Unchanged,
    carry_out,
    plan,
)
from indexer import cluster as cluster_module
from indexer.cluster import _needs
from tests.conftest import FakeEmbedder


class Told(FakeEmbedder):
    """Writes down in a folder what was embedded, and by which process; the first one dies."""

    def __init__(self, folder: Path, dies_after: int | None = None):
        super().__init__()
        self.folder, self.dies_after = folder, dies_after

    def embed(self, recordings, *, tempo=1.0):
        if self.dies_after is not None and len(self.heard) >= self.dies_after:
            try:
                os.close(os.open(self.folder / "died", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                self.dies_after = None
            else:
                os._exit(9)
        for recording in recordings:
            with (self.folder / f"{os.getpid()}.log").open("a") as log:
                log.write(f"{recording.chroma.tobytes().hex()}\n")
        return super().embed(recordings, tempo=tempo)


@pytest.fixture(scope="module")
def two_cores():
    """A cluster of two cores, which the builds find connected."""
    pytest.importorskip("ray", reason="no ray here: see the extra [ray]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 2)
        patch.setenv("RAY_worker_niceness", "0")  # else they wait for every other test
        with cluster_module._connected(Cluster("local", FakeEmbedder)):
            yield


@pytest.fixture
def address(server, fake_embedder):
    address = server.emptied()
    Catalog.write(address, fake_embedder).close()
    return address


def index(address, embedder, music, load, n_workers=2):
    with Catalog.write(address, embedder) as catalog:
        planned = plan(catalog, [music])
        cluster = Cluster("local", load, n_workers)
        return list(carry_out(catalog, embedder, planned, cluster=cluster))


def test_two_workers_do_every_file_once_though_one_dies(
    two_cores, address, fake_embedder, tone, tmp_path
):
    music, log = tmp_path / "music", tmp_path / "log"
    log.mkdir()
    paths = [tone(music / f"{seed:02}.wav", seed=seed, duration_s=1.5) for seed in range(30)]
    (music / "bad.mp3").write_text("text")
    events = index(address, fake_embedder, music, partial(Told, log, dies_after=4))
    told = [path for path in log.iterdir() if path.suffix == ".log"]
    lines = Counter(line for path in told for line in path.read_text().split())
    assert (log / "died").exists()
    assert (len(lines), set(lines.values())) == (30, {1})
    assert len(told) >= 2
    assert {event.path for event in events} == {*paths, music / "bad.mp3"}
    assert len(events) == 31
    assert fake_embedder.heard == []
    with Catalog.open(address) as catalog:
        assert [track.path for track in sorted(catalog.tracks(), key=lambda one: one.path)] == paths
    again = index(address, fake_embedder, music, partial(Told, log))
    assert Counter(map(type, again))[Unchanged] == 30


class DyingRay:
    """Stands for Ray whose workers die before they have said anything."""

    class exceptions:  # noqa: N801 (as Ray calls it)
        class RayTaskError(Exception):
            pass

        class RayActorError(Exception):
            pass

    def __init__(self, *, is_loaded=True):
        self.n_started = 0
        self.is_loaded = is_loaded

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, **_):
        self.n_started += 1
        made = SimpleNamespace()
        made.remote = made.options = lambda *_, **__: made
        made.work = SimpleNamespace(
            options=lambda **_: SimpleNamespace(remote=lambda *_: iter([made]))
        )
        return lambda _: made

    def wait(self, told, **_):
        return told[:1], told[1:]

    def get(self, _):
        error = self.exceptions.RayActorError("The actor died.\nOut of memory.")
        error.actor_init_failed = not self.is_loaded
        raise error

    def kill(self, worker):
        pass


@pytest.mark.parametrize(
    ("is_loaded", "n_started", "sentence"),
    [
        (True, 3, r"workers die one after the other: Out of memory\."),
        (False, 1, r"a worker cannot load its embedder: Out of memory\."),
    ],
)
def test_workers_that_die_are_not_started_for_ever(music, is_loaded, n_started, sentence):
    ray = DyingRay(is_loaded=is_loaded)
    asked = Cluster("local", FakeEmbedder), Address("postgresql:///x"), Plan((music,), (), 0, 0)
    with pytest.raises(ClusterError, match=sentence):
        list(cluster_module._Workers(ray, *asked).events())
    assert ray.n_started == n_started


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # whatever other tests have begun
    refused = pytest.raises(ClusterError, match=r"cluster 127\.0\.0\.1:1 cannot be reached")
    with refused, cluster_module._connected(Cluster("127.0.0.1:1", FakeEmbedder)):
        pass


def test_a_catalog_in_a_folder_is_embedded_here(catalog, fake_embedder, music):
    planned, cluster = plan(catalog, [music]), Cluster("local", FakeEmbedder)
    with pytest.raises(ClusterError, match="needs a catalog on a server"):
        list(carry_out(catalog, fake_embedder, planned, cluster=cluster))
    assert catalog.tracks() == []
    assert Added in {type(event) for event in carry_out(catalog, fake_embedder, planned)}


@pytest.mark.parametrize(
    ("resources", "n_workers", "needs"),
    [
        ({"CPU": 2.0}, None, [{"num_cpus": 2}]),
        ({"CPU": 2.0}, 2, [{"num_cpus": 1}] * 2),
        ({"CPU": 2.0}, 5, [{"num_cpus": 1}] * 2),
        ({"CPU": 32.0}, None, [{"num_cpus": 8}] * 4),
        ({"CPU": 32.0, "GPU": 2.0}, None, [{"num_gpus": 1, "num_cpus": 16}] * 2),
        ({"CPU": 32.0, "GPU": 4.0}, 1, [{"num_gpus": 1, "num_cpus": 32}]),
    ],
)
def test_what_workers_are_given(resources, n_workers, needs):
    assert _needs(resources, n_workers) == needs
