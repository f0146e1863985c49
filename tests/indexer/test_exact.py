import numpy as np
import pytest

from indexer.exact import Segments, gathered, packed


def as_bytes(segments):
    return Segments(segments.ids, segments.starts, *packed(segments.values))


def slow_score(versions, candidate, mean_length):
    """Score one track by a loop over its segments, from the definition."""
    found = []
    for version in versions:
        cosines = [[float(a @ b) for b in candidate] for a in version]
        there = np.mean([max(row) for row in cosines])
        back = np.mean([max(row[k] for row in cosines) for k in range(len(candidate))])
        weight = min(1.0, len(version) / mean_length)
        found.append((there + weight * back) / (1 + weight))
    return max(found)


@pytest.mark.parametrize("n_at_once", [1, 30, 10_000])
@pytest.mark.parametrize("form", [lambda held: held, as_bytes], ids=["float32", "int8"])
def test_scores_equal_a_loop_over_segments(unit, drawn, monkeypatch, n_at_once, form):
    monkeypatch.setattr("indexer.exact._COSINES_AT_ONCE", n_at_once)
    tracks = drawn(20)
    versions = [unit(3, 8), unit(0, 8), unit(5, 8)]
    expected = [slow_score([v for v in versions if len(v)], one, 6.5) for _, one in tracks]
    found = form(gathered(tracks, 8)).scores(versions, 6.5)
    np.testing.assert_allclose(found, expected, atol=5e-3 if form is as_bytes else 1e-5)


def test_some_tracks_score_as_they_do_among_all(unit, drawn):
    held, versions = gathered(drawn(30), 8), [unit(4, 8)]
    places = np.array([1, 2, 3, 9, 28])
    np.testing.assert_allclose(
        held.scores(versions, 5, places), held.scores(versions, 5)[places], rtol=1e-6
    )


@pytest.mark.parametrize("places", [[], [4], [0, 1, 2], [7, 3, 11]])
def test_segments_of_some_tracks_come_one_after_the_other(drawn, places):
    tracks = drawn(12)
    expected = np.concatenate([np.zeros((0, 8), "f"), *(tracks[place][1] for place in places)])
    found = gathered(tracks, 8).of(np.array(places, np.int64))
    np.testing.assert_array_equal(found, expected)


def test_places_are_found_by_id_and_strange_ids_passed_over(drawn):
    held = gathered(drawn(5), 8)  # 1, 4, 7, 10, 13
    assert held.places_of(np.array([0, 1, 5, 10, 13, 99])).tolist() == [0, 3, 4]


def test_a_track_without_segments_is_left_out(unit):
    held = gathered([(3, unit(0, 8)), (5, unit(2, 8))], 8)
    assert (held.ids.tolist(), held.lengths.tolist()) == ([5], [2])


def test_nothing_scores_nothing(unit):
    assert gathered([], 8).scores([unit(2, 8)], 1.0).shape == (0,)
    assert gathered([(1, unit(2, 8))], 8).scores([unit(0, 8)], 1.0).tolist() == [-1]


def test_bytes_are_close_to_what_they_were_and_packing_again_changes_nothing(unit):
    vectors = np.vstack([unit(50, 16), np.zeros((1, 16), np.float32)])
    values, scales = packed(vectors)
    unpacked = values * scales[:, None]
    np.testing.assert_allclose(unpacked, vectors, atol=np.abs(vectors).max() / 127)
    np.testing.assert_array_equal(packed(unpacked.astype(np.float32))[0], values)
