"""Searches of a collection over HTTP: in how many requests, of which tracks, how deeply."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.stores import remote
from tests.indexer.stores.conftest import DIM, fill, seen

SEARCH = "/points/query/batch"


def test_means_choose_first_where_not_all_segments_are_compared(
    standin, reach, truth, drawn, unit, monkeypatch
):
    monkeypatch.setattr("indexer.stores.remote._WHOLE_COSINES", 0)
    truth.store(*drawn(40))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    track_id, vectors = truth.held[7]
    versions = [vectors, unit(2, DIM)]
    assert track_id in index.nearest(versions, 3)
    assert track_id not in index.nearest(versions, 3, without=np.array([track_id]))


def test_a_short_query_is_asked_at_every_tempo_for_itself(reach, truth, drawn, unit, monkeypatch):
    monkeypatch.setattr("indexer.stores.remote._N_DEEP", 1)
    truth.store(*drawn(40), (999, vectors := unit(1, DIM)))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    others = [unit(2, DIM), vectors, unit(3, DIM)]
    assert index.nearest([unit(1, DIM), *others], 1).tolist() == [999]


@pytest.mark.parametrize("wish", ["only", "without"])
def test_a_wish_that_holds_for_most_tracks_or_names_too_many_is_kept_without_naming_them(
    reach, truth, drawn, unit, monkeypatch, wish
):
    monkeypatch.setattr("indexer.stores.remote._MOST_EXCLUDED", 5)
    monkeypatch.setattr("indexer.stores.remote._N_DEEP", 1)
    truth.store(*drawn(40))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    asked = []
    best = store.engine.best

    def noted(*given, only, without):
        asked.append((only, without.tolist()))
        return best(*given, only=only, without=without)

    monkeypatch.setattr(store.engine, "best", noted)
    some = np.array([track_id for track_id, _ in truth.held][: 25 if wish == "only" else 15])
    left = [t for t in truth.held if (t[0] in some) == (wish == "only")]
    track_id, vectors = left[5]
    found = index.nearest([vectors], 8, **{wish: some}).tolist()
    assert len(found) == 8
    assert track_id in found
    assert set(found) <= {track_id for track_id, _ in left}
    assert asked == [(None, [])]


def test_what_falls_out_is_not_read_from_the_database(reach, truth, drawn, unit, monkeypatch):
    monkeypatch.setattr("indexer.stores.remote._N_DEEP", 1)
    truth.store(*drawn(40))
    read: list[int] = []
    rows = truth.rows()
    told = replace(rows, of=lambda ids: read.extend(ids) or rows.of(ids))
    index = seen(store := reach(), fill(store, truth), told)
    some = np.array([track_id for track_id, _ in truth.held][:30])
    assert len(index.nearest([unit(2, DIM)], 8, only=some)) == 8
    assert set(read) <= set(some.tolist())


@pytest.mark.parametrize("n_wide", [None, 40])
def test_a_selection_is_asked_in_as_many_requests_as_it_takes(
    standin, reach, truth, drawn, unit, monkeypatch, n_wide
):
    truth.store(*drawn(40))
    fill(store := reach(), truth)
    some = np.array([track_id for track_id, _ in truth.held][::2])
    nothing = np.zeros(0, np.int64)
    versions = [unit(3, DIM), unit(2, DIM)]

    def best():
        found = store.engine.best(versions, n_wide, 6, only=some, without=nothing)
        return sorted(found.tolist()), standin.n_seen(SEARCH)

    at_once, n_before = best()
    monkeypatch.setattr("indexer.stores.qdrant.points._NAMED_AT_ONCE", 7)
    in_parts, n_after = best()
    assert in_parts == at_once
    assert len(at_once) == 6
    assert n_after - n_before == 3


def test_hundreds_of_thousands_of_ids_fit_what_a_server_takes(standin, reach, truth, drawn, unit):
    truth.store(*drawn(40))
    fill(store := reach(), truth)
    n_before = standin.n_seen(SEARCH)
    some = np.arange(3, 600_003)
    versions = [unit(3, DIM)] * 5
    found = store.engine.best(versions, 40, 50, only=some, without=np.arange(5, 100_000, 2))
    assert sorted(found.tolist()) == [i for i, _ in truth.held if i >= 3 and (i < 5 or i % 2 == 0)]
    assert standin.n_seen(SEARCH) - n_before == 2


def test_neighbours_are_asked_for_in_requests_that_a_server_takes(
    standin, reach, truth, drawn, unit, monkeypatch
):
    truth.store(*drawn(40))
    fill(store := reach(), truth)
    rows, without = unit(12, DIM), np.arange(1, 31)
    at_once = store.engine.near(rows, 3, without=without)
    n_before = standin.n_seen(SEARCH)
    monkeypatch.setattr("indexer.stores.qdrant.points._NAMED_AT_ONCE", 100)
    in_parts = store.engine.near(rows, 3, without=without)
    assert in_parts.ids.tolist() == at_once.ids.tolist()
    assert standin.n_seen(SEARCH) - n_before == 4


def test_neighbours_are_asked_for_once(standin, reach, truth, drawn):
    truth.store(*drawn(20))
    index = seen(store := reach(), fill(store, truth), truth.rows())
    ids = np.array([1, 4, 4, 7])
    first = index.neighbours(ids).hubness()
    n_asked = standin.n_seen(SEARCH)
    assert index.neighbours(ids[::-1]).hubness().tolist() == first[::-1].tolist()
    assert standin.n_seen(SEARCH) == n_asked


def test_the_document_computes_from_how_deeply_is_asked():
    """Depths, and the bytes of a track in a collection, as docs/scale.md tells them."""
    lines = (Path(__file__).parents[3] / "docs" / "scale.md").read_text().splitlines()

    def told(words):
        (line,) = [line for line in lines if line.startswith(f"| {words}")]
        return [cell.strip() for cell in line.strip("| ").split(" | ")[1:]]

    sizes = [10**6, 10**7, 10**8]
    wide = [round(remote._N_WIDE * remote._depth(size), -3) for size in sizes]
    assert told("tracks whose segments are compared") == [f"{depth:,.0f}" for depth in wide]
    deep = [round(remote._N_DEEP * remote._depth(size), -2) for size in sizes]
    assert [one.rpartition(", ")[0] for one in told("tracks that are read")] == [
        f"{depth:,.0f}" if depth < 5_000 else f"{round(depth, -3):,.0f}" for depth in deep
    ]
    dim, length, links = 256, 22.5, 2 * 2 * 16 * 4  # of each of two graphs, m = 16
    row_bytes = (2 * dim + 1) * (4 + 1) + length * dim * (2 + 1) + 2 * links
    (line,) = [line for line in lines if "kB a track on disk" in line]
    assert f" {row_bytes / 1000:.1f} kB a track on disk" in line
