"""The segment-level protocols against slow loops, and on sound through the fake embedder."""

import numpy as np
import pytest

from retrieval.benchmarks.folder import load
from retrieval.measuring.excerpts import (
    ExcerptScorer,
    excerpt_length,
    short_embeddings,
)
from retrieval.measuring.measurement import measure_excerpts
from retrieval.ranking.nearest import track_scores
from retrieval.reporting.report import excerpt_rows


def recordings(seed, lengths=(5, 1, 3, 8, 2), dim=6):
    rng = np.random.default_rng(seed)
    vectors = [rng.standard_normal((length, dim)) for length in lengths]
    return [(v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in vectors]


def scorer_of(parts, n_segments, protocol, seed=0):
    return ExcerptScorer(
        names=[str(i) for i in range(len(parts))],
        excerpts=parts,
        tracks=parts,
        n_segments=n_segments,
        protocol=protocol,
        seed=seed,
    )


def excerpts(part, n_segments):
    n = min(n_segments, len(part))
    return [part[i : i + n] for i in range(len(part) - n + 1)]


def slow_best_match(query, candidate, n_segments):
    return max(
        float(np.mean([max(float(a @ b) for b in there) for a in here]))
        for here in excerpts(query, n_segments)
        for there in excerpts(candidate, n_segments)
    )


@pytest.mark.parametrize("n_segments", [1, 2, 3, 6, 20])
def test_best_match_is_the_best_pair_of_excerpts(n_segments):
    for seed in range(5):
        parts = recordings(seed)
        scores = scorer_of(parts, n_segments, "best-match").score(
            np.arange(len(parts)), np.arange(len(parts))
        )
        for q, query in enumerate(parts):
            expected = [slow_best_match(query, candidate, n_segments) for candidate in parts]
            np.testing.assert_allclose(scores[q], expected, atol=1e-5)


def test_random_segment_asks_whole_recordings_with_one_excerpt():
    parts = recordings(1)
    scores = scorer_of(parts, 2, "random-segment").score(
        np.arange(len(parts)), np.arange(len(parts))
    )
    for q, query in enumerate(parts):
        asked = [track_scores(excerpt, parts) for excerpt in excerpts(query, 2)]
        assert any(np.allclose(scores[q], one) for one in asked)


def test_draw_depends_on_the_seed_alone():
    parts = recordings(2, lengths=(30, 30))
    first, again = (
        scorer_of(parts, 1, "random-segment").score(np.array([0, 1]), np.array([0, 1]))
        for _ in "ab"
    )
    other = scorer_of(parts, 1, "random-segment", seed=1).score(np.array([0, 1]), np.array([0, 1]))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("tau_s", "n_segments"), [(5, 0), (19.9, 0), (20, 1), (29, 1), (30, 2), (90, 8)]
)
def test_excerpt_lasts_as_long_as_its_segments_together(tau_s, n_segments):
    starts = np.arange(0, 100, 10.0)
    bounds = [np.stack([starts, starts + 20], axis=1), np.array([[0.0, 7.0]]), np.zeros((0, 2))]
    assert excerpt_length(bounds, tau_s) == n_segments


def test_short_excerpt_hears_only_the_beginning_of_each_segment(fake_embedder, tone, tmp_path):
    recording = fake_embedder.listen(tone(tmp_path / "a.wav", seed=1, duration_s=3.0))
    heard = []
    embed = fake_embedder.embed
    fake_embedder.embed = lambda recordings: heard.extend(recordings) or embed(recordings)
    vectors = short_embeddings(fake_embedder, recording, 0.4)
    assert vectors.shape == (3, fake_embedder.dim)
    assert [one.duration_s for one in heard] == [0.4] * 3
    for second, one in enumerate(heard):
        frames = slice(5 * second, 5 * second + 2)
        np.testing.assert_array_equal(one.spectrogram, recording.spectrogram[:, frames])
        np.testing.assert_array_equal(one.chroma, recording.chroma[:, frames])


def test_both_protocols_run_on_a_folder_for_every_length(fake_embedder, tone, tmp_path):
    for work in range(3):
        for performance in range(2):
            tone(
                tmp_path / f"music/{work}/{performance}.wav", seed=work, duration_s=4 + performance
            )
    benchmark, cache = load(tmp_path / "music"), tmp_path / "cache"
    rows = excerpt_rows(measure_excerpts(benchmark, fake_embedder, cache=cache, taus_s=(0.5, 1, 3)))
    assert [(row["tau (s)"], row["protocol"]) for row in rows] == [
        (tau, protocol)
        for tau in ("0.5", "1", "3")
        for protocol in ("best-match", "random-segment")
    ]
    assert {row["queries"] for row in rows} == {"6"}
    assert [row["MAP"] for row in rows[2:]] == ["1.000"] * 4  # equal seconds have equal vectors


def test_silent_file_has_no_excerpts(fake_embedder, tone, tmp_path):
    silence = fake_embedder.listen(tone(tmp_path / "a.wav", seed=-1))
    assert short_embeddings(fake_embedder, silence, 0.4).shape == (0, fake_embedder.dim)
