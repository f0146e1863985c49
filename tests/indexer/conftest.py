"""What tests of this room share: vectors to search, a folder of music, a catalog of it."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import Address, AudioFile, Catalog, Event, build
from indexer.scan import OLD_HASH
from tests.conftest import FakeEmbedder

_ON_A_SERVER_TOO = {"test_catalog", "test_ingest", "test_remote"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask the same of a catalog in a folder and of one on a server."""
    name = metafunc.module.__name__.rpartition(".")[2]
    is_asked = name in _ON_A_SERVER_TOO and "catalog" in metafunc.fixturenames
    if is_asked and metafunc.definition.get_closest_marker("in_folder") is None:
        metafunc.parametrize("catalog", ["folder", "server"], indirect=True)


Tracks = list[tuple[int, NDArray[np.float32]]]


def _unit(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    drawn = rng.standard_normal(shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@pytest.fixture
def unit(rng: np.random.Generator) -> Callable[..., NDArray[np.float32]]:
    """Draw unit vectors of some shape."""
    return lambda *shape: _unit(rng, *shape)


@pytest.fixture
def drawn(rng: np.random.Generator) -> Callable[..., Tracks]:
    """Draw tracks of one to nine segments, with ids that have gaps."""

    def draw(n_tracks: int, dim: int = 8, first: int = 1) -> Tracks:
        ids = range(first, first + 3 * n_tracks, 3)
        return [(id_, _unit(rng, int(rng.integers(1, 10)), dim)) for id_ in ids]

    return draw


@pytest.fixture
def music(tmp_path, tone):
    folder = tmp_path / "music"
    for seed in range(4):
        tone(folder / f"{seed}.wav", seed=seed, duration_s=2.5 + seed)
    tone(folder / "silence.wav", seed=-1)
    return folder


@pytest.fixture
def built(catalog, fake_embedder, music):
    list(build(catalog, fake_embedder, [music]))
    return catalog


def execute(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "catalog.db") as connection:
        connection.execute(statement)
    connection.close()


def packet_hash(path: Path) -> str:
    """Hash a file as it was hashed before its coding counted."""
    return str(AudioFile(path, 0, 0).hashed().packet_hash).removeprefix(OLD_HASH)


@pytest.fixture
def index(catalog, fake_embedder, music):
    """Build once more, and give the kinds of the events by file name."""

    def run(**options):
        fake_embedder.heard.clear()
        events = list(build(catalog, fake_embedder, [music], **options))
        return {event.path.name: event for event in events}

    return run


def kinds(events) -> dict[str, type]:
    return {name: type(event) for name, event in events.items()}


@pytest.fixture
def four(tmp_path, tone):
    """Four files of the same length, each of a tone of its own."""
    folder = tmp_path / "music"
    for seed in range(4):
        tone(folder / f"{seed}.wav", seed=seed)
    return folder


def by_two_at_once(address: Address, folder: Path) -> tuple[list[FakeEmbedder], list[list[Event]]]:
    """Index a folder by two at once; return what embedded, and the events of each."""
    embedders = [FakeEmbedder(), FakeEmbedder()]

    def work(embedder: FakeEmbedder) -> list[Event]:
        with Catalog.write(address, embedder) as catalog:
            return list(build(catalog, embedder, [folder]))

    with ThreadPoolExecutor(2) as pool:
        return embedders, list(pool.map(work, embedders))


@pytest.fixture
def many(tmp_path, tone):
    """Thirty files, three of which are copies of others."""
    folder = tmp_path / "many"
    for seed in range(27):
        tone(folder / f"{seed:02}.wav", seed=seed, duration_s=1.5)
    for seed in (3, 9, 20):
        tone(folder / "copies" / f"{seed:02}.wav", seed=seed, duration_s=1.5)
    return folder


@pytest.fixture
def standin():
    """A server of this machine that answers as Qdrant does; see `tests/indexer/stores/standin`."""
    pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")
    from tests.indexer.stores.standin import StandIn

    server = StandIn()
    yield server
    server.close()
