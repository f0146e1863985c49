"""Evidence becomes probability as it should, and a fit finds what its data were drawn from."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pemr import load_embedder
from retrieval.errors import RankingError
from retrieval.ranking.calibrate import Calibration, calibration_from, evidence, fit
from retrieval.ranking.candidate import Query
from retrieval.ranking.pool import Pool
from retrieval.ranking.ranking import PLAIN, ranking_from
from retrieval.ranking.stages import rank

SOME = Calibration(intercept=-9.0, embedding=20.0, alignment=3.0, n_tracks=-0.8, n_segments=0.1)


@pytest.fixture
def shipped():
    return ranking_from(load_embedder("cover").ranking).calibration


def test_the_equation_is_that_of_the_docstring():
    odds = -9 + 20 * 0.4 + 3 * np.log(1 + 6.0) - 0.8 * np.log(50) + 0.1 * np.log(8)
    found = SOME.probability(0.4, 6.0, n_tracks=50, n_segments=8)
    assert found == pytest.approx(1 / (1 + np.exp(-odds)))


def test_a_false_best_match_is_more_likely_in_a_larger_catalog(shipped):
    for calibration in (SOME, shipped):
        likely = [
            calibration.probability(0.4, 5.0, n_tracks=n, n_segments=10) for n in (1, 100, 10_000)
        ]
        assert likely == sorted(likely, reverse=True)
        assert likely[0] > likely[-1]


def test_a_better_match_is_more_likely(shipped):
    near = shipped.probability([0.1, 0.3, 0.6], 4.0, n_tracks=100, n_segments=10)
    aligned = shipped.probability(0.3, [0.0, 4.0, 12.0], n_tracks=100, n_segments=10)
    assert (np.diff(near) > 0).all()
    assert (np.diff(aligned) > 0).all()


def test_the_shipped_one_is_sure_of_what_is_plain(shipped):
    assert shipped.probability(0.7, 12.0, n_tracks=1000, n_segments=20) > 0.99
    assert shipped.probability(0.2, 2.0, n_tracks=1000, n_segments=20) < 0.01


def test_what_was_not_aligned_counts_as_followed_nowhere():
    chances = SOME.probability([0.4, 0.4], [np.nan, 0.0], n_tracks=9, n_segments=3)
    assert chances[0] == chances[1]


def test_silence_and_an_empty_catalog_are_no_error():
    assert 0 <= SOME.probability(-1.0, 0.0, n_tracks=0, n_segments=0) < 1e-6


def test_a_fit_finds_the_weights_that_its_data_were_drawn_from(rng):
    n_trials = 40_000
    seen = evidence(
        rng.uniform(0, 0.8, n_trials),
        rng.uniform(0, 12, n_trials),
        rng.choice([1, 10, 100, 1000], n_trials),
        rng.integers(1, 40, n_trials),
    )
    odds = SOME.intercept + seen @ np.array([20.0, 3.0, -0.8, 0.1])
    is_performance = rng.random(n_trials) < 1 / (1 + np.exp(-odds))
    found = fit(seen, is_performance, np.ones(n_trials)).values()
    for name, value in SOME.values().items():
        assert found[name] == pytest.approx(value, rel=0.15, abs=0.15), name


def test_evidence_that_would_count_the_wrong_way_counts_nothing(rng):
    seen = evidence(rng.random(500), rng.random(500), rng.integers(1, 99, 500), np.full(500, 5))
    found = fit(seen, rng.random(500) < 1 - seen[:, 0], np.ones(500))
    assert found.embedding == 0


def test_covers_and_strangers_that_are_parted_give_finite_weights():
    seen = evidence([0.1, 0.2, 0.8, 0.9], [1.0, 1.0, 9.0, 9.0], 10, 5)
    found = fit(seen, np.array([False, False, True, True]), np.ones(4))
    assert np.isfinite(list(found.values().values())).all()


def test_it_goes_through_json_and_comes_back_inside_a_ranking():
    ranking = replace(PLAIN, calibration=SOME)
    assert ranking_from(json.loads(json.dumps(ranking.values()))) == ranking
    assert calibration_from(SOME.values()) == SOME


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"embedding": -1.0}, "embedding is -1.0, but it must be at least 0"),
        ({"n_tracks": 0.5}, "n_tracks is 0.5, but it must be at most 0"),
        ({"loudness": 1.0}, "these differ: loudness"),
        ({"intercept": "much"}, "cannot be read"),
    ],
)
def test_values_that_are_no_calibration_are_refused(change, sentence):
    with pytest.raises(RankingError, match=sentence):
        calibration_from({**SOME.values(), **change})


def test_it_belongs_to_the_evidence_that_it_weighs():
    ranking = replace(PLAIN, calibration=SOME)
    for stage in ("tempos", "alignment"):
        assert ranking.without(stage).calibration is None
    for stage in ("hubs", "neighbours"):
        assert ranking.without(stage).calibration == SOME
    assert ranking.only("alignment").calibration is None


def test_the_last_stage_counts_the_whole_catalog_and_never_the_query(rng):
    query = Query(
        embeddings=(rng.normal(size=(3, 8)) / 10).astype(np.float32),
        tonal=np.zeros((12, 0), np.uint8),
        duration_s=30.0,
    )
    pool = Pool(
        embeddings=[query.embeddings, *rng.normal(size=(2, 2, 8)).astype(np.float32)],
        is_candidate=np.array([False, True, True]),
        mean_length=2.0,
        hubness=lambda: np.zeros(3),
        tonal_of=lambda indices: [np.zeros((12, 0), np.uint8)] * len(indices),
    )
    ranking = replace(PLAIN, calibration=SOME)
    small = rank(query, pool, ranking)
    large = rank(query, replace(pool, n_tracks=1000), ranking)
    assert small.probabilities[0] == 0
    expected = SOME.probability(small.embedding_scores[1], 0.0, n_tracks=3, n_segments=3)
    assert small.probabilities[1] == pytest.approx(float(expected))
    assert (large.probabilities[1:] < small.probabilities[1:]).all()
    assert np.isnan(rank(query, pool, PLAIN).probabilities).all()
    np.testing.assert_array_equal(small.scores, rank(query, pool, PLAIN).scores)
