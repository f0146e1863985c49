"""Queries × candidates, scored exactly and completely, become a `Report`.

Every query is ranked against every candidate: no search index, no truncation. What cannot be
scored is counted and named, never silently left out.

Letters: Q queries, N performances that can be scored, K candidates, B queries of one block.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.benchmarks.base import Benchmark, Performance, duplicates
from retrieval.errors import BenchmarkError
from retrieval.measuring.metrics import QueryScores, score_queries
from retrieval.measuring.results import Counts, QueryRow, Report, worst
from retrieval.measuring.summary import summarise
from retrieval.ranking.ranking import Ranking

Ints = NDArray[np.int64]


class Scorer(Protocol):
    """Scores performances against each other; they are numbered as in `names`."""

    @property
    def names(self) -> Sequence[str]:
        """The performances it can score, N of them."""

    @property
    def duration_s(self) -> NDArray[np.float64] | None:
        """How long each is in seconds, shape (N,); None when nobody knows."""

    @property
    def block_length(self) -> int:
        """How many queries are best scored together, by memory and by progress shown."""

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K); higher is better."""

    def transposition(self, query: int, candidate: int) -> int | None:
        """Semitones from a query already scored up to a candidate; None when not aligned."""

    def is_copy(self, query: int, candidate: int) -> bool:
        """Whether a candidate is the query's recording in another form; False when not aligned."""


@dataclass(frozen=True)
class Trial:
    """Who asks whom, as positions in the scorer's names; `prepare` makes it.

    Parameters
    ----------
    benchmark : Benchmark
        What is relevant to what.
    scorer : Scorer
        What is being measured.
    performances : tuple of Performance, length N
        Those that can be scored.
    work : int array, shape (N,)
        The work of each, as a number.
    queries : int array, shape (Q,)
        Those that ask.
    candidates : int array, shape (K,)
        Those that may be answers, in rising order.
    n_dropped : int
        Queries whose relevant candidates cannot be scored.
    n_noise : int
        Candidates of works with a single performance, which never ask.
    """

    benchmark: Benchmark
    scorer: Scorer
    performances: tuple[Performance, ...]
    work: Ints
    queries: Ints
    candidates: Ints
    n_dropped: int
    n_noise: int


@dataclass(frozen=True)
class RankedBlock:
    """Some of all queries after they were ranked: every metric, and a row for each."""

    scores: QueryScores
    rows: list[QueryRow]
    n_queries: int  # in all

    @property
    def progress(self) -> tuple[int, int]:
        """How many queries were ranked, and how many there are in all."""
        return len(self.rows), self.n_queries


def evaluate(
    benchmark: Benchmark, scorer: Scorer, embedder: str, ranking: Ranking | None = None
) -> Report:
    """Rank every candidate for every query of a benchmark and measure how well that went.

    Parameters
    ----------
    benchmark : Benchmark
        What is relevant to what.
    scorer : Scorer
        What is being measured.
    embedder : str
        The name of what made the scores: with the hash of its weights, or a file of embeddings.
    ranking : Ranking, optional
        What decided the order, where it was ours.

    Returns
    -------
    Report
        With a figure for each metric and a row for each query.

    Raises
    ------
    BenchmarkError
        If the scorer names unknown performances, or no query is left.
    """
    trial = prepare(benchmark, scorer)
    return report_on(trial, rank_all(trial), embedder, ranking)


def prepare(benchmark: Benchmark, scorer: Scorer) -> Trial:
    """Decide who asks and who answers, before anything is scored; raises as `evaluate` does."""
    by_name = {p.name: p for p in benchmark.performances}
    foreign = [name for name in scorer.names if name not in by_name]
    if foreign:
        raise BenchmarkError(
            f"{len(foreign)} of the scored names are not in {benchmark.card.name}, "
            f"{foreign[0]!r} first; it has names like {next(iter(by_name))!r}"
        )
    performances = tuple(by_name[name] for name in scorer.names)
    _, work = np.unique([p.work for p in performances], return_inverse=True)
    is_candidate = np.array([p.is_candidate for p in performances], bool)
    is_query = np.array([p.is_query for p in performances], bool)
    n_answers = np.bincount(work[is_candidate], minlength=work.max(initial=0) + 1)[work]
    has_answer = n_answers - is_candidate > 0
    listed = Counter(p.work for p in benchmark.performances)
    is_noise = np.array([listed[p.work] == 1 for p in performances], bool)
    if not (is_query & has_answer).any():
        raise BenchmarkError(
            f"none of the {len(performances)} performances of {benchmark.card.name} that can be "
            f"scored has another performance of its work among them, so there is no figure"
        )
    return Trial(
        benchmark=benchmark,
        scorer=scorer,
        performances=performances,
        work=work.astype(np.int64),
        queries=np.flatnonzero(is_query & has_answer),
        candidates=np.flatnonzero(is_candidate),
        n_dropped=int((is_query & ~has_answer & ~is_noise).sum()),
        n_noise=int(is_noise.sum()),
    )


def rank_all(trial: Trial) -> Iterator[RankedBlock]:
    """Rank every candidate for every query, some queries at a time, in their order."""
    for start in range(0, len(trial.queries), trial.scorer.block_length):
        queries = trial.queries[start : start + trial.scorer.block_length]
        scores = trial.scorer.score(queries, trial.candidates)  # (B, K)
        relevant = trial.work[queries, None] == trial.work[trial.candidates]
        measured = score_queries(scores, relevant, _columns_of(queries, trial.candidates))
        yield RankedBlock(measured, _rows(trial, queries, scores, measured), len(trial.queries))


def report_on(
    trial: Trial, ranked: Iterable[RankedBlock], embedder: str, ranking: Ranking | None
) -> Report:
    """Sum up what `rank_all` yields.

    Parameters
    ----------
    trial : Trial
        What was ranked.
    ranked : iterable of RankedBlock
        All of it.
    embedder, ranking
        As `evaluate` takes them.

    Returns
    -------
    Report
    """
    blocks = list(ranked)
    rows = [row for block in blocks for row in block.rows]
    works = trial.work[trial.queries]
    benchmark = trial.benchmark
    scored = set(trial.scorer.names)
    return Report(
        benchmark=benchmark.card.name,
        title=benchmark.card.title,
        data=benchmark.root.name,
        subset=benchmark.subset,
        convention=benchmark.convention,
        embedder=embedder,
        ranking=ranking,
        counts=_counts(trial),
        metrics=summarise(QueryScores.join([block.scores for block in blocks]), works),
        queries=tuple(rows),
        missing=tuple(p.name for p in benchmark.missing if p.name not in scored),
        unusable=tuple(p.name for p in benchmark.present if p.name not in scored),
        duplicates=tuple(tuple(p.name for p in group) for group in duplicates(trial.performances)),
        files=_files(trial, worst(rows)),
    )


def _columns_of(queries: Ints, candidates: Ints) -> Ints:
    """Find the column of each query among the candidates, -1 where it is not one."""
    column = np.minimum(np.searchsorted(candidates, queries), len(candidates) - 1)
    return np.where(candidates[column] == queries, column, -1)


def _rows(
    trial: Trial, queries: Ints, scores: NDArray[np.floating], part: QueryScores
) -> list[QueryRow]:
    scorer = trial.scorer
    rows = []
    for position, query in enumerate(queries):
        others = trial.candidates != query
        relevant = others & (trial.work[trial.candidates] == trial.work[query])
        best = _best(trial, scores[position], relevant)
        wrong = _best(trial, scores[position], others & ~relevant)
        rows.append(
            QueryRow(
                query=trial.performances[query].name,
                work=trial.performances[query].work,
                n_relevant=int(part.n_relevant[position]),
                average_precision=float(part.average_precision[position]),
                first_rank=float(part.first_rank[position]),
                hit1=float(part.hit1[position]),
                best_relevant=_name(trial, best),
                best_relevant_score=_finite(part.best_relevant[position]),
                best_other=_name(trial, wrong),
                best_other_score=_finite(part.best_other[position]),
                length_ratio=_length_ratio(scorer.duration_s, int(query), best),
                transposition=None if best is None else scorer.transposition(int(query), best),
                relevant_is_copy=best is not None and scorer.is_copy(int(query), best),
                other_is_copy=wrong is not None and scorer.is_copy(int(query), wrong),
            )
        )
    return rows


def _best(trial: Trial, scores: NDArray[np.floating], chosen: NDArray[np.bool_]) -> int | None:
    if not chosen.any():
        return None
    columns = np.flatnonzero(chosen)
    return int(trial.candidates[columns[np.argmax(scores[columns])]])


def _name(trial: Trial, index: int | None) -> str | None:
    return None if index is None else trial.performances[index].name


def _finite(score: np.floating) -> float | None:
    return float(score) if math.isfinite(score) else None


def _length_ratio(
    duration_s: NDArray[np.float64] | None, query: int, best: int | None
) -> float | None:
    """How many times longer the best relevant candidate is than the query."""
    if duration_s is None or best is None or not duration_s[query] > 0:
        return None
    return _finite(duration_s[best] / duration_s[query])


def _counts(trial: Trial) -> Counts:
    benchmark = trial.benchmark
    return Counts(
        performances=len(benchmark.performances),
        works=len({p.work for p in benchmark.performances}),
        scored=len(trial.performances),
        queries=len(trial.queries),
        cliques=len(np.unique(trial.work[trial.queries])),
        candidates=len(trial.candidates),
        noise=trial.n_noise,
        dropped_queries=trial.n_dropped,
        extra_files=len(benchmark.extra_files),
    )


def _files(trial: Trial, rows: list[QueryRow]) -> dict[str, str]:
    named = {name for row in rows for name in (row.query, row.best_relevant, row.best_other)}
    return {
        p.name: trial.benchmark.relative(p.path)
        for p in trial.performances
        if p.name in named and p.path is not None
    }
