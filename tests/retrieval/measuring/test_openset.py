"""Queries with and without an answer, and how honest the probabilities of their answers are."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.measuring.openset import Answer, Asked, calibration_error, rejected
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.calibrate import Calibration
from retrieval.ranking.candidate import Query
from retrieval.ranking.ranking import PLAIN

SOME = Calibration(intercept=-4.0, embedding=10.0, alignment=1.0, n_tracks=-0.5, n_segments=0.0)
WORKS = ["a", "a", "a", "b", "c", "d", "e", "f"]


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def scorer(rng):
    of_work = {work: rng.normal(size=(3, 16)) for work in sorted(set(WORKS))}
    return SegmentScorer(
        names=[f"{i}{work}" for i, work in enumerate(WORKS)],
        embeddings=[unit(of_work[work] + 0.3 * rng.normal(size=(3, 16))) for work in WORKS],
        tonal=[rng.integers(0, 256, (12, 120), np.uint8) for _ in WORKS],
        ranking=replace(PLAIN, calibration=SOME),
    )


@pytest.fixture
def asked(scorer):
    query = Query(embeddings=scorer.embeddings[0], tonal=scorer.tonal[0], duration_s=24.0)
    return Asked(query, 0, scorer, WORKS)


def test_a_catalog_holds_an_answer_only_when_asked_to(asked, rng):
    for _ in range(5):
        found = asked.answer(5, rng, has_answer=True)
        assert (found.is_right, found.n_tracks, found.work) == (True, 5, "a")
        none = asked.answer(5, rng, has_answer=False)
        assert (none.is_right, none.n_tracks, none.has_answer) == (False, 5, False)
        assert none.candidate not in (0, 1, 2)
        assert found.probability > none.probability
        assert found.n_segments == 3
        assert found.query == 0


def test_the_query_is_never_in_the_catalog(asked, rng):
    found = asked.answer(1000, rng, has_answer=True)
    assert found.n_tracks == len(WORKS) - 1
    assert found.candidate in (1, 2)


def test_answers_are_ranked_as_every_other_list_is(asked, scorer, rng):
    found = asked.answer(1000, rng, has_answer=True)
    (scores,) = scorer.score(np.array([0]), np.arange(1, len(WORKS)))
    assert found.candidate == 1 + np.argmax(scores)
    expected = SOME.probability(
        found.embedding_score, found.alignment_score, n_tracks=found.n_tracks, n_segments=3
    )
    assert found.probability == pytest.approx(float(expected))


def test_honest_probabilities_have_no_error_and_others_that_of_their_bins(rng):
    likely = rng.random(60_000)
    right = rng.random(60_000) < likely
    assert calibration_error(likely, right) < 0.01
    assert calibration_error(np.full(10, 0.9), np.arange(10) < 5) == pytest.approx(
        np.mean([abs(0.9 - hit) for hit in (np.arange(10) < 5)])
    )
    halves = calibration_error(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 1, 1, 1], bool), 2)
    assert halves == pytest.approx((0.3 + 0.2) / 2)


def test_the_share_of_unanswerable_queries_below_nearly_all_right_answers():
    blank = Answer(
        query=0, candidate=1, work="a", n_tracks=9, n_segments=3, has_answer=True, is_right=True,
        embedding_score=0.5, alignment_score=4.0, probability=0.0,
    )  # fmt: skip
    right = [replace(blank, probability=p) for p in np.linspace(0.5, 1.0, 101)]
    wrong = [
        replace(blank, has_answer=False, is_right=False, probability=p)
        for p in (0.1, 0.2, 0.52, 0.9)
    ]
    assert rejected([*right, *wrong]) == 0.75
    assert rejected([*right, *wrong], falsely=0.0) == 0.5
