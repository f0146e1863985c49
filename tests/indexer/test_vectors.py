import faiss
import numpy as np
import pytest

from indexer import vectors as module
from indexer.vectors import CoarseCodes, SegmentLists, products


@pytest.fixture
def clustered(rng, unit):
    """Sixty tracks of ten segments around sixty directions."""
    centres = np.repeat(unit(60, 16), 10, axis=0)
    vectors = centres + 0.1 * rng.standard_normal((600, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.repeat(np.arange(60), 10), vectors.astype(np.float32)


@pytest.fixture
def lists(clustered):
    made = SegmentLists.trained(clustered[1], 6000)
    made.add(*clustered)
    return made


def test_lists_name_the_tracks_of_the_nearest_segments(lists, clustered):
    ids, vectors = clustered
    for track in (0, 17, 59):
        assert track in lists.search(vectors[ids == track], 3, 4)
    assert len(lists) == 600


def test_tracks_are_named_once_and_in_order(lists, clustered):
    found = lists.search(clustered[1][:50], 20, 4)
    assert (np.diff(found) > 0).all()
    assert found.min() >= 0


def test_a_track_that_was_removed_is_not_named(lists, clustered):
    lists.remove(np.array([5, 77]))
    assert 5 not in lists.search(clustered[1][50:60], 50, 4)
    assert len(lists) == 590


def test_lists_read_back_answer_the_same_and_take_more(lists, clustered):
    again = SegmentLists.from_bytes(lists.to_bytes())
    asked = clustered[1][:30]
    np.testing.assert_array_equal(again.search(asked, 9, 2), lists.search(asked, 9, 2))
    again.add(np.full(10, 99), clustered[1][:10])
    assert 99 in again.search(asked, 20, 4)


def test_what_is_written_piece_by_piece_is_what_is_written_at_once(lists, clustered):
    for codes in (lists, CoarseCodes.of(clustered[1])):
        pieces = []
        codes.write_to(pieces.append)
        assert b"".join(pieces) == codes.to_bytes().tobytes()


@pytest.mark.parametrize("dim", [2, 6, 7, 12])
def test_vectors_of_any_length_are_held(unit, dim):
    vectors = unit(300, dim)
    made = SegmentLists.trained(vectors, 300)
    made.add(np.arange(300), vectors)
    assert len(made.search(vectors[:4], 5, 1))
    assert len(made.search(vectors[:0], 5, 1)) == 0
    assert len(CoarseCodes.of(vectors).search(vectors[:2], 5))


def test_lists_without_vectors_answer_with_nothing(unit):
    made = SegmentLists.trained(unit(100, 8), 100)
    made.add(np.zeros(0, np.int64), np.zeros((0, 8), np.float32))
    assert made.search(unit(3, 8), 5, 1).tolist() == []


def test_codes_name_the_places_of_the_nearest_rows(clustered):
    codes = CoarseCodes.of(clustered[1])
    again = CoarseCodes.from_bytes(codes.to_bytes())
    found = codes.search(clustered[1][[30, 200]], 20)
    assert np.isin([30, 200], found).all()
    np.testing.assert_array_equal(again.search(clustered[1][[30, 200]], 20), found)
    assert len(codes) == len(again) == 600


def test_products_are_made_on_a_gpu_where_there_is_one(rng, monkeypatch):
    queries, rows = (rng.standard_normal((n, 6)).astype(np.float32) for n in (3, 5))
    expected = np.array([[sum(q * r) for r in rows] for q in queries])
    np.testing.assert_allclose(products(queries, rows), expected, rtol=1e-5, atol=1e-6)
    asked = []

    def on_gpu(resources, one, other, metric):
        asked.append((resources, metric))
        return one @ other.T

    monkeypatch.setattr(module, "has_gpu", lambda: True)
    monkeypatch.setattr(faiss, "pairwise_distance_gpu", on_gpu)
    monkeypatch.setattr(module, "_gpu", lambda: "card")
    np.testing.assert_allclose(products(queries, rows), expected, rtol=1e-5, atol=1e-6)
    assert asked == [("card", faiss.METRIC_INNER_PRODUCT)]
    assert products(queries, rows[:0]).shape == (3, 0)
    assert len(asked) == 1
