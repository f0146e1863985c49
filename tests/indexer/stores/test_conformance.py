"""What every store of vectors must do, whichever it is: each is asked the same."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from indexer.exact import gathered
from indexer.hubs import directions, neighbours
from indexer.repair import Name
from indexer.searched import Searched
from tests.indexer.stores.conftest import DIM, seen


def kept(index, tracks):
    """List the tracks as an index compares them: a large file keeps half a byte for a value."""
    return list(index.tracks()) if isinstance(index, Searched) else tracks


def best(tracks, versions, n_tracks, only=None, without=()):
    """Score everything, and keep the best."""
    lengths = [len(vectors) for _, vectors in tracks]
    asked = [t for t in tracks if (only is None or t[0] in only) and t[0] not in without]
    scores = gathered(asked, DIM).scores(versions, float(np.mean(lengths)))
    order = np.argsort(-scores, kind="stable")[:n_tracks]
    return sorted(asked[place][0] for place in order)


def same(index, truth, versions):
    """Compare all that an index can be asked with what follows from the truth."""
    tracks = truth.held
    assert len(index) == len(tracks)
    assert index.n_segments == sum(len(vectors) for _, vectors in tracks)
    assert index.dim == DIM
    ids, rows = index.directions()
    assert ids.tolist() == [track_id for track_id, _ in tracks]
    expected = directions(np.stack([vectors.mean(axis=0) for _, vectors in tracks]))
    np.testing.assert_allclose(rows, expected, atol=4e-3)  # a byte for each value
    found = index.neighbours(ids).hubness()
    np.testing.assert_allclose(found, neighbours(ids, expected, ids, expected).hubness(), atol=2e-3)
    expected = best(kept(index, tracks), versions, 5)
    assert index.nearest(versions, 5, is_exact=True).tolist() == expected
    assert index.nearest(versions, 5).tolist() == expected


@pytest.fixture
def versions(unit):
    return [unit(3, DIM), unit(0, DIM), unit(4, DIM)]


def test_an_empty_store_answers_nothing(brought, truth, unit):
    index = brought(truth)
    assert (len(index), index.n_segments, index.mean_length) == (0, 0, 1.0)
    assert index.nearest([unit(2, DIM)], 5).tolist() == []
    assert index.gaining([unit(30, DIM)], 5, 0.1).tolist() == []
    assert [part.shape for part in index.directions()] == [(0,), (0, DIM)]


def test_one_track_is_found_and_has_no_neighbours(brought, truth, unit):
    truth.store((7, vectors := unit(2, DIM)))
    index = brought(truth)
    assert index.nearest([vectors], 5).tolist() == [7]
    assert index.nearest([vectors], 5, without=np.array([7])).tolist() == []
    assert index.neighbours(np.array([7])).hubness().tolist() == [0.0]


def test_all_that_is_asked_follows_from_the_tracks(brought, truth, drawn, versions):
    truth.store(*drawn(40))
    index = brought(truth)
    assert index.n_changed == 0
    same(index, truth, versions)


def test_tracks_come_go_and_are_replaced(brought, truth, drawn, unit, versions):
    tracks = drawn(30)
    truth.store(*tracks)
    brought(truth)
    truth.remove(tracks[3][0], tracks[20][0])
    truth.store((tracks[5][0], unit(4, DIM)), *drawn(3, first=500))
    truth.store((tracks[9][0], unit(0, DIM)))  # silent now
    truth.store((tracks[3][0], unit(2, DIM)))  # back again
    same(brought(truth), truth, versions)


def test_what_came_since_is_searched_beside_the_store(store, brought, truth, drawn, unit, versions):
    tracks = drawn(30)
    truth.store(*tracks)
    brought(truth)
    truth.remove(tracks[3][0], tracks[20][0])
    truth.store((tracks[5][0], unit(4, DIM)), *drawn(3, first=500))
    index = seen(store, brought.last[-1], truth.rows())
    assert index.n_changed > 0
    same(index, truth, versions)
    truth.remove(500, tracks[5][0])
    truth.store((503, unit(1, DIM)))
    again = seen(store, brought.last[-1], truth.rows())
    same(again, truth, versions)


def test_an_index_follows_the_state_of_the_database(brought, truth, drawn, unit, versions):
    truth.store(*drawn(30))
    index = brought(truth)
    before = (len(index), index.nearest(versions, 5).tolist())
    since = truth.generation
    truth.remove(1)
    truth.store((4, unit(4, DIM)), (900, unit(2, DIM)))
    rows = truth.rows()
    newer = index.changed(rows.gone(since), rows.since(since)).over(rows)
    same(newer, truth, versions)
    assert (len(index), index.nearest(versions, 5).tolist()) == before


def test_only_some_tracks_and_without_others(brought, truth, drawn, unit):
    tracks = drawn(40)
    truth.store(*tracks)
    index, asked = brought(truth), [unit(2, DIM)]
    some = np.array([tracks[place][0] for place in (39, 30, 21, 8, 3, 2)])
    tracks = kept(index, tracks)
    assert index.nearest(asked, 3, only=some).tolist() == best(tracks, asked, 3, only=some)
    assert index.nearest(asked, 9, without=some).tolist() == best(tracks, asked, 9, without=some)
    both = index.nearest(asked, 9, only=some, without=some[:2]).tolist()
    assert both == sorted(some[2:].tolist())
    assert index.nearest(asked, 9, only=np.array([10_000])).tolist() == []
    assert index.nearest(asked, 9, only=np.zeros(0, np.int64)).tolist() == []
    assert index.nearest(asked, 9, without=np.array([i for i, _ in tracks])).tolist() == []


@pytest.mark.parametrize("n_wanted", [0, 1, 10, 19, 21, 39, 40])
def test_any_share_of_the_tracks_may_be_wanted(brought, truth, drawn, unit, monkeypatch, n_wanted):
    monkeypatch.setattr("indexer.stores.remote._N_DEEP", 1)
    tracks = drawn(40)
    truth.store(*tracks)
    index, asked = brought(truth), [unit(2, DIM), unit(3, DIM)]
    some = np.array([track_id for track_id, _ in tracks[::-1]][:n_wanted], np.int64)
    found = index.nearest(asked, 8, only=some).tolist()
    assert len(found) == min(8, n_wanted)
    assert set(found) <= set(some.tolist())
    if n_wanted:
        wanted = tracks[-1]
        assert wanted[0] in index.nearest([wanted[1]], 8, only=some)


@pytest.mark.parametrize("track_id", [1, 2**31, 2**40 + 1, 2**53 + 1])
def test_ids_are_kept_whole(brought, truth, unit, track_id):
    truth.store((track_id, vectors := unit(2, DIM)), (track_id + 1, unit(2, DIM)))
    index = brought(truth)
    assert index.nearest([vectors], 1).tolist() == [track_id]
    assert index.directions()[0].tolist() == [track_id, track_id + 1]


def test_a_store_of_another_state_is_not_taken_for_this_one(store, brought, truth, drawn):
    truth.store(*drawn(5))
    brought(truth)
    name = brought.last[-1]
    for other in (Name(name.generation, 1), Name(name.generation + 1, name.token)):
        assert seen(store, other, truth.rows()) is None


def test_a_damaged_store_is_noticed_and_made_again(store, brought, truth, drawn, versions):
    truth.store(*drawn(30))
    brought(truth)
    store.damage()
    assert seen(store, brought.last[-1], truth.rows()) is None
    truth.remove(1)
    same(brought(truth), truth, versions)


def test_a_long_recording_gains_by_the_segments_that_it_shares(brought, truth, drawn, unit):
    tracks = drawn(40)
    truth.store(*tracks)
    shared = [tracks[4], tracks[33]]
    long = np.concatenate([unit(30, DIM), *(vectors for _, vectors in shared)])
    index = brought(truth)
    found = index.gaining([long, unit(0, DIM)], 9, 0.98).tolist()
    assert found == [track_id for track_id, _ in shared]
    longest = max(shared, key=lambda track: len(track[1]))
    assert index.gaining([long], 1, 0.98).tolist() == [longest[0]]


def test_readers_see_whole_states_while_a_writer_changes_the_store(
    store, brought, truth, drawn, unit
):
    """Whoever reads finds what its own state holds, whatever is put and deleted meanwhile."""
    truth.store(*drawn(20))
    brought(truth)
    name, is_done = brought.last[-1], Event()
    asked = [vectors for _, vectors in truth.held][:5]
    rows = truth.rows()
    held = {track_id for track_id, _ in rows.all()}

    def read() -> int:
        index, n_read = seen(store, name, rows), 0
        while not is_done.is_set() or not n_read:
            for vectors in asked:
                assert set(index.nearest([vectors], 3).tolist()) <= held
                n_read += 1
        return n_read

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for first in range(500, 900, 100):
                truth.store(*drawn(3, first=first), (4, unit(3, DIM)))
                truth.remove(7 + first % 9)
                newest = brought(truth)
        finally:
            is_done.set()
        assert all(reader.result() for reader in readers)
    same(newest, truth, [unit(3, DIM)])
