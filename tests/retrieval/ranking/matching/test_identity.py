"""Copies are told from other performances."""

import numpy as np
import pytest

from retrieval.ranking.matching.align import align
from retrieval.ranking.matching.identity import SAME_LIKENESS, is_same_recording, likeness
from retrieval.ranking.matching.spans import Span, find_spans


def best_span(query, candidate):
    return find_spans(query, candidate, align(query, candidate).transposition)[0]


def alive(rng, song, n_chords):
    """Let no two frames of a song be alike, as in music."""
    chroma = song(rng, n_chords).astype(float)
    wobble = rng.uniform(0.2, 1.0, (12, chroma.shape[1] // 3 + 2)).repeat(3, axis=1)
    return np.rint(chroma * wobble[:, : chroma.shape[1]]).astype(np.uint8)


@pytest.mark.parametrize("semitones", [0, 2, -4])
@pytest.mark.parametrize("tempo", [1.0, 1.02])
def test_a_noisy_cut_at_another_speed_is_the_same_recording(rng, song, semitones, tempo):
    query = alive(rng, song, 80)
    places = np.arange(60, 380 / tempo) * tempo
    below, share = places.astype(int), places % 1
    copy = query[:, below] * (1 - share) + query[:, below + 1] * share
    copy = np.clip(copy + rng.normal(0, 5, copy.shape), 0, 255).astype(np.uint8)
    copy = np.roll(copy, semitones, axis=0)
    assert is_same_recording(query, copy, best_span(query, copy))


def test_another_performance_of_the_same_chords_is_not(rng, song):
    chords = song(rng, 80)
    one, other = (
        np.rint(chords * rng.uniform(0.2, 1.0, chords.shape)).astype(np.uint8) for _ in range(2)
    )
    span = best_span(one, other)
    assert span.query_end_s - span.query_start_s > 60
    assert likeness(one, other, span) < SAME_LIKENESS
    assert not is_same_recording(one, other, span)


def test_a_recording_is_itself(rng, song):
    query = alive(rng, song, 60)
    assert likeness(query, query, best_span(query, query)) == pytest.approx(1)


@pytest.mark.parametrize("length_s", [0.0, 9.0])
def test_a_moment_in_common_makes_no_copy(rng, song, length_s):
    query = song(rng, 60)
    span = Span(
        query_start_s=5, query_end_s=5 + length_s, start_s=5, end_s=5 + length_s,
        transposition=0, tempo=1.0,
    )  # fmt: skip
    assert likeness(query, query, span) == 0


def test_silence_is_like_nothing():
    silence = np.zeros((12, 300), np.uint8)
    span = Span(query_start_s=0, query_end_s=60, start_s=0, end_s=60, transposition=0, tempo=1.0)
    assert likeness(silence, silence, span) == 0
