"""Any request to a Qdrant server may go wrong in any way: one sentence, and it goes on after."""

import logging
from threading import Thread

import numpy as np
import pytest

from indexer.errors import VectorStoreError
from indexer.repair import Name
from tests.indexer.stores.conftest import DIM, fill, seen

pytest.importorskip("qdrant_client", reason="the extra [qdrant] is absent")

SEARCH = "/points/query/batch"
REQUESTS = {
    "exists": "GET .*/exists$",
    "facts": "GET /collections/[^/]+$",
    "note": "PATCH ",
    "checksums": "POST .*/points$",
    "put": "PUT .*/points$",
    "delete": "/points/delete$",
    "ids": "/points/scroll$",
}
FAULTS = {
    "hang": ("hang", r"no answer within 1 s; .*\?timeout=SECONDS .*goes on from there"),
    "late": ((408, "Timeout error: Operation 'Search' timed out"), r"no answer within 1 s"),
    "cut": ("cut", "the connection broke off .*goes on from there"),
    "full": ((500, "Service internal error: No space left on device"), "the server's disk is full"),
    "starting": ((503, "Service is not ready"), r"the server is not ready \(503\)"),
    "proxy": ("<html>Bad gateway</html>", "no Qdrant server; look at the address"),
    "gone": (
        (404, "Not found: Collection `tracks` doesn't exist!"),
        "is not there any more; `pemr",
    ),
    "locked": ((403, "Forbidden: write access is denied"), "the server refuses the key"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fill_survives_whatever_becomes_of_a_request(
    standin, reach, truth, drawn, unit, request_, fault, reason
):
    truth.store(*drawn(8))
    store = reach("?timeout=1")
    fill(store, truth)
    truth.remove(1)
    truth.store((4, unit(3, DIM)))
    standin.faults = [(request_, fault)]
    with pytest.raises(VectorStoreError, match=reason):
        fill(store, truth)  # all points are gone through: every kind of request is made
    assert standin.faults == []
    index = seen(store, fill(store, truth), truth.rows())
    assert index.nearest([unit(2, DIM)], 50).tolist() == [i for i, _ in truth.held]
    assert standin.engine.count("tracks").count == len(truth.held)


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("what", ["nearest", "neighbours", "gaining"])
def test_a_search_says_what_became_of_its_request(
    standin, reach, truth, drawn, unit, what, fault, reason
):
    truth.store(*drawn(8))
    index = seen(store := reach("?timeout=1"), fill(store, truth), truth.rows())
    asks = {
        "nearest": lambda: index.nearest([unit(2, DIM)], 3),
        "neighbours": lambda: index.neighbours(np.array([4, 7])).ids,
        "gaining": lambda: index.gaining([unit(30, DIM)], 3, -1.0),
    }
    standin.faults = [(SEARCH, fault)]
    with pytest.raises(VectorStoreError, match=reason):
        asks[what]()
    assert len(asks[what]()) > 0


def test_a_server_that_stops_in_the_middle_of_putting_and_comes_back(
    standin, reach, truth, drawn, unit, monkeypatch
):
    monkeypatch.setattr("indexer.stores.filling._VALUES_AT_ONCE", 10 * DIM)
    truth.store(*drawn(40))
    store = reach("?timeout=2")
    batches = store.write(None, truth.rows(), Name(truth.generation, 7))
    n_put = next(batches) + next(batches)
    stop = Thread(target=standin.close)
    stop.start()
    stop.join()
    with pytest.raises(VectorStoreError, match=r"no server can be reached there|broke off"):
        list(batches)
    with pytest.raises(VectorStoreError, match=r"no server can be reached there|broke off"):
        fill(store, truth)
    again = type(standin)(standin.server_port)
    again.engine = standin.engine  # its disk
    try:
        assert again.engine.count("tracks").count == n_put
        index = seen(store, fill(store, truth), truth.rows())
        assert len(index.nearest([unit(2, DIM)], 50)) == 40
    finally:
        again.close()


@pytest.mark.parametrize("request_", [*REQUESTS.values(), SEARCH], ids=[*REQUESTS, "search"])
def test_a_connection_that_breaks_once_is_not_noticed(standin, reach, truth, drawn, unit, request_):
    """As one that was open for long, or to a node that has gone while others are there."""
    truth.store(*drawn(8))
    store = reach()
    fill(store, truth)
    truth.remove(1)
    truth.store((4, unit(3, DIM)))
    standin.faults = [(request_, "cut once")]
    index = seen(store, fill(store, truth), truth.rows())
    assert index.nearest([unit(2, DIM)], 50).tolist() == [i for i, _ in truth.held]
    assert standin.faults == []
    assert standin.engine.count("tracks").count == len(truth.held)


@pytest.mark.parametrize("status", ["acknowledged", "wait_timeout"])
def test_a_server_that_is_behind_is_waited_for(standin, reach, truth, drawn, status):
    truth.store(*drawn(8))
    standin.status = status
    with pytest.raises(VectorStoreError, match="is behind with what it was given; wait"):
        fill(store := reach(), truth)
    assert store.read(Name(truth.generation, 1000 + truth.generation), truth.rows()) is None
    standin.status = "completed"
    assert seen(store, fill(store, truth), truth.rows()) is not None


def test_a_server_without_tls_is_no_place_to_send_a_key_to(standin, monkeypatch):
    from indexer.stores.qdrant.address import collection_address
    from indexer.stores.qdrant.points import connected

    address = collection_address(f"qdrants://127.0.0.1:{standin.server_port}/tracks?timeout=2")
    monkeypatch.setenv("PEMR_QDRANT_API_KEY", "secret")
    with pytest.raises(VectorStoreError, match=r"no server can be reached there \(.*SSL"):
        connected(address)
    assert standin.keys == set()


# Half of the shards away


@pytest.fixture
def cluster(standin, reach, truth, drawn):
    """Forty tracks on a cluster, cut into four parts of which two are away."""
    standin.is_cluster = True
    truth.store(*drawn(40))
    store = reach("?shards=4")
    name = fill(store, truth)
    standin.parts_away = {1, 3}
    return store, name


def test_a_cluster_of_too_few_nodes_is_waited_for(standin, reach, truth, drawn):
    """Else all copies would be on the nodes that came first."""
    standin.is_cluster, standin.n_nodes = True, 1
    truth.store(*drawn(4))
    store = reach("?replicas=2")
    with pytest.raises(VectorStoreError, match=r"has 1 of the 2 nodes .* wait until the others"):
        fill(store, truth)
    assert store.engine.facts() is None
    standin.n_nodes = 2
    fill(store, truth)
    assert standin.n_parts == 6


def test_neighbours_of_what_is_there_are_partial_and_said_so(cluster, standin, truth, caplog):
    store, name = cluster
    index = seen(store, name, truth.rows())
    found = index.neighbours(np.array([1, 4, 7])).ids
    assert set(found[found >= 0] % 2) == {0}
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "the answer is partial: 2 of 4 parts of the catalog are away" in warning.message
    assert "run this again" not in warning.message
    standin.parts_away = set()  # what was partial is not remembered
    found = index.neighbours(np.array([1, 4, 7])).ids
    assert set(found[found >= 0] % 2) == {0, 1}


def test_all_directions_are_not_read_without_all_parts(cluster, truth):
    store, name = cluster
    with pytest.raises(VectorStoreError, match=r"are away \(.*\); start their servers, then run"):
        seen(store, name, truth.rows()).directions()


def test_what_cannot_be_put_into_parts_that_are_away_is_put_later(cluster, standin, truth, unit):
    store, old = cluster
    truth.store((4, unit(3, DIM)), (202, unit(2, DIM)))
    truth.remove(7)
    with pytest.raises(VectorStoreError, match="parts of the collection are away"):
        fill(store, truth, old)
    found = seen(store, old, truth.rows())  # the database names the old state; it is still whole
    standin.parts_away = set()
    expected = [track_id for track_id, _ in truth.held]
    assert found.nearest([unit(2, DIM)], 60).tolist() == expected
    index = seen(store, fill(store, truth, old), truth.rows())
    assert index.nearest([unit(2, DIM)], 60).tolist() == expected
    assert standin.engine.count("tracks").count == len(expected)
