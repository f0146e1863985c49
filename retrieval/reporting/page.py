"""A `Report` becomes one web page that needs nothing else: tables, charts, failures, peers."""

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np

from retrieval.benchmarks import card_of
from retrieval.benchmarks.base import Published
from retrieval.measuring.results import QueryRow, Report, worst
from retrieval.reporting import svg
from retrieval.reporting.provenance import Trace
from retrieval.reporting.report import (
    RULES,
    count_rows,
    fact_rows,
    heading,
    markdown,
    metric_rows,
    system,
    write_json,
)

_STYLE = """
:root{--ink:#1c2330;--soft:#5d6778;--paper:#fff;--band:#f4f6f9;--rule:#dde2ea;--first:#2f6db5;
--second:#d9822b}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b5;--paper:#14181f;
--band:#1c222c;--rule:#2f3845;--first:#6aa5e8;--second:#e8a35a}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:40px 0 12px}
p{margin:8px 0 12px;color:var(--soft);max-width:74ch}code{font-size:13px;overflow-wrap:anywhere}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:24px 0}
.card{background:var(--band);border-radius:10px;padding:14px 18px;min-width:150px;flex:1}
.card b{display:block;font-size:26px;line-height:1.2}.card span{color:var(--soft);font-size:13px}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:24px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);
vertical-align:top;overflow-wrap:anywhere}th{color:var(--soft);font-weight:500}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.ours td{background:var(--band);font-weight:600}
figure{margin:0}figcaption{font-size:14px;font-weight:600;margin-bottom:4px}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
svg .x,svg .axis,svg .count{text-anchor:middle}svg .y{text-anchor:end}
svg .grid{stroke:var(--rule)}svg .line{fill:none;stroke-width:2.2;stroke:var(--first)}
svg rect.first{fill:var(--first)}svg rect.second{fill:var(--second)}svg .sheer{opacity:.62}
a{color:var(--first)}
""".replace("\n", "")

_SIZES = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (21, 10**9))
_RATIOS = (0.0, 0.5, 0.8, 1.25, 2.0, np.inf)


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def page(
    report: Report,
    trace: Trace,
    published: Sequence[Published] = (),
    audio_root: str | None = None,
) -> str:
    """Write a report as a page.

    Parameters
    ----------
    report : Report
        What was measured.
    trace : Trace
        Where the figures come from.
    published : sequence of Published
        Figures of other systems, shown as not run here.
    audio_root : str, optional
        Where the data set lies as seen from the page; failures link to their audio then.

    Returns
    -------
    str
        HTML with style and charts inside.
    """
    title = escape(heading(report))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{title}</h1><p>{escape(report.title)} · {escape(trace.date)} · "
        f"<code>{escape(trace.command)}</code></p>"
        f"{_cards(report)}{_tables(report, trace)}{_charts(report)}{_failures(report, audio_root)}"
        f"{_peers(report, published)}</main></body></html>\n"
    )


def write_report(report: Report, trace: Trace, folder: Path, root: Path) -> list[Path]:
    """Write a report for programs, for docs/results, and for people.

    Parameters
    ----------
    report : Report
        What was measured.
    trace : Trace
        Where the figures come from.
    folder : Path
        Made when absent; files of an earlier report are replaced.
    root : Path
        Where the data set lies, for the links of the page; it is named nowhere else.

    Returns
    -------
    list of Path
        `report.json`, `report.md` and `report.html`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"report.{ending}" for ending in ("json", "md", "html")]
    write_json(report, trace, paths[0])
    paths[1].write_text(markdown(report, trace), "utf-8", "backslashreplace")
    audio_root = Path(os.path.relpath(root, folder)).as_posix()
    published = card_of(report.benchmark).published
    html = page(report, trace, published, audio_root)
    paths[2].write_text(html, "utf-8", "backslashreplace")
    return paths


def _cards(report: Report) -> str:
    rows = {row["metric"]: row for row in metric_rows(report)}
    shown = list(rows.values())
    chosen = [shown[0], shown[1], *(row for name, row in rows.items() if name == "hit@1")]
    cards = [(row["metric"].split(" (")[0], row["value"], row["95 % interval"]) for row in chosen]
    n_lost = len(report.missing) + len(report.unusable)
    counts = report.counts
    pool = f"in {counts.cliques:,} cliques, against {counts.candidates:,} candidates"
    cards.append(("queries", f"{counts.queries:,}", pool))
    cards.append(("missing or unusable", f"{n_lost:,}", f"of {counts.performances:,} listed"))
    return '<div class="cards">{}</div>'.format(
        "".join(
            f'<div class="card"><span>{escape(name)}</span><b>{value}</b>'
            f"<span>{escape(note)}</span></div>"
            for name, value, note in cards
        )
    )


def _tables(report: Report, trace: Trace) -> str:
    rules = "; ".join(RULES)
    duplicates = "".join(
        f"<p>Byte-identical: {escape(', '.join(group))}</p>" for group in report.duplicates[:20]
    )
    return (
        '<div class="columns"><section><h2>Figures</h2>'
        f"{_table(metric_rows(report), ('value', '95 % interval'))}</section>"
        f"<section><h2>What they rest on</h2>{_table(count_rows(report), ('number',))}</section>"
        f"</div>{duplicates}<h2>How to print them again</h2>{_table(fact_rows(report, trace))}"
        f"<p>Rules: {escape(rules)}.</p>"
    )


def _table(rows: Sequence[dict[str, str]], numbers: Iterable[str] = (), ours: int = -1) -> str:
    """Lay out rows; what is not `_Html` is escaped."""
    numeric = set(numbers)

    def cell(tag: str, column: str, value: str) -> str:
        style = ' class="number"' if column in numeric else ""
        shown = value if isinstance(value, _Html) else escape(value)
        return f"<{tag}{style}>{shown}</{tag}>"

    columns = list(rows[0])
    head = "".join(cell("th", column, column) for column in columns)
    body = "".join(
        f"<tr{' class=ours' if i == ours else ''}>"
        f"{''.join(cell('td', column, row[column]) for column in columns)}</tr>"
        for i, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _charts(report: Report) -> str:
    queries = report.queries
    charts = [
        ("How soon the first relevant candidate comes", _rank_curve(report)),
        ("MAP by clique size", _grouped(queries, _by_size, "relevant candidates of the query")),
        (
            "MAP by length ratio",
            _grouped(queries, _by_ratio, "best relevant candidate / query, in duration"),
        ),
        (
            "MAP by transposition",
            _grouped(queries, _by_transposition, "semitones up to the best relevant candidate"),
        ),
        ("Scores of the best relevant and the best wrong candidate", _score_chart(queries)),
    ]
    figures = "".join(
        f"<figure><figcaption>{escape(caption)}</figcaption>{chart}</figure>"
        for caption, chart in charts
    )
    return f'<h2>Where it works and where it fails</h2><div class="columns">{figures}</div>'


def _rank_curve(report: Report) -> str:
    ranks = np.sort([row.first_rank for row in report.queries])
    shares = np.arange(1, len(ranks) + 1) / len(ranks)
    last = np.flatnonzero(np.append(ranks[1:] > ranks[:-1], True))  # one point for each rank
    xs, ys = [1.0, *ranks[last]], [0.0, *shares[last]]
    return svg.curve([*xs, float(report.counts.candidates)], [*ys, 1.0], "rank", "share of queries")


def _grouped(
    queries: Sequence[QueryRow],
    grouping: Callable[[Sequence[QueryRow]], list[tuple[str, list[QueryRow]]]],
    label: str,
) -> str:
    groups = [
        (name, float(np.mean([row.average_precision for row in rows])) if rows else None, len(rows))
        for name, rows in grouping(queries)
    ]
    if not any(n_rows for _, _, n_rows in groups):
        return "<p>Not known in this run.</p>"
    return svg.bars(groups, label, "MAP")


def _by_size(queries: Sequence[QueryRow]) -> list[tuple[str, list[QueryRow]]]:
    names = [f"{a}" if a == b else f"{a}-{b}" if b < 10**9 else f"{a}+" for a, b in _SIZES]
    return [
        (name, [row for row in queries if a <= row.n_relevant <= b])
        for name, (a, b) in zip(names, _SIZES, strict=True)
    ]


def _by_ratio(queries: Sequence[QueryRow]) -> list[tuple[str, list[QueryRow]]]:
    edges = list(pairwise(_RATIOS))
    names = [f"{a:g}-{b:g}" for a, b in edges]
    names[0], names[-1] = f"< {_RATIOS[1]:g}", f"> {_RATIOS[-2]:g}"
    return [
        (name, [q for q in queries if q.length_ratio is not None and a <= q.length_ratio < b])
        for name, (a, b) in zip(names, edges, strict=True)
    ]


def _by_transposition(queries: Sequence[QueryRow]) -> list[tuple[str, list[QueryRow]]]:
    return [
        (f"{shift:+d}" if shift else "0", [row for row in queries if row.transposition == shift])
        for shift in range(-5, 7)
    ]


def _score_chart(queries: Sequence[QueryRow]) -> str:
    relevant = np.array(
        [q.best_relevant_score for q in queries if q.best_relevant_score is not None]
    )
    other = np.array([q.best_other_score for q in queries if q.best_other_score is not None])
    return svg.histograms(relevant, other, ("best relevant", "best wrong"), "score")


def _failures(report: Report, audio_root: str | None) -> str:
    def link(name: str | None) -> str:
        path = report.files.get(name or "")
        if name is None or path is None or audio_root is None or path.endswith(".h5"):
            return name or "-"
        return _Html(f'<a href="{escape(quote(f"{audio_root}/{path}"))}">{escape(name)}</a>')

    rows = [
        {
            "query": link(row.query),
            "AP": f"{row.average_precision:.3f}",
            "first rank": f"{row.first_rank:g}",
            "best relevant": link(row.best_relevant),
            "score": _score(row.best_relevant_score),
            "best wrong": link(row.best_other),
            "its score": _score(row.best_other_score),
        }
        for row in worst(report.queries)
        if row.average_precision < 1
    ]
    if not rows:
        return "<h2>The queries that went worst</h2><p>None failed.</p>"
    numbers = ("AP", "first rank", "score", "its score")
    return f"<h2>The queries that went worst</h2>{_table(rows, numbers)}"


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def _peers(report: Report, published: Sequence[Published]) -> str:
    if not published:
        return ""
    choice = " ".join(part for part in (report.subset, report.convention) if part)
    here = report.counts
    rows = [
        {
            "system": system(report),
            "MAP": f"{report.metrics['map'].value:.3f}",
            "MR1": f"{report.metrics['mr1'].value:.2f}",
            "measured on": f"{choice}: {here.queries:,} queries, {here.candidates:,} candidates",
            "source": "run here",
        },
        *(
            {
                "system": peer.system,
                "MAP": "-" if peer.map is None else f"{peer.map:.3f}",
                "MR1": "-" if peer.mr1 is None else f"{peer.mr1:.2f}",
                "measured on": peer.convention,
                "source": f"{peer.source}; not run here",
            }
            for peer in published
        ),
    ]
    return (
        "<h2>Published figures of other systems, not run here</h2><p>Conventions differ more than "
        "systems do: a figure on other files, or on a part of them, is another measurement.</p>"
        f"{_table(rows, ('MAP', 'MR1'), ours=0)}"
    )
