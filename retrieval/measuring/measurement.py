"""A benchmark and an embedder become a `Report`: files are embedded once, then all is ranked."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer import Catalog, Embedder, Event, carry_out
from retrieval.benchmarks.base import Benchmark
from retrieval.measuring.cache import embedding_plan
from retrieval.measuring.evaluation import RankedBlock, Scorer, prepare, rank_all, report_on
from retrieval.measuring.excerpts import TAUS_S, excerpt_scorers
from retrieval.measuring.features import feature_scorer
from retrieval.measuring.foreign import read_embeddings
from retrieval.measuring.results import Excerpted, Report
from retrieval.measuring.scorers import catalog_scorer
from retrieval.ranking.ranking import Ranking


def measure(
    benchmark: Benchmark, embedder: Embedder, ranking: Ranking, *, cache: Path
) -> Iterator[Event | RankedBlock | Report]:
    """Rank a benchmark exactly and completely, after embedding what is not in the cache.

    Parameters
    ----------
    benchmark : Benchmark
        Of audio or of features.
    embedder : Embedder
        What is measured.
    ranking : Ranking
        Every number that decides the order.
    cache : Path
        Folder of the catalog that keeps what is embedded (`cache_folder`); not read or written
        for features.

    Yields
    ------
    Event, RankedBlock or Report
        What became of each file, the queries as they are ranked, and last the figures.

    Raises
    ------
    BenchmarkError
        If none of the audio is there, or no query is left.
    """
    if not benchmark.card.has_audio:
        scorer = feature_scorer(benchmark, embedder, ranking)
        yield from _ranked(benchmark, scorer, embedder.name, ranking)
        return
    with Catalog.write(cache, embedder) as catalog:
        yield from carry_out(catalog, embedder, embedding_plan(catalog, benchmark))
        scorer = catalog_scorer(catalog, benchmark, ranking, embedder)
        yield from _ranked(benchmark, scorer, embedder.name, ranking)


def measure_file(benchmark: Benchmark, embeddings: Path) -> Iterator[RankedBlock | Report]:
    """Rank a benchmark by other people's embeddings, distances or scores.

    Parameters
    ----------
    benchmark : Benchmark
        What is relevant to what.
    embeddings : Path
        A file as `retrieval.measuring.foreign` describes it.

    Yields
    ------
    RankedBlock or Report
        As `measure` does.

    Raises
    ------
    EmbeddingsFileError
        If the file cannot be scored.
    BenchmarkError
        If it names unknown performances, or no query is left.
    """
    yield from _ranked(benchmark, read_embeddings(embeddings), embeddings.name, None)


def measure_excerpts(
    benchmark: Benchmark, embedder: Embedder, *, cache: Path, taus_s: Sequence[float] = TAUS_S
) -> Iterator[Event | RankedBlock | Excerpted]:
    """Measure how well excerpts find each other, of each length and by both protocols.

    Parameters
    ----------
    benchmark : Benchmark
        Of audio.
    embedder : Embedder
        What is measured.
    cache : Path
        As in `measure`.
    taus_s : sequence of float, optional
        Lengths of excerpts in seconds.

    Yields
    ------
    Event, RankedBlock or Excerpted
        As `measure` does, with the figures of each length and protocol.

    Raises
    ------
    BenchmarkError
        If the benchmark has no audio, none of it is there, or no query is left.
    """
    with Catalog.write(cache, embedder) as catalog:
        yield from carry_out(catalog, embedder, embedding_plan(catalog, benchmark))
        for tau_s, scorer in excerpt_scorers(catalog, embedder, benchmark, taus_s):
            for told in _ranked(benchmark, scorer, embedder.name, None):
                if isinstance(told, Report):
                    yield Excerpted(tau_s=tau_s, protocol=scorer.protocol, report=told)
                else:
                    yield told


def _ranked(
    benchmark: Benchmark, scorer: Scorer, embedder: str, ranking: Ranking | None
) -> Iterator[RankedBlock | Report]:
    trial = prepare(benchmark, scorer)
    blocks = []
    for block in rank_all(trial):
        blocks.append(block)
        yield block
    yield report_on(trial, blocks, embedder, ranking)
