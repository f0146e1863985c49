"""What goes wrong between here and a Qdrant server: one sentence each, and nothing is lost."""

import logging
import socket
from dataclasses import replace

import numpy as np
import pytest

from indexer.errors import VectorStoreError
from indexer.exact import gathered
from indexer.repair import Name
from indexer.stores.engine import MOST_VALUES, Point
from indexer.stores.filling import Owner
from indexer.stores.qdrant.address import CollectionAddress, collection_address
from tests.indexer.stores.conftest import DIM, OWNER, fill, seen

pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")

from indexer.stores.qdrant.points import connected

SEARCH, PUT = "/points/query/batch", "PUT .*/points$"


# Addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qdrant://db/music", CollectionAddress("db", 6333, "music")),
        ("qdrants://db:443/m-1", CollectionAddress("db", 443, "m-1", is_safe=True)),
        ("qdrant://[::1]:7/m/", CollectionAddress("::1", 7, "m")),
        (
            "qdrant://db/m?timeout=60&shards=12&replicas=2",
            CollectionAddress("db", 6333, "m", timeout_s=60, n_shards=12, n_replicas=2),
        ),
    ],
)
def test_addresses(text, expected):
    assert collection_address(text) == expected
    bare = replace(expected, timeout_s=30, n_shards=6, n_replicas=1)
    assert collection_address(str(expected)) == bare


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://db/music", "no address of a collection"),
        ("qdrant:///music", "no address of a collection"),
        ("qdrant://db", "names no collection"),
        ("qdrant://db/a/b", "names no collection"),
        ("qdrant://db:port/music", "no address"),
        ("qdrant://db:99999/music", "no address"),
        ("qdrant://db/music?timeout=soon", "timeout=soon is not understood"),
        ("qdrant://db/music?timeout=0", "timeout=0 is not understood"),
        ("qdrant://db/music?colour=red", "colour=red is not understood"),
    ],
)
def test_addresses_that_are_none(text, reason):
    with pytest.raises(VectorStoreError, match=reason):
        collection_address(text)


def test_a_key_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(VectorStoreError, match="put it into PEMR_QDRANT_API_KEY") as caught:
        collection_address("qdrant://me:secret@db/music")
    assert "secret" not in str(caught.value)


# Reaching a server


def test_no_server():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = collection_address(f"qdrant://127.0.0.1:{taken.getsockname()[1]}/tracks")
        with pytest.raises(VectorStoreError, match="no server can be reached there"):
            connected(address)


@pytest.mark.parametrize("version", ["1.15.5", "0.11.0", "1.9"])
def test_an_old_server(standin, reach, version):
    standin.version = version
    with pytest.raises(VectorStoreError, match=f"Qdrant {version}; it must be 1.16 or newer"):
        reach()


@pytest.mark.parametrize("page", ["<html>Welcome</html>", '{"hello": "you"}', ""])
def test_no_qdrant_server(standin, reach, page):
    standin.faults = [("GET /$", page)]
    with pytest.raises(VectorStoreError, match="is no Qdrant server; look at the address"):
        reach()


def test_the_key_is_sent_and_its_want_of_encryption_said(standin, reach, monkeypatch, caplog):
    monkeypatch.setenv("PEMR_QDRANT_API_KEY", "secret")
    reach()
    assert standin.keys == {"secret"}
    assert "without encryption; write qdrants://" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key(standin, reach, status):
    standin.faults = [("exists", (status, "Must provide an API key"))]
    with pytest.raises(VectorStoreError, match="refuses the key; put the right one into PEMR_"):
        reach().engine.facts()


# Whose collection it is


def test_a_collection_that_is_not_ours(standin, reach, truth):
    from qdrant_client import models

    size = models.VectorParams(size=3, distance=models.Distance.DOT)
    standin.engine.create_collection("tracks", size)
    with pytest.raises(VectorStoreError, match="that is not pemr's; name another one"):
        fill(reach(), truth)
    assert standin.engine.get_collection("tracks").config.params.vectors.size == 3


def test_a_collection_of_a_newer_pemr(standin, reach, truth):
    fill(reach(), truth)
    standin.engine.update_collection("tracks", metadata={"pemr": 99})
    with pytest.raises(VectorStoreError, match="filled by a newer pemr"):
        fill(reach(), truth)


def test_a_collection_of_another_catalog(reach, truth):
    name = fill(reach(), truth)
    other = reach(owner=Owner("ffff", OWNER.embedder))
    with pytest.raises(VectorStoreError, match="of another catalog; name another collection"):
        other.read(name, truth.rows())


def test_a_collection_of_another_embedder_or_dimension(reach, truth, drawn, unit):
    truth.store(*drawn(5))
    name = fill(reach(), truth)
    other = reach(owner=Owner(OWNER.catalog, "other@2"))
    with pytest.raises(VectorStoreError, match=r"'fake@1' with 8 dim.*'other@2'.*`pemr repair`"):
        other.read(name, truth.rows())
    wide = replace(truth.rows(), dim=16)
    with pytest.raises(VectorStoreError, match=r"with 8 dimensions, and the catalog .* with 16"):
        reach().read(name, wide)
    again = fill(other, truth, name)  # a writer makes it anew
    vectors = truth.held[0][1]
    assert other.read(again, truth.rows()).nearest([vectors], 1).tolist() == [truth.held[0][0]]


# In the middle of something


def test_a_network_that_hangs_while_searching(standin, reach, truth, drawn, unit):
    truth.store(*drawn(5))
    name = fill(reach(), truth)
    index = seen(reach("?timeout=1"), name, truth.rows())
    standin.faults = [(SEARCH, "hang")]
    with pytest.raises(VectorStoreError, match=r"no answer within 1 s; .*\?timeout=SECONDS"):
        index.nearest([unit(2, DIM)], 3)
    assert len(index.nearest([unit(2, DIM)], 3)) == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut", "the connection broke off .*the same command goes on from there"),
        ("hang", "no answer within 1 s.*the same command goes on from there"),
        (
            (500, "Service internal error: No space left on device: WAL buffer size exceeds"),
            "the server's disk is full; make room there",
        ),
        ((507, "out of disk"), "the server's disk is full; make room there"),
        ((503, "not yet"), "the server is not ready"),
        ((429, "slow down"), "the server is asked too much"),
        ((413, "payload too large"), "the server refuses: payload too large"),
        ((500, "panicked"), "the server refuses: panicked"),
    ],
)
def test_a_fill_that_is_cut_short_goes_on(
    standin, reach, truth, drawn, unit, monkeypatch, fault, reason
):
    monkeypatch.setattr("indexer.stores.filling._VALUES_AT_ONCE", 40 * DIM)  # some eight tracks
    truth.store(*drawn(40))
    store = reach("?timeout=1")
    store.engine.facts()
    batches = store.write(None, truth.rows(), Name(truth.generation, 7))
    n_put = next(batches)
    standin.faults = [(PUT, fault)]
    with pytest.raises(VectorStoreError, match=reason):
        list(batches)
    assert standin.engine.count("tracks").count == n_put
    assert store.read(Name(truth.generation, 7), truth.rows()) is None  # it is not whole
    before = standin.n_seen(PUT)
    name = fill(store, truth)
    assert standin.engine.count("tracks").count == 40
    assert standin.n_seen(PUT) - before < before + 6  # what was put was not put again
    assert len(seen(store, name, truth.rows()).nearest([unit(2, DIM)], 50)) == 40


def test_changes_that_are_cut_short_leave_readers_whole(
    standin, reach, truth, drawn, unit, monkeypatch
):
    monkeypatch.setattr("indexer.stores.filling._VALUES_AT_ONCE", 10 * DIM)
    truth.store(*drawn(20))
    store = reach()
    old = fill(store, truth)
    truth.store((1, unit(4, DIM)), *drawn(8, first=500))
    truth.remove(4, 7)
    standin.faults = [(PUT, "cut")]
    with pytest.raises(VectorStoreError):
        fill(store, truth, old)
    index = seen(store, old, truth.rows())  # the database still names the old state
    asked = [unit(2, DIM)]
    lengths = [len(vectors) for _, vectors in truth.held]
    scores = gathered(truth.held, DIM).scores(asked, float(np.mean(lengths)))
    best = sorted(truth.held[place][0] for place in np.argsort(-scores)[:5])
    assert index.nearest(asked, 5).tolist() == best
    new = fill(store, truth, old)
    assert seen(store, new, truth.rows()).nearest(asked, 5).tolist() == best
    assert seen(store, old, truth.rows()).nearest(asked, 5).tolist() == best  # not settled yet


def test_a_search_whose_connection_breaks_off(standin, reach, truth, drawn, unit):
    truth.store(*drawn(5))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    standin.faults = [(SEARCH, "cut")]
    with pytest.raises(VectorStoreError, match="the connection broke off"):
        index.nearest([unit(2, DIM)], 3)


# A cluster


@pytest.fixture
def cluster(standin, reach, truth, drawn):
    """A catalog of forty tracks on a cluster, cut into four parts."""
    standin.is_cluster = True
    truth.store(*drawn(40))
    store = reach("?shards=4&replicas=2")
    return seen(store, fill(store, truth), truth.rows())


def test_tracks_are_cut_by_their_ids(cluster, standin, truth, unit):
    assert standin.n_parts == 4
    assert standin.part_of == {track_id: track_id % 4 for track_id, _ in truth.held}
    assert len(cluster.nearest([unit(2, DIM)], 50)) == 40


def test_half_of_the_shards_away_is_a_partial_answer_and_said_so(
    cluster, standin, truth, unit, caplog
):
    standin.parts_away = {1, 3}
    found = cluster.nearest([unit(2, DIM)], 50)
    assert found.tolist() == [track_id for track_id, _ in truth.held if track_id % 2 == 0]
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "the answer is partial: 2 of 4 parts of the catalog are away" in warnings[0].message
    cluster.nearest([unit(2, DIM)], 50)
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1
    standin.parts_away = set()
    assert len(cluster.nearest([unit(2, DIM)], 50)) == 40


def test_all_shards_away_is_no_answer(cluster, standin, unit):
    standin.parts_away = {0, 1, 2, 3}
    with pytest.raises(VectorStoreError, match="parts of the collection are away"):
        cluster.nearest([unit(2, DIM)], 50)


def test_shards_away_of_a_collection_that_another_cut(standin, reach, truth, drawn, unit):
    truth.store(*drawn(5))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    standin.parts_away = {1}
    with pytest.raises(VectorStoreError, match="not have enough active replicas"):
        index.nearest([unit(2, DIM)], 3)


# The rest


def test_a_copy_of_the_files_is_named(reach, truth):
    store = reach()
    fill(store, truth)
    assert store.engine.snapshot() == "tracks-1.snapshot"


def test_of_a_very_long_track_some_segments_are_left_out(unit):
    vectors = unit(3 * MOST_VALUES // DIM, DIM)
    point = Point.of(1, vectors)
    assert point.segments.size <= MOST_VALUES
    assert point.length == len(vectors)
    np.testing.assert_allclose(point.mean, vectors.mean(axis=0))
