"""The catalog that a benchmark's embeddings are kept in."""

from dataclasses import replace

import numpy as np
import pytest

from indexer import Added, Unchanged, carry_out
from retrieval.benchmarks.folder import load
from retrieval.benchmarks.table import load as load_table
from retrieval.errors import BenchmarkError
from retrieval.measuring.cache import cache_folder, embedding_plan
from retrieval.measuring.evaluation import evaluate
from retrieval.measuring.scorers import catalog_scorer
from retrieval.ranking.matching.align import align
from retrieval.ranking.ranking import PLAIN, Ranking


@pytest.fixture
def benchmark(tone, tmp_path):
    for work in range(3):
        for performance in range(2):
            tone(tmp_path / f"music/w{work}/{performance}.wav", seed=2 * work + performance)
    return load(tmp_path / "music")


def test_cache_lies_outside_the_data_and_differs_by_embedder_and_root(benchmark, monkeypatch):
    monkeypatch.setenv("PEMR_CACHE", "/cache")
    folder = cache_folder(benchmark, "cover@1a2b3c4d")
    assert folder.as_posix().startswith("/cache/benchmarks/folder-")
    assert folder != cache_folder(benchmark, "cover@00000000")
    assert folder != cache_folder(replace(benchmark, root=benchmark.root.parent), "cover@1a2b3c4d")


def test_fresh_cache_is_empty_and_touches_no_other(benchmark, monkeypatch, tmp_path):
    monkeypatch.setenv("PEMR_CACHE", str(tmp_path / "cache"))
    for name in ("ftm2d", "other"):
        cache_folder(benchmark, name).mkdir(parents=True)
    assert not cache_folder(benchmark, "ftm2d", fresh=True).exists()
    assert cache_folder(benchmark, "other").exists()


def test_only_what_the_benchmark_names_is_embedded(benchmark, catalog, fake_embedder):
    part = replace(benchmark, performances=benchmark.performances[:4])
    events = list(carry_out(catalog, fake_embedder, embedding_plan(catalog, part)))
    assert [type(event) for event in events] == [Added] * 4
    assert {t.path for t in catalog.tracks()} == {p.path for p in part.performances}


def test_second_run_embeds_nothing_and_going_back_to_a_part_loses_nothing(
    benchmark, catalog, fake_embedder
):
    part = replace(benchmark, performances=benchmark.performances[:4])
    for chosen in (benchmark, part, benchmark):
        events = list(carry_out(catalog, fake_embedder, embedding_plan(catalog, chosen)))
        scorer = catalog_scorer(catalog, chosen, PLAIN.without("alignment"))
        assert list(scorer.names) == [p.name for p in chosen.performances]
    assert [type(event) for event in events] == [Unchanged] * 6
    assert embedding_plan(catalog, benchmark).n_unchanged == 6


def test_table_may_name_files_elsewhere(catalog, fake_embedder, tone, tmp_path):
    here, there = tone(tmp_path / "t/a.wav", seed=1), tone(tmp_path / "else/b.wav", seed=2)
    table = tmp_path / "t/works.csv"
    table.write_text(f"path,work\n{here.name},w\n{there},w\n")
    benchmark = load_table(table)
    list(carry_out(catalog, fake_embedder, embedding_plan(catalog, benchmark)))
    scorer = catalog_scorer(catalog, benchmark, PLAIN.without("alignment"))
    assert list(scorer.names) == ["a.wav", "../else/b.wav"]


def test_silent_and_unreadable_files_are_unusable(
    benchmark, catalog, fake_embedder, tone, tmp_path
):
    tone(tmp_path / "music/w0/silence.wav", seed=-1)
    (tmp_path / "music/w0/text.wav").write_text("no sound")
    grown = load(tmp_path / "music")
    list(carry_out(catalog, fake_embedder, embedding_plan(catalog, grown)))
    report = evaluate(grown, catalog_scorer(catalog, grown, PLAIN.without("alignment")), "fake")
    assert report.unusable == ("w0/silence.wav", "w0/text.wav")
    assert report.counts.scored == 6


def test_alignment_is_part_of_the_score_and_tells_the_transposition(
    benchmark, catalog, fake_embedder
):
    list(carry_out(catalog, fake_embedder, embedding_plan(catalog, benchmark)))
    scorer = catalog_scorer(catalog, benchmark, Ranking(n_aligned=2))
    report = evaluate(benchmark, scorer, "fake", Ranking(n_aligned=2))
    known = [row.transposition for row in report.queries]
    assert any(t is not None for t in known)
    assert all(t is None or -5 <= t <= 6 for t in known)


def test_alignments_are_spent_on_candidates_alone(benchmark, catalog, fake_embedder):
    list(carry_out(catalog, fake_embedder, embedding_plan(catalog, benchmark)))
    scorer = catalog_scorer(catalog, benchmark, Ranking(n_aligned=3))
    scorer.score(np.array([0]), np.array([0, 2, 4, 5]))
    known = {c for c in range(6) if scorer.transposition(0, c) is not None}
    assert known == {2, 4, 5}


def test_alignment_alone_aligns_every_candidate_and_nothing_else_counts(
    benchmark, catalog, fake_embedder
):
    list(carry_out(catalog, fake_embedder, embedding_plan(catalog, benchmark)))
    scorer = catalog_scorer(catalog, benchmark, PLAIN.only("alignment"))
    scores = scorer.score(np.array([0]), np.arange(6))[0]
    assert scores[0] == -np.inf
    assert all(scorer.transposition(0, c) is not None for c in range(1, 6))
    alignments = [align(scorer.tonal[0], scorer.tonal[c]).score for c in range(1, 6)]
    order = np.argsort(alignments, kind="stable")
    assert (np.diff(scores[1:][order]) >= 0).all()


def test_benchmark_without_any_audio_here_is_refused(benchmark, catalog):
    absent = tuple(replace(p, path=None) for p in benchmark.performances)
    with pytest.raises(BenchmarkError, match="none of the 6 performances of folder is here"):
        embedding_plan(catalog, replace(benchmark, performances=absent))


def test_benchmark_of_features_is_no_audio(benchmark, catalog):
    features = replace(benchmark, card=replace(benchmark.card, has_audio=False))
    with pytest.raises(BenchmarkError, match="ships features, and this needs audio"):
        embedding_plan(catalog, features)
