"""A catalog that is served to tests, with an embedder that needs no signal processing."""

import socket
import time
from contextlib import contextmanager
from threading import Thread

import httpx
import pytest

from indexer import Catalog, build
from retrieval.ranking.ranking import PLAIN
from retrieval.service.app import application
from retrieval.service.desk import Desk
from retrieval.service.limits import Limits
from retrieval.service.shelf import Shelf
from retrieval.service.work.hearing import Apart
from tests.conftest import FakeEmbedder, tone

N_TRACKS = 12


class SlowEmbedder(FakeEmbedder):
    """Never done with a file."""

    def listen(self, _source):
        time.sleep(600)


class EndlessEmbedder(FakeEmbedder):
    """Never done with a recording of hours, and quick with a song."""

    def listen_on(self, source):
        whole = self.listen(source)
        while True:
            yield whole
            time.sleep(0.05)


def fake_opus(path, start_s):
    """Stand for an encoder: say what is asked."""
    yield b"OggS"
    yield f"{path.name} from {start_s}".encode()


def made_catalog(place):
    """A catalog of tones, one of them with a wicked name."""
    root = place / "music"
    for seed in range(N_TRACKS):
        tone(root / f"{seed:02}.wav", seed=seed, duration_s=12)
    tone(root / "<img src=x onerror=alert(1)>.wav", seed=40, duration_s=12)
    tone(root / "other.aiff.wav", seed=41, duration_s=12)
    embedder = FakeEmbedder()
    with Catalog.write(place / "catalog", embedder) as catalog:
        list(build(catalog, embedder, [root]))
    return place / "catalog"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A catalog that no test adds to."""
    return made_catalog(tmp_path_factory.mktemp("served"))


@pytest.fixture
def own_folder(tmp_path):
    """A catalog that a test may change."""
    return made_catalog(tmp_path)


@pytest.fixture
def own_client(own_folder):
    desk = desk_of(own_folder)
    with (
        served(desk, Limits()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as made,
    ):
        yield made
    desk.close()


def desk_of(folder, load=FakeEmbedder, limit_s=20.0):
    apart = Apart(load, limit_s)
    return Desk(Shelf(folder, apart.name), apart, PLAIN, fake_opus)


@pytest.fixture(scope="session")
def desk(folder):
    made = desk_of(folder)
    yield made
    made.close()


@contextmanager
def served(desk, limits):
    """Serve at a port of this machine, in a thread."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(desk, limits), log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture(scope="session")
def address(desk):
    with served(desk, Limits(upload_bytes=4 << 20, upload_s=2.0)) as found:
        yield found


@pytest.fixture(scope="session")
def client(address):
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as made:
        yield made
