"""Spans between chroma sequences whose relation was planted."""

import numpy as np
import pytest

from retrieval.ranking.matching.spans import N_SPANS, find_spans


def close(seconds):
    return pytest.approx(seconds, abs=4.0)  # a stack of frames is 3.6 s long


def stretches(spans):
    return [(s.query_start_s, s.query_end_s, s.start_s, s.end_s) for s in spans]


def at_tempo(frames, tempo):
    """Play frames at a tempo, which may change from frame to frame."""
    steps = np.broadcast_to(tempo, frames.shape[1] * 4)
    places = np.cumsum(steps) - steps[0]
    return frames[:, places[places < frames.shape[1]].astype(int)]


def test_a_pasted_excerpt_is_found_where_it_was_pasted(rng, song):
    excerpt = song(rng, 40)
    track = np.concatenate([song(rng, 50), excerpt, song(rng, 30)], axis=1)
    (span,) = find_spans(excerpt, track, 0)
    assert stretches([span]) == [(close(0), close(40), close(50), close(90))]
    assert (span.transposition, span.tempo) == (0, pytest.approx(1, abs=0.01))


def test_a_span_tells_where_an_excerpt_was_cut_from(rng, song):
    track = song(rng, 120)
    excerpt = track[:, 250:400]  # seconds 50 to 80
    span = find_spans(excerpt, track, 0)[0]
    assert stretches([span]) == [(close(0), close(30), close(50), close(80))]


@pytest.mark.parametrize("semitones", [-5, 1, 6])
@pytest.mark.parametrize("told", [0, 3])
def test_a_transposed_copy_is_told_by_its_key_whatever_was_aligned(rng, song, semitones, told):
    query = song(rng, 60)
    span = find_spans(query, np.roll(query, semitones, axis=0), told)[0]
    assert span.transposition == semitones
    assert stretches([span]) == [(close(0), close(60), close(0), close(60))]


@pytest.mark.parametrize("tempo", [0.75, 0.92, 1.25])
def test_another_tempo_is_told_within_two_percent(rng, song, tempo):
    query = song(rng, 80)
    faster = at_tempo(query, tempo)
    candidate = np.concatenate([song(rng, 30), np.roll(faster, -2, axis=0)], axis=1)
    span = find_spans(query, candidate, -2)[0]
    assert span.tempo == pytest.approx(tempo, rel=0.02)
    end_s = 30 + 80 / tempo
    assert stretches([span]) == [(close(0), close(80), close(30), close(end_s))]


def test_a_performance_that_speeds_up_stays_one_span(rng, song):
    query = song(rng, 90)
    ramp = at_tempo(query, np.linspace(0.92, 1.08, 450 * 4 // 4).repeat(4))
    slow = at_tempo(query, np.interp(np.arange(450 * 4), [0, 450], [0.92, 1.08]))
    for candidate in (ramp, slow):
        span = find_spans(query, candidate, 0)[0]
        end_s = candidate.shape[1] / 5
        assert span.end_s - span.start_s > 0.9 * end_s
        assert span.tempo == pytest.approx(90 / end_s, rel=0.04) or candidate is ramp


def test_a_verse_that_repeats_has_a_span_for_each_time(rng, song):
    verse, chorus = song(rng, 40), song(rng, 30)
    track = np.concatenate([verse, chorus, verse], axis=1)
    spans = find_spans(verse, track, 0)
    assert sorted(stretches(spans)) == [
        (close(0), close(40), close(0), close(40)),
        (close(0), close(40), close(70), close(110)),
    ]


def test_a_key_that_changes_has_a_span_for_each_key(rng, song):
    query = song(rng, 90)
    lifted = np.concatenate(
        [np.roll(query[:, :250], 3, axis=0), np.roll(query[:, 250:], 5, axis=0)], axis=1
    )
    spans = find_spans(query, lifted, 3)
    assert [span.transposition for span in spans] == [3, 5]
    assert stretches(spans) == [
        (close(0), close(50), close(0), close(50)),
        (close(50), close(90), close(50), close(90)),
    ]


def test_a_medley_has_one_span_for_each_part_it_shares(rng, song):
    first, second = song(rng, 60), song(rng, 40)
    query = np.concatenate([first, song(rng, 30), second], axis=1)
    medley = np.concatenate([song(rng, 20), second, song(rng, 20), first], axis=1)
    assert stretches(find_spans(query, medley, 0)) == [
        (close(0), close(60), close(80), close(140)),
        (close(90), close(130), close(20), close(60)),
    ]


def test_no_two_spans_share_a_moment_of_both(rng, song):
    verse = song(rng, 30)
    query = np.concatenate([verse, song(rng, 20), verse], axis=1)
    track = np.concatenate([verse, verse, song(rng, 25), verse], axis=1)
    spans = find_spans(query, track, 0)
    assert len(spans) > 3
    for place, one in enumerate(spans):
        for other in spans[place + 1 :]:
            in_query = min(one.query_end_s, other.query_end_s) - max(
                one.query_start_s, other.query_start_s
            )
            in_track = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
            assert min(in_query, in_track) <= 4.0  # but for the length of a stack


def test_spans_are_limited_and_end_within_both_tracks(rng, song):
    query, candidate = song(rng, 50), song(rng, 70)
    assert len(find_spans(query, candidate, 0)) <= N_SPANS
    spans = find_spans(query, candidate, 0, n_spans=2)
    assert 1 <= len(spans) <= 2
    for span in spans:
        assert 0 <= span.query_start_s < span.query_end_s <= 50
        assert 0 <= span.start_s < span.end_s <= 70


def test_strangers_have_no_long_span(rng, song):
    for _ in range(5):
        for span in find_spans(song(rng, 100), song(rng, 100), 0):
            assert span.query_end_s - span.query_start_s < 50


def test_what_never_changes_has_no_span(rng, song):
    silence = np.zeros((12, 300), np.uint8)
    assert find_spans(silence, silence, 0) == []
    assert find_spans(song(rng, 1), song(rng, 60), 0) == []
