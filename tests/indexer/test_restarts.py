"""A PostgreSQL server that stops and starts again, and a machine's files that are made anew."""

import pytest

from indexer import Address, Catalog, build, repair
from indexer.errors import CatalogError, CatalogWriteError
from indexer.postgresql import _told
from tests.indexer.test_reader import store


@pytest.fixture
def address(server) -> Address:
    return server.emptied()


def index_until_it_stops(server, address, embedder, music):
    """Index a folder; after the second file the server stops."""
    with Catalog.write(address, embedder) as catalog:
        for number, _ in enumerate(build(catalog, embedder, [music]), start=1):
            if number == 2:
                server.stop()


def test_a_server_that_stops_half_way_says_so_and_loses_nothing(server, fake_embedder, music):
    address = server.emptied()
    with pytest.raises(CatalogError, match=r"server (went away|cannot be reached).*stored is safe"):
        index_until_it_stops(server, address, fake_embedder, music)
    server.start()
    with Catalog.open(address) as reader:
        assert len(reader.tracks()) == 2
    fake_embedder.heard.clear()
    with Catalog.write(address, fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [music]))
        assert len(catalog.tracks()) == 5
    assert len(fake_embedder.heard) == 3


def test_a_server_that_was_restarted_between_two_questions_is_no_error(
    address, server, fake_embedder
):
    Catalog.write(address, fake_embedder).close()
    with Catalog.open(address) as reader:
        assert reader.tracks() == []
        server.stop()
        server.start()
        assert reader.tracks() == []


@pytest.mark.parametrize(
    "said",
    [
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
    ],
)
def test_a_server_that_is_just_restarted_is_waited_for(said):
    psycopg = pytest.importorskip("psycopg")
    head = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  '
    told = _told(Address("postgresql://me@127.0.0.1/x"), psycopg.OperationalError(head + said))
    assert "run this again when it is back" in str(told)


def test_a_repair_makes_this_machines_file_anew(address, fake_embedder, unit, monkeypatch):
    with Catalog.write(address, fake_embedder) as writer:
        ids = [store(writer, str(number), unit(3, 8)) for number in range(4)]
        list(writer.refill())
        (file,) = writer.path.glob("vectors-*.bin")
        before = file.stat().st_ino
        assert writer.track_embeddings()[0].tolist() == ids
        monkeypatch.setattr(repair, "read", lambda *_: pytest.fail("what may be damaged is read"))
        list(writer.refill())
        assert [one.stat().st_ino != before for one in writer.path.glob("vectors-*.bin")] == [True]
        monkeypatch.undo()
        assert writer.track_embeddings()[0].tolist() == ids

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(repair, "write", full)
        with pytest.raises(CatalogWriteError, match="disk is full"):
            list(writer.refill())
