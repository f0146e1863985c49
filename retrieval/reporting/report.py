"""A `Report` becomes rows for a table, JSON, Markdown and back; the web page is in `page`.

Rounding happens here and nowhere before.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import BenchmarkError
from retrieval.measuring.summary import METRICS, Figure
from retrieval.ranking.ranking import ranking_from

SCHEMA = 2
N_WORST = 20  # failures that a report shows with their files

RULES = (
    "every candidate is ranked for every query, exactly",
    "the query itself is removed by its name; duplicates of it stay and are reported",
    "ties count with the expected value over all their orders",
    "noise (a work with one performance) never asks",
    "queries left without a relevant candidate are dropped and counted",
    "intervals are 95 %, bootstrapped over cliques",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where figures come from.

    Parameters
    ----------
    command : str
        What prints them again.
    commit : str or None
        Of the code; None when it does not run from a repository.
    embedder : str
        Its name with the hash of its weights, or the file of embeddings.
    ranking : dict
        Every number that decided the order, as `Ranking.values` writes it; empty where scores came
        from another system.
    hardware, date : str
        What it ran on, and when (yyyy-mm-dd).
    versions : dict from str to str
        Of Python and the libraries that decide.
    """

    command: str
    commit: str | None
    embedder: str
    ranking: dict[str, Any]
    hardware: str
    date: str
    versions: dict[str, str]

    @property
    def weights_hash(self) -> str | None:
        """The part of the embedder's name that identifies its weights; None without weights."""
        _, _, weights = self.embedder.partition("@")
        return weights or None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of the data set the figures rest on."""

    performances: int  # listed
    works: int  # listed
    scored: int  # with an embedding
    queries: int  # that were ranked
    cliques: int  # of these queries
    candidates: int
    noise: int  # candidates of works with a single performance, which never ask
    dropped_queries: int  # whose relevant candidates cannot be scored
    extra_files: int  # audio that no list names


@dataclass(frozen=True, kw_only=True)
class QueryRow:
    """What happened to one query."""

    query: str
    work: str
    n_relevant: int
    average_precision: float
    first_rank: float
    hit1: float
    best_relevant: str | None
    best_relevant_score: float | None
    best_other: str | None  # the best wrong answer
    best_other_score: float | None
    length_ratio: float | None  # best relevant candidate / query
    transposition: int | None  # semitones from the query up to the best relevant candidate


@dataclass(frozen=True, kw_only=True)
class Report:
    """A benchmark's figures and everything needed to judge them."""

    benchmark: str
    title: str
    data: str  # name of the data set's folder
    subset: str | None
    convention: str | None
    run: Run
    counts: Counts
    metrics: dict[str, Figure]
    queries: tuple[QueryRow, ...]
    missing: tuple[str, ...]  # listed, but without a file
    unusable: tuple[str, ...]  # there, but silent or unreadable
    duplicates: tuple[tuple[str, ...], ...]  # the same file byte for byte
    files: dict[str, str]  # paths of the worst queries and their answers, relative to the root


def worst(rows: Sequence[QueryRow], n_rows: int = N_WORST) -> list[QueryRow]:
    """Pick the queries that went worst, the very worst first."""
    order = sorted(rows, key=lambda row: (row.average_precision, -row.first_rank, row.query))
    return order[:n_rows]


def final_line(report: Report) -> str:
    """Write the figures in one line, as printed last."""
    figures = report.metrics
    return "  ".join(
        f"{label} {_rounded(name, figures[name].value)}"
        for name, label in (("map", "MAP"), ("mr1", "MR1"), ("p10", "P@10"), ("hit1", "hit@1"))
    )


LABELS = {
    "map": "MAP",
    "mr1": "MR1 (mean rank of the first relevant)",
    "median_rank1": "median rank of the first relevant",
    "mean_rank": "mean rank of all relevant",
    "mrr": "MRR",
    "p10": "P@10",
    "hit1": "hit@1",
    "hit5": "hit@5",
    "hit10": "hit@10",
    "nar": "NAR (%)",
    "recall_fa1": "recall at 1 % false alarms",
}
_RANKS = frozenset({"mr1", "median_rank1", "mean_rank", "nar"})


def _rounded(name: str, value: float) -> str:
    return f"{value:.2f}" if name in _RANKS else f"{value:.3f}"


def metric_rows(report: Report) -> list[dict[str, str]]:
    """One row for each metric: its label, its figure and its interval."""
    return [
        {
            "metric": LABELS[name],
            "value": _rounded(name, figure.value),
            "95 % interval": f"{_rounded(name, figure.low)} to {_rounded(name, figure.high)}",
        }
        for name, figure in ((name, report.metrics[name]) for name in METRICS)
    ]


def count_rows(report: Report) -> list[dict[str, str]]:
    """One row for each count, those that weaken a figure included when they are zero."""
    counts = report.counts
    listed = [
        ("performances listed", counts.performances),
        ("works listed", counts.works),
        ("missing audio", len(report.missing)),
        ("unusable audio (silent or unreadable)", len(report.unusable)),
        ("performances scored", counts.scored),
        ("candidates", counts.candidates),
        ("of these noise (works with one performance)", counts.noise),
        ("queries", counts.queries),
        ("cliques of the queries", counts.cliques),
        ("queries dropped (all relevant candidates missing)", counts.dropped_queries),
        ("groups of byte-identical files", len(report.duplicates)),
        ("audio files that no list names", counts.extra_files),
    ]
    return [{"count": label, "number": str(number)} for label, number in listed]


def report_json(report: Report) -> dict[str, Any]:
    """Everything in a report as JSON values."""
    written = {"schema": SCHEMA, **asdict(report), "rules": list(RULES)}
    written["run"]["weights_hash"] = report.run.weights_hash
    return written


def write_json(report: Report, path: Path) -> None:
    """Write a report that `read_report` reads again; rows of queries take one line each."""
    written = report_json(report)
    rows = written.pop("queries")
    head = json.dumps(written, indent=1, allow_nan=False)
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    path.write_text(f'{head[:-2]},\n "queries": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


def write_rows(rows: Sequence[Mapping[str, str]], run: Run, path: Path) -> None:
    """Write a table as JSON with where it comes from, as a file of docs/results."""
    written = {"run": asdict(run), "rows": list(rows)}
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def read_report(path: Path) -> Report:
    """Read a report that was written as JSON.

    Raises
    ------
    BenchmarkError
        If the file is no such report.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return _report_from(read)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path}: not a report of this program ({error})") from error


def _report_from(read: Mapping[str, Any]) -> Report:
    if read["schema"] not in (1, SCHEMA):
        raise ValueError(f"schema {read['schema']}, not {SCHEMA}")
    run = {key: value for key, value in read["run"].items() if key != "weights_hash"}
    if read["schema"] == 1:  # it told of the alignment alone
        run["ranking"] = {"n_aligned": run.pop("n_aligned")}
    return Report(
        **{
            key: read[key]
            for key in ("benchmark", "title", "data", "subset", "convention", "files")
        },
        run=Run(**run),
        counts=Counts(**read["counts"]),
        metrics={name: Figure(**read["metrics"][name]) for name in METRICS},
        queries=tuple(QueryRow(**row) for row in read["queries"]),
        missing=tuple(read["missing"]),
        unusable=tuple(read["unusable"]),
        duplicates=tuple(tuple(group) for group in read["duplicates"]),
    )


def worst_rows(report: Report, n_rows: int = N_WORST) -> list[dict[str, str]]:
    """One row for each query that went worst, with its best wrong answer."""
    return [
        {
            "query": row.query,
            "AP": f"{row.average_precision:.3f}",
            "first rank": f"{row.first_rank:g}",
            "best relevant": row.best_relevant or "-",
            "best wrong answer": row.best_other or "-",
        }
        for row in worst(report.queries, n_rows)
        if row.average_precision < 1
    ]


def heading(report: Report) -> str:
    """Name what was measured: data set, choice, folder, system."""
    choice = " ".join(part for part in (report.benchmark, report.subset, report.convention) if part)
    return f"{choice} ({report.data}): {system(report)}"


def system(report: Report) -> str:
    """Name what ranked: the embedder, and every stage after it."""
    run = report.run
    if not run.ranking:
        return run.embedder
    ranking = ranking_from(run.ranking)
    if not ranking.is_by_embedding:
        return ranking.words()
    return f"{run.embedder}, {ranking.words()}"


def fact_rows(report: Report) -> list[dict[str, str]]:
    """One row for each fact that is needed to print the figures again."""
    run = report.run
    facts = {
        "command": run.command,
        "commit": run.commit or "unknown",
        "embedder": f"{run.embedder} (weights {run.weights_hash or 'none'})",
        "ranking": ", ".join(f"{name} {value}" for name, value in run.ranking.items()) or "none",
        "hardware": run.hardware,
        "date": run.date,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    }
    return [{"what": name, "value": value} for name, value in facts.items()]


def markdown(report: Report) -> str:
    """Write a report for docs/results: what ran, how much it rests on, the figures."""
    parts = [
        f"# {heading(report)}",
        table(fact_rows(report)),
        table(metric_rows(report)),
        table(count_rows(report)),
        "Rules: " + "; ".join(RULES) + ".",
    ]
    failures = worst_rows(report)
    if failures:
        parts += ["The queries that went worst:", table(failures)]
    return "\n\n".join(parts) + "\n"


def table(rows: list[dict[str, str]]) -> str:
    """Lay out rows as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '¦') for cell in line)} |" for line in lines)
