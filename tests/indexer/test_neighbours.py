import numpy as np
import pytest

from indexer import hubs
from indexer.hubs import N_NEIGHBOURS, directions, neighbours, neighbours_of_all, unknown


def slow(asked_id, vector, ids, vectors):
    others = [(float(v @ vector), i) for i, v in zip(ids, vectors, strict=True) if i != asked_id]
    return {i for _, i in sorted(others, reverse=True)[:N_NEIGHBOURS]}


@pytest.mark.parametrize("n_tracks", [1, 2, 11, 60])
def test_the_nearest_are_those_of_a_sorted_list(unit, monkeypatch, n_tracks):
    monkeypatch.setattr("indexer.hubs._COSINES_AT_ONCE", 150)
    ids, vectors = np.arange(n_tracks) * 2 + 1, unit(n_tracks, 8)
    found = neighbours(ids, vectors, ids, vectors)
    for place in range(n_tracks):
        kept = {i for i in found.ids[place].tolist() if i >= 0}
        assert kept == slow(ids[place], vectors[place], ids.tolist(), vectors)


def test_lists_of_two_halves_join_to_those_of_the_whole(unit):
    ids, vectors = np.arange(50), unit(50, 8)
    whole = neighbours(ids, vectors, ids, vectors)
    halves = [neighbours(ids, vectors, ids[part], vectors[part]) for part in
              (slice(0, 23), slice(23, 50))]  # fmt: skip
    joined = halves[0].joined(halves[1])
    np.testing.assert_array_equal(np.sort(joined.ids), np.sort(whole.ids))
    np.testing.assert_allclose(joined.hubness(), whole.hubness(), rtol=1e-6)


def test_a_track_alone_has_no_neighbour_and_is_no_hub():
    assert unknown(2).hubness().tolist() == [0, 0]


def test_what_has_no_direction_stays_without():
    means = np.array([[0, 0], [3, 4]], np.float32)
    np.testing.assert_allclose(directions(means), [[0, 0], [0.6, 0.8]], rtol=1e-6)
    assert means.tolist() == [[0, 0], [3, 4]]
    assert directions(means, means) is means
    np.testing.assert_allclose(means, [[0, 0], [0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("n_at_once", [1, 150, 1_000, 1 << 24])
@pytest.mark.parametrize("n_in_group", [2, 32])
@pytest.mark.parametrize("n_tracks", [1, 2, 11, 97])
def test_every_two_tracks_compared_once_find_the_same(
    unit, monkeypatch, n_at_once, n_in_group, n_tracks
):
    monkeypatch.setattr(hubs, "_COSINES_AT_ONCE", n_at_once)
    monkeypatch.setattr(hubs, "_N_IN_GROUP", n_in_group)
    ids, vectors = np.arange(n_tracks) * 2 + 1, unit(n_tracks, 8)
    found = neighbours_of_all(ids, vectors)
    for place in range(n_tracks):
        kept = {i for i in found.ids[place].tolist() if i >= 0}
        assert kept == slow(ids[place], vectors[place], ids.tolist(), vectors)
    alone = neighbours(ids, vectors, ids, vectors)
    np.testing.assert_allclose(found.hubness(), alone.hubness(), rtol=1e-5)


@pytest.fixture
def by_lists(monkeypatch):
    """Compare as among very many tracks, with some share of them."""

    def compare(n_compared):
        monkeypatch.setattr(hubs, "COMPARED_LENGTH", 0)
        monkeypatch.setattr(hubs, "_LIST_LENGTH", 5)
        monkeypatch.setattr(hubs, "_ROWS_AT_ONCE", 7)
        monkeypatch.setattr(hubs, "_ASKED_AT_ONCE", 23)
        monkeypatch.setattr(hubs, "_N_COMPARED", n_compared)

    return compare


@pytest.mark.parametrize("n_tracks", [1, 2, 11, 60])
def test_all_lists_together_hold_all_neighbours(unit, by_lists, n_tracks):
    by_lists(1e9)
    ids, rows = np.arange(n_tracks) * 3 + 5, unit(n_tracks, 8)
    found, expected = neighbours_of_all(ids, rows), neighbours(ids, rows, ids, rows)
    np.testing.assert_array_equal(np.sort(found.ids), np.sort(expected.ids))
    np.testing.assert_allclose(found.hubness(), expected.hubness(), rtol=1e-5)


def test_a_few_lists_hold_most_neighbours_and_never_the_track_itself(rng, unit, by_lists):
    by_lists(2_000)  # of 10^5; a seventh of 400
    centres = np.repeat(unit(20, 16), 20, axis=0)
    rows = directions((centres + 0.2 * rng.standard_normal(centres.shape)).astype(np.float32))
    ids = np.sort(rng.choice(9_999, 400, replace=False))
    found, expected = neighbours_of_all(ids, rows), neighbours(ids, rows, ids, rows)
    shares = [np.isin(a, b).mean() for a, b in zip(expected.ids, found.ids, strict=True)]
    assert np.mean(shares) > 0.9
    assert (found.hubness() <= expected.hubness() + 1e-6).all()
    places = np.searchsorted(ids, found.ids)
    true = (rows[places] * rows[:, None]).sum(axis=2)
    np.testing.assert_allclose(found.cosines, true, atol=1e-5)
    assert not (found.ids == ids[:, None]).any()
    assert all(len(set(one)) == N_NEIGHBOURS for one in found.ids.tolist())
