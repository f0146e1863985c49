import numpy as np
import pytest

from indexer.hubs import N_NEIGHBOURS, directions, neighbours, unknown


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
    found = directions(np.array([[0, 0], [3, 4]], np.float32))
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8]], rtol=1e-6)
