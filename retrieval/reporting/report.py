"""A `Report` becomes rows for a table, JSON, Markdown and back; the web page is in `page`.

Rounding happens here and nowhere before.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.errors import BenchmarkError
from retrieval.measuring.comparison import Comparison, changed_rows, difference_rows
from retrieval.measuring.results import N_WORST, Counts, Excerpted, QueryRow, Report, worst
from retrieval.measuring.summary import METRICS, Figure
from retrieval.ranking.ranking import ranking_from
from retrieval.reporting.layout import laid_out
from retrieval.reporting.provenance import Trace, run_values

SCHEMA = 2

RULES = (
    "every candidate is ranked for every query, exactly",
    "the query itself is removed by its name; duplicates of it stay and are reported",
    "ties count with the expected value over all their orders",
    "noise (a work with one performance) never asks",
    "queries left without a relevant candidate are dropped and counted",
    "intervals are 95 %, bootstrapped over cliques",
)


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
        ("best relevant answers that are the query's recording", _n_copies(report)[0]),
        ("best wrong answers that are the query's recording", _n_copies(report)[1]),
    ]
    return [{"count": label, "number": str(number)} for label, number in listed]


def _n_copies(report: Report) -> tuple[int, int]:
    rows = report.queries
    return sum(row.relevant_is_copy for row in rows), sum(row.other_is_copy for row in rows)


def report_text(report: Report, form: str = "table") -> str:
    """Write what was measured, the figures and what they rest on; as `json` the figures alone."""
    if form == "json":
        return laid_out(metric_rows(report), form)
    figures, counts = laid_out(metric_rows(report)), laid_out(count_rows(report))
    return f"{heading(report)}\n{figures}\n{counts}\n{final_line(report)}\n"


def comparison_text(comparison: Comparison, form: str = "table") -> str:
    """Write a comparison as `table` or `json`: the queries that changed, the gains, how many."""
    if form == "json":
        rows = {
            "queries": comparison.n_queries,
            "unpaired": comparison.n_unpaired,
            "differences": {name: asdict(one) for name, one in comparison.differences.items()},
            "changed": [[asdict(before), asdict(after)] for before, after in comparison.changed],
        }
        return laid_out(rows, form)
    changed, gains = laid_out(changed_rows(comparison)), laid_out(difference_rows(comparison))
    return (
        f"{changed}\n{gains}{len(comparison.changed)} of {comparison.n_queries} queries changed; "
        f"{comparison.n_unpaired} were in one report only\n"
    )


def excerpt_rows(told: Iterable[object]) -> list[dict[str, str]]:
    """One row for each length of excerpts and each protocol, of what `measure_excerpts` tells."""
    return [_excerpt_row(one) for one in told if isinstance(one, Excerpted)]


def _excerpt_row(one: Excerpted) -> dict[str, str]:
    figures = {row["metric"]: row for row in metric_rows(one.report)}
    return {
        "protocol": one.protocol,
        "tau (s)": f"{one.tau_s:g}",
        "MAP": figures["MAP"]["value"],
        "95 % interval": figures["MAP"]["95 % interval"],
        "hit@1": figures["hit@1"]["value"],
        "NAR (%)": figures["NAR (%)"]["value"],
        "queries": str(one.report.counts.queries),
    }


def report_json(report: Report, trace: Trace) -> dict[str, Any]:
    """Everything in a report as JSON values, with where it comes from under `run`."""
    values = asdict(report)
    del values["embedder"], values["ranking"]
    run = {
        **run_values(trace, report.embedder, report.ranking),
        "weights_hash": report.weights_hash,
    }
    return {"schema": SCHEMA, "run": run, **values, "rules": list(RULES)}


def write_json(report: Report, trace: Trace, path: Path) -> None:
    """Write a report that `read_report` reads again; rows of queries take one line each."""
    written = report_json(report, trace)
    rows = written.pop("queries")
    head = json.dumps(written, indent=1, allow_nan=False)
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    path.write_text(f'{head[:-2]},\n "queries": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


def write_rows(rows: Sequence[Mapping[str, str]], embedder: str, trace: Trace, path: Path) -> None:
    """Write a table as JSON with where it comes from, as a file of docs/results."""
    written = {"run": run_values(trace, embedder, None), "rows": list(rows)}
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
        raise BenchmarkError(f"not a report of this program ({error})", path) from error


def _report_from(read: Mapping[str, Any]) -> Report:
    if read["schema"] not in (1, SCHEMA):
        raise ValueError(f"schema {read['schema']}, not {SCHEMA}")
    run = read["run"]
    ranking = run["ranking"] if read["schema"] == SCHEMA else {"n_aligned": run["n_aligned"]}
    return Report(
        **{
            key: read[key]
            for key in ("benchmark", "title", "data", "subset", "convention", "files")
        },
        embedder=run["embedder"],
        ranking=ranking_from(ranking) if ranking else None,
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
    if report.ranking is None:
        return report.embedder
    if not report.ranking.is_by_embedding:
        return report.ranking.words()
    return f"{report.embedder}, {report.ranking.words()}"


def fact_rows(report: Report, trace: Trace) -> list[dict[str, str]]:
    """One row for each fact that is needed to print the figures again."""
    ranking = report.ranking.values() if report.ranking else {}
    facts = {
        "command": trace.command,
        "commit": trace.commit or "unknown",
        "embedder": f"{report.embedder} (weights {report.weights_hash or 'none'})",
        "ranking": ", ".join(f"{name} {value}" for name, value in ranking.items()) or "none",
        "hardware": trace.hardware,
        "date": trace.date,
        "versions": ", ".join(f"{name} {version}" for name, version in trace.versions.items()),
    }
    return [{"what": name, "value": value} for name, value in facts.items()]


def markdown(report: Report, trace: Trace) -> str:
    """Write a report for docs/results: what ran, how much it rests on, the figures."""
    parts = [
        f"# {heading(report)}",
        table(fact_rows(report, trace)),
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
