"""Alignment of chroma sequences whose relation is known."""

import math

import numpy as np
import pytest

from retrieval.ranking.matching.align import (
    Alignment,
    align,
    align_many,
    best_shifts,
    common_factor,
    pool,
)


@pytest.mark.parametrize("semitones", range(-5, 7))
def test_transposition_counts_from_query_up_to_candidate(rng, semitones, song):
    query = song(rng, 60)
    candidate = np.roll(query, semitones, axis=0)
    assert align(query, candidate).transposition == semitones
    assert align(candidate, query).transposition == (-semitones if semitones != 6 else 6)


def test_a_transposed_copy_scores_like_the_copy_itself(rng, song):
    query = song(rng, 60)
    assert align(query, np.roll(query, 5, axis=0)).score == align(query, query).score


def test_a_recording_aligns_with_itself_from_end_to_end(rng, song):
    query = song(rng, 60)  # 300 frames, pooled to 150, stacked to 142
    assert align(query, query) == Alignment(transposition=0, score=140 / math.sqrt(142))


def test_another_tempo_scores_above_another_song(rng, song):
    query = song(rng, 60)
    slower = query[:, (np.arange(390) / 1.3).astype(int)]
    assert align(query, slower).score > 3 * align(query, song(rng, 78)).score


def test_an_excerpt_finds_the_track_it_was_cut_from(rng, song):
    track = song(rng, 120)
    others = [song(rng, 120) for _ in range(5)]
    excerpt = np.roll(track[:, 200:300], 3, axis=0)
    found = align(excerpt, track)
    assert found.transposition == -3
    assert found.score > max(align(excerpt, other).score for other in others)


def test_of_two_equal_matches_the_shorter_candidate_scores_higher(rng, song):
    query = song(rng, 60)
    longer = np.concatenate([query, song(rng, 60)], axis=1)
    assert align(query, query).score > align(query, longer).score


@pytest.mark.parametrize(
    "chroma",
    [
        np.zeros((12, 300), np.uint8),
        np.full((12, 300), 90, np.uint8),
        np.repeat(np.arange(12, dtype=np.uint8)[:, None], 300, axis=1),
    ],
    ids=["silence", "flat", "one held chord"],
)
def test_what_never_changes_matches_nothing(rng, chroma, song):
    assert align(chroma, chroma).score == 0
    assert align(chroma, song(rng, 60)).score == 0
    assert align(song(rng, 60), chroma).score == 0


@pytest.mark.parametrize("n_frames", [0, 1, 5, 8])
def test_less_than_one_stack_of_frames_matches_nothing(rng, n_frames, song):
    scrap = song(rng, 2)[:, :n_frames]
    assert align(scrap, song(rng, 60)).score == 0
    assert align(song(rng, 60), scrap).score == 0
    assert align(scrap, scrap).score == 0


def test_a_two_hour_recording_is_pooled_to_what_fits(rng, song):
    hours = song(rng, 7200)
    assert align(hours, song(rng, 240)).score >= 0


@pytest.mark.parametrize(
    ("query_length", "candidate_length", "factor"),
    [
        (1200, 1200, 3),
        (1000, 1000, 2),
        (1001, 300, 3),
        (300, 1001, 3),
        (150, 150, 1),
        (5, 9000, 18),
    ],
)
def test_both_tracks_are_pooled_by_one_factor(query_length, candidate_length, factor):
    assert common_factor(query_length, candidate_length) == factor


def test_permuted_candidates_permute_the_alignments(rng, song):
    query, candidates = song(rng, 40), [song(rng, n) for n in (30, 50, 45, 300, 20)]
    order = [3, 0, 4, 1, 2]
    found = align_many(query, candidates)
    assert align_many(query, [candidates[k] for k in order]) == [found[k] for k in order]
    assert found == [align(query, candidate) for candidate in candidates]


def test_the_number_of_threads_does_not_change_the_answer(rng, song):
    query, candidates = song(rng, 40), [song(rng, n) for n in (30, 50, 45)]
    assert align_many(query, candidates, n_workers=1) == align_many(query, candidates, n_workers=3)


def test_no_candidate_gives_no_alignment(rng, song):
    assert align_many(song(rng, 40), []) == []


def test_pooling_averages_and_lifts_the_largest_to_full_scale():
    chroma = np.zeros((12, 5), dtype=np.uint8)
    chroma[0], chroma[7] = [100, 50, 20, 20, 9], [0, 30, 40, 0, 9]
    pooled = pool(chroma, 2)
    np.testing.assert_array_equal(pooled[[0, 7]], [[255, 255], [51, 255]])
    assert pooled.shape == (12, 2)


def test_pooling_keeps_silence_silent_and_the_only_group():
    assert not pool(np.zeros((12, 7), dtype=np.uint8), 3).any()
    assert pool(np.ones((12, 2), dtype=np.uint8), 3).shape == (12, 1)


def test_shifts_are_ordered_by_fit(rng, song):
    query = song(rng, 40)
    query[4] = 255
    assert best_shifts(query, np.roll(query, 9, axis=0))[0] == 9


@pytest.mark.parametrize(
    "chroma",
    [np.zeros((11, 50), np.uint8), np.zeros((12, 50), np.float32), np.zeros(600, np.uint8)],
    ids=["11 rows", "float", "flat array"],
)
def test_what_is_not_chroma_is_refused(chroma):
    with pytest.raises(ValueError, match="chroma must be uint8"):
        align(np.zeros((12, 50), np.uint8), chroma)
