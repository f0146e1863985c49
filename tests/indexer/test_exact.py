import numpy as np
import pytest

from indexer.exact import Segments, gathered, halved, joined, packed


def in_halves(segments):
    codes, scales = halved(segments.values)
    return Segments(segments.ids, segments.starts, codes, scales, segments.dim)


def slow_halves(vector):
    """Take half bytes apart by division, a segment at a time."""
    (codes,), (scale,) = halved(vector[None])
    lower = [(int(one) + 7) % 16 - 7 for one in codes]
    upper = [(int(one) - low) // 16 for one, low in zip(codes, lower, strict=True)]
    assert all(-7 <= one <= 7 for one in lower + upper)
    return np.array([*lower, *upper][: len(vector)]) * scale


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
@pytest.mark.parametrize("form", [lambda held: held, in_halves], ids=["float32", "half bytes"])
def test_scores_equal_a_loop_over_segments(unit, drawn, monkeypatch, n_at_once, form):
    monkeypatch.setattr("indexer.exact._COSINES_AT_ONCE", n_at_once)
    tracks = drawn(20, 9)
    held = form(gathered(tracks, 9))
    if form is in_halves:
        tracks = [(id_, np.array([slow_halves(one) for one in all_])) for id_, all_ in tracks]
    versions = [unit(3, 9), unit(0, 9), unit(5, 9)]
    expected = [slow_score([v for v in versions if len(v)], one, 6.5) for _, one in tracks]
    np.testing.assert_allclose(held.scores(versions, 6.5), expected, atol=1e-5)
    places = np.array([0, 3, 19])
    expected = np.concatenate([tracks[place][1] for place in places])
    np.testing.assert_allclose(held.of(places), expected, atol=1e-6)


def test_half_bytes_keep_products_but_for_a_little_noise(rng, unit):
    vectors = unit(500, 256)
    held = in_halves(gathered([(1, vectors)], 256))
    noise = held.of(np.array([0])) - vectors
    assert np.linalg.norm(noise, axis=1).mean() == pytest.approx(0.115, abs=0.01)
    cosines = (unit(40, 256) @ noise.T).ravel()
    assert cosines.std() == pytest.approx(0.115 / 16, rel=0.1)
    np.testing.assert_allclose((noise * vectors).sum(axis=1), 0, atol=1e-5)  # none is drawn in


def test_half_bytes_of_nothing_and_of_silence():
    assert [one.shape for one in halved(np.zeros((0, 5), np.float32))] == [(0, 3), (0,)]
    codes, scales = halved(np.zeros((2, 4), np.float32))
    assert not codes.any()
    assert not scales.any()


@pytest.mark.parametrize("form", [lambda held: held, in_halves], ids=["float32", "half bytes"])
@pytest.mark.parametrize("n_others", [0, 4])
def test_tracks_that_came_are_put_in_their_places(monkeypatch, drawn, form, n_others):
    monkeypatch.setattr("indexer.exact._PUT_AT_ONCE", 3)
    tracks, others = drawn(10), drawn(n_others, first=2)
    is_kept = np.arange(10) % 4 != 1
    left = [track for track, is_left in zip(tracks, is_kept, strict=True) if is_left]
    expected = form(gathered(sorted([*left, *others], key=lambda track: track[0]), 8))
    found, values = joined(form(gathered(tracks, 8)), is_kept, form(gathered(others, 8)))
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.scales, expected.scales)
    np.testing.assert_array_equal(np.concatenate(list(values)), expected.values)


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
