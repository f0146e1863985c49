"""Several indexers, a database on a server and an engine for vectors: both hold the same."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from sqlalchemy.orm import Session

from indexer import Added, Catalog, build, statements, states, writer
from indexer.repair import Name
from tests.indexer.conftest import by_two_at_once
from tests.indexer.test_claims import ROOT, calm, content
from tests.indexer.test_reader import store

CHILD = """
import os, sys
from pathlib import Path
from indexer import Address, Catalog, build, writer
from indexer.stores import filling
from indexer.stores.qdrant.points import QdrantEngine
from tests.conftest import FakeEmbedder

address, folder, how, n_before = *sys.argv[1:4], int(sys.argv[4])
writer._STORED_AT_ONCE = 5
filling._VALUES_AT_ONCE = 16  # some two tracks
put = QdrantEngine.put

class Mortal(FakeEmbedder):
    def embed(self, recordings, *, tempo=1.0):
        if how == "embedding" and len(self.heard) >= n_before:
            os._exit(9)
        return super().embed(recordings, tempo=tempo)

n_put = 0
def putting(engine, points):
    global n_put
    if how == "before" and n_put >= n_before:
        os._exit(9)
    put(engine, points)
    n_put += len(points)
    if how == "after" and n_put >= n_before:
        os._exit(9)

QdrantEngine.put = putting
with Catalog.write(Address(address), Mortal()) as catalog:
    for event in build(catalog, Mortal(), [Path(folder)]):
        pass
"""


@pytest.fixture
def address(server, standin, fake_embedder):
    """A catalog on a server whose vectors are in a collection, both empty."""
    address = server.emptied()
    with Catalog.write(address, fake_embedder) as catalog:
        catalog.keep_vectors(f"{standin.url}/tracks")
    return address


def points(standin):
    """What the collection holds: a checksum for each id."""
    found, _ = standin.engine.scroll("tracks", limit=1000, with_payload=True)
    assert len({one.id for one in found}) == len(found)
    return {int(one.id): one.payload["checksum"] for one in found}


def expected(address):
    """What it must hold, from the database."""
    from indexer.stores.engine import Point

    with Catalog.open(address) as catalog:
        vectors = {track.id: catalog.embeddings(track.id) for track in catalog.tracks()}
    return {i: Point.of(i, found).checksum for i, found in vectors.items() if len(found)}


def test_two_at_once_fill_one_collection(server, address, standin, many, monkeypatch):
    monkeypatch.setattr(writer, "_STORED_AT_ONCE", 4)
    embedders, found = by_two_at_once(address, many)
    heard = Counter(path for embedder in embedders for path in embedder.heard)
    assert (len(heard), set(heard.values())) == (27, {1})
    assert sum(isinstance(event, Added) for events in found for event in events) == 30
    assert content(address) == calm(server, many)
    assert points(standin) == expected(address)


def test_who_names_the_same_address_shares_its_collection(address, standin, fake_embedder, unit):
    """Any number of indexers may be started at once, each with the same command."""
    with Catalog.write(address, fake_embedder) as one, Catalog.write(address) as other:
        other.keep_vectors("files")
    with Catalog.write(address) as one, Catalog.write(address) as other:
        for each in (one, other):
            each.keep_vectors(f"{standin.url}/shared")
        store(one, "x", unit(1, 8))
        one.flush()
        store(other, "y", unit(1, 8))
    with Catalog.open(address) as catalog:
        assert len(catalog.nearest([unit(1, 8)], 9)) == 2
    assert standin.engine.count("shared").count == 2


def test_vectors_that_are_moved_meanwhile_are_put_where_they_are_now(
    address, standin, fake_embedder, unit
):
    with Catalog.write(address, fake_embedder) as one, Catalog.write(address) as other:
        store(one, "x", unit(1, 8))
        one.flush()
        other.keep_vectors(f"{standin.url}/others")
        other.flush()
        store(one, "y", unit(1, 8))
        one.flush()
        counts = [standin.engine.count(name).count for name in ("tracks", "others")]
        assert counts == [1, 2]
        store(one, "z", unit(1, 8))
        settle = one._files.settle
        other.keep_vectors(f"{standin.url}/third")
        with one._writing() as session:  # as where it had been filled while they were moved
            settle(session, Name(3, 7))
        other.flush()
    with Catalog.open(address) as catalog:
        assert len(catalog.nearest([unit(1, 8)], 9)) == 3
    assert standin.engine.count("third").count == 3


@pytest.mark.parametrize(
    "change",
    [lambda session: states.set_merged(session, 1, 0), lambda s: states.keep_vectors(s, "x#1")],
    ids=["settled", "moved"],
)
def test_a_state_is_settled_while_others_store(address, fake_embedder, unit, change):
    """The checksum of the catalog's row is of what both have changed."""
    with Catalog.write(address, fake_embedder) as one, Catalog.write(address) as other:
        with Session(one._writing_engine) as session, session.begin():
            held = statements.catalog_row(session)  # as long as it is held, it is not read again
            before = held.generation
            store(other, "x", unit(1, 8))
            change(session)
        with Session(one._writing_engine) as session:
            about = statements.catalog_row(session)  # or it would be damaged
            assert (about.generation, about.n_tracks) == (before + 1, 1)
        with one._writing() as session:
            states.keep_vectors(session, "")


@pytest.mark.parametrize(
    ("how", "n_before"), [("embedding", 12), ("before", 0), ("before", 6), ("after", 7)]
)
def test_one_that_is_killed_loses_nothing_in_either(
    server,
    address,
    standin,
    many,
    fake_embedder,
    how,
    n_before,
):
    """While it embeds, or in the middle of putting: before a batch is there, or just after."""
    arguments = [sys.executable, "-c", CHILD, address.text, str(many), how, str(n_before)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with Catalog.write(address, fake_embedder) as catalog:
        died = subprocess.run(arguments, env=environment, check=False, capture_output=True)
        assert died.returncode == 9, died.stderr
        n_stored = len(catalog.tracks())
        events = list(build(catalog, fake_embedder, [many]))
    assert 0 < n_stored < 30
    assert sum(isinstance(event, Added) for event in events) == 30 - n_stored
    assert content(address) == calm(server, many)
    assert points(standin) == expected(address)
    with Catalog.open(address) as catalog:
        for track in catalog.tracks()[::7]:
            assert track.id in catalog.nearest([catalog.embeddings(track.id)], 3)
