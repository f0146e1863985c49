"""What tests of stores share: a database's vectors in memory, and every kind of store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import repair, searched
from indexer.repair import Name
from indexer.stores.filling import Owner, RemoteStore
from indexer.stores.index import Rows, VectorIndex

DIM = 8
OWNER = Owner("a1b2", "fake@1")
SERVER = "PEMR_TEST_QDRANT_URL"


@dataclass
class Truth:
    """What a database would hold: tracks that came and went, and when."""

    generation: int = 0
    tracks: dict[int, tuple[int, NDArray[np.float32]]] = field(default_factory=dict)
    removals: dict[int, int] = field(default_factory=dict)

    def store(self, *tracks: tuple[int, NDArray[np.float32]]) -> None:
        for track_id, vectors in tracks:
            self.generation += 1
            self._forget(track_id)
            if len(vectors):
                self.tracks[track_id] = (self.generation, vectors)

    def remove(self, *track_ids: int) -> None:
        self.generation += 1
        for track_id in track_ids:
            self._forget(track_id)

    def _forget(self, track_id: int) -> None:
        if self.tracks.pop(track_id, None) is not None:
            self.removals[track_id] = self.generation

    @property
    def held(self) -> list[tuple[int, NDArray[np.float32]]]:
        return [(track_id, self.tracks[track_id][1]) for track_id in sorted(self.tracks)]

    def rows(self) -> Rows:
        """The present state, whatever is stored later."""
        tracks, removals = dict(sorted(self.tracks.items())), dict(self.removals)
        return Rows(
            dim=DIM,
            all=lambda: [(i, vectors) for i, (_, vectors) in tracks.items()],
            since=lambda since: [(i, v) for i, (at, v) in tracks.items() if at > since],
            gone=lambda since: np.array([i for i, at in removals.items() if at > since], np.int64),
            of=lambda ids: {i: tracks[i][1] for i in ids if i in tracks},
            n_tracks=lambda: len(tracks),
            n_segments=lambda: sum(len(v) for _, v in tracks.values()),
        )


def seen(store, name: Name, rows: Rows) -> VectorIndex | None:
    """Read a store in a state, and what came and went since, as a reader does."""
    found = store.read(name, rows)
    if found is None:
        return None
    return found.changed(rows.gone(name.generation), rows.since(name.generation)).over(rows)


def fill(store: RemoteStore, truth: Truth, old: Name | None = None) -> Name:
    """Bring a store to the present state, and name that."""
    new = Name(truth.generation, 1000 + truth.generation)
    list(store.write(old, truth.rows(), new))
    return new


class FileStore:
    """A vector file, as a catalog's writer makes it and its readers read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: Name, rows: Rows) -> VectorIndex | None:
        return repair.read(self.folder, name, rows.dim)

    def write(self, old: Name | None, rows: Rows, new: Name) -> Iterator[int]:
        held = None if old is None else seen(self, old, rows)
        if held is None:
            repair.write(rows.all, rows.n_tracks(), rows.dim, self.folder, new)
        else:
            repair.write_again(held, rows.all, self.folder, new)
        yield rows.n_tracks()

    def damage(self) -> None:
        for path in self.folder.glob("vectors-*.bin"):
            path.write_bytes(path.read_bytes()[:-9])


class CollectionStore(RemoteStore):
    """A collection of Qdrant, which somebody else may get at too."""

    def damage(self) -> None:
        first = next(iter(self.engine.ids()))
        self.engine.drop(first[: len(first) // 2])
        self.engine.note({"held": "", "next": ""})


def in_file(folder, monkeypatch, request):
    return FileStore(folder)


def in_steps(folder, monkeypatch, request):
    for module in (repair, searched):
        monkeypatch.setattr(module, "EXACT_LENGTH", 12)
    return FileStore(folder)


def in_process(folder, monkeypatch, request):
    qdrant_client = pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")
    from indexer.stores.qdrant.address import CollectionAddress
    from indexer.stores.qdrant.points import QdrantEngine

    address = CollectionAddress("in.process", 6333, "tracks")
    return CollectionStore(QdrantEngine(qdrant_client.QdrantClient(":memory:"), address), OWNER)


def in_the_core(folder, monkeypatch, request):
    pytest.importorskip("qdrant_edge", reason="qdrant-edge-py is absent")
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "scripts" / "bench")
    from edge import Edge

    engine = Edge(folder / "core")
    request.addfinalizer(engine.close)
    return CollectionStore(engine, OWNER)


def over_http(folder, monkeypatch, request):
    from indexer.stores.qdrant.address import collection_address
    from indexer.stores.qdrant.points import connected

    address = collection_address(f"{request.getfixturevalue('standin').url}/tracks")
    engine = connected(address)
    request.addfinalizer(engine.close)
    return CollectionStore(engine, OWNER)


def on_a_server(folder, monkeypatch, request):
    if not os.environ.get(SERVER):
        pytest.skip(f"{SERVER} names no server, such as qdrant://127.0.0.1:6333")
    pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")
    from indexer.stores.qdrant.address import collection_address
    from indexer.stores.qdrant.points import connected

    address = collection_address(f"{os.environ[SERVER].rstrip('/')}/test-{uuid4().hex}")
    engine = connected(address)
    request.addfinalizer(engine.delete)
    return CollectionStore(engine, OWNER)


KINDS = {
    "file": in_file,
    "file-in-steps": in_steps,
    "qdrant": in_process,
    "qdrant-http": over_http,
    "qdrant-core": in_the_core,
    "qdrant-server": on_a_server,
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def store(request, tmp_path, monkeypatch):
    return request.param(tmp_path, monkeypatch, request)


@pytest.fixture
def reach(standin, request):
    """Connect to the stand-in, as the owner of a catalog."""

    from indexer.stores.qdrant.address import collection_address
    from indexer.stores.qdrant.points import connected

    def reached(query="", owner=OWNER):
        engine = connected(collection_address(f"{standin.url}/tracks{query}"))
        request.addfinalizer(engine.close)
        return RemoteStore(engine, owner)

    return reached


@pytest.fixture
def truth():
    return Truth()


@pytest.fixture
def brought(store):
    """Bring the store to the present state, and read that; remembers what it wrote last."""
    last: list[Name] = []

    def bring(truth: Truth) -> VectorIndex:
        rows, new = truth.rows(), Name(truth.generation, 1000 + truth.generation)
        list(store.write(last[-1] if last else None, rows, new))
        last.append(new)
        found = seen(store, new, rows)
        assert found is not None
        return found

    bring.last = last
    return bring
