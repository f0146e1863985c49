"""Hubs: what is near to everything, in a matrix and in a catalog."""

import numpy as np
import pytest

from retrieval import search, stored_query
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.hubs import hubness, mean_embeddings
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.ranking import Ranking

DIM = 8
HUB_WEIGHT = 0.4


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("n_tracks", [2, 7, 11, 40])
def test_hubness_equals_a_loop_over_the_ten_nearest(rng, n_tracks):
    vectors = unit(rng.normal(size=(n_tracks, DIM)))
    for place, found in enumerate(hubness(vectors)):
        others = sorted(
            (float(vectors[place] @ vectors[k]) for k in range(n_tracks) if k != place),
            reverse=True,
        )
        assert found == pytest.approx(np.mean(others[:10]), abs=1e-6)


def test_blocks_join_seamlessly(rng, monkeypatch):
    vectors = unit(rng.normal(size=(30, DIM)))
    whole = hubness(vectors)
    monkeypatch.setattr("retrieval.ranking.hubs._BLOCK_LENGTH", 7)
    np.testing.assert_allclose(hubness(vectors), whole)


def test_a_track_alone_is_no_hub():
    assert hubness(np.ones((1, 1), np.float32)).tolist() == [0.0]
    assert hubness(np.ones((0, 4), np.float32)).tolist() == []


def test_what_lies_amid_all_others_is_the_hub(rng):
    vectors = unit(np.concatenate([np.eye(DIM), np.ones((1, DIM))]))
    assert hubness(vectors).argmax() == DIM


def test_means_are_unit_vectors_of_any_number_of_segments(rng):
    tracks = [unit(rng.normal(size=(n, DIM))) for n in (1, 5)]
    means = mean_embeddings(tracks)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(means[0], tracks[0][0], rtol=1e-5)


@pytest.mark.parametrize("n_tracks", [1, 2, 8, 25])
def test_a_catalog_finds_the_same_hubness(tmp_path, rng, filled, n_tracks):
    tracks = [unit(rng.normal(size=(1 + k % 3, DIM))) for k in range(n_tracks)]
    catalog, ids = filled(tmp_path / "catalog", tracks)
    with catalog:
        found = catalog.neighbours(np.array(ids)).hubness()
    np.testing.assert_allclose(found, hubness(mean_embeddings(tracks)), atol=1e-5)


def test_many_copies_are_hubs_of_each_other(tmp_path, filled):
    catalog, ids = filled(tmp_path / "catalog", [unit(np.ones((1, DIM)))] * 14)
    with catalog:
        np.testing.assert_allclose(catalog.neighbours(np.array(ids)).hubness(), 1.0, rtol=1e-5)


def test_hubs_lose_their_share_in_an_evaluation(rng):
    tracks = [unit(rng.normal(size=(3, DIM))) for _ in range(20)]
    scorers = {
        weight: SegmentScorer(
            names=[str(k) for k in range(20)],
            embeddings=tracks,
            tonal=[],
            ranking=Ranking(hub_weight=weight, n_aligned=0),
        )
        for weight in (0.0, HUB_WEIGHT)
    }
    query, everything = np.array([4]), np.arange(20)
    plain = scorers[0.0].score(query, everything)[0]
    lessened = scorers[HUB_WEIGHT].score(query, everything)[0]
    kept = everything != 4
    np.testing.assert_allclose(plain[kept], track_scores(tracks[4], tracks)[kept])
    losses = HUB_WEIGHT * hubness(mean_embeddings(tracks))
    np.testing.assert_allclose(plain[kept] - lessened[kept], losses[kept])


def test_search_takes_the_share_of_hubs_too(tmp_path, rng, filled):
    tracks = [unit(rng.normal(size=(2, DIM))) for _ in range(15)]
    catalog, ids = filled(tmp_path / "catalog", tracks)
    with catalog:
        query = stored_query(catalog, catalog.track(ids[3]))
        found = search(catalog, query, Ranking(hub_weight=HUB_WEIGHT, n_aligned=0), n_candidates=15)
    losses = HUB_WEIGHT * hubness(mean_embeddings(tracks))
    expected = track_scores(tracks[3], tracks) - losses
    places = {track_id: place for place, track_id in enumerate(ids)}
    assert len(found) == 14
    for candidate in found:
        assert candidate.score == pytest.approx(expected[places[candidate.track_id]], abs=1e-5)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
