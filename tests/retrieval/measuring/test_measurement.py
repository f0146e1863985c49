"""A benchmark and an embedder to a report, with what is told on the way."""

import numpy as np
import pytest

from indexer import Added, Unchanged
from retrieval import PLAIN, RankedBlock, Ranking, Report, measure
from retrieval.benchmarks.folder import load
from retrieval.measuring.measurement import measure_file


@pytest.fixture
def benchmark(tone, tmp_path):
    for work in range(2):
        for performance in range(2):
            tone(tmp_path / f"music/w{work}/{performance}.wav", seed=2 * work + performance)
    return load(tmp_path / "music")


def test_files_are_told_then_the_queries_then_the_report(benchmark, fake_embedder, tmp_path):
    told = list(measure(benchmark, fake_embedder, PLAIN, cache=tmp_path / "cache"))
    assert [type(one) for one in told] == [Added] * 4 + [RankedBlock, Report]
    assert [one.progress for one in told[4:]] == [(4, 4), (0, None)]
    again = list(measure(benchmark, fake_embedder, PLAIN, cache=tmp_path / "cache"))
    assert [type(one) for one in again[:4]] == [Unchanged] * 4
    assert again[-1] == told[-1]


@pytest.mark.parametrize("ranking", [PLAIN, Ranking(hub_weight=0.4, n_aligned=0)], ids=str)
def test_a_report_has_the_ranking_that_it_was_measured_with(
    benchmark, fake_embedder, tmp_path, ranking
):
    *_, report = measure(benchmark, fake_embedder, ranking, cache=tmp_path / "cache")
    assert (report.embedder, report.ranking) == (fake_embedder.name, ranking)


def test_a_file_of_embeddings_is_ranked_under_its_own_name(benchmark, tmp_path):
    names = [performance.name for performance in benchmark.performances]
    np.savez(tmp_path / "peer.npz", ids=names, embeddings=np.eye(4))
    *_, report = measure_file(benchmark, tmp_path / "peer.npz")
    assert (report.embedder, report.ranking, report.counts.queries) == ("peer.npz", None, 4)
