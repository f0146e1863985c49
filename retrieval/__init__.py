"""A query becomes ranked candidates; rankings become scores.

The door of the room; what lies behind it is loaded when it is asked for, so that importing the
room is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrieval.benchmarks import (
        benchmark_names,
        benchmark_rows,
        card_of,
        load_benchmark,
        missing_rows,
    )
    from retrieval.benchmarks.base import Benchmark
    from retrieval.errors import RetrievalError
    from retrieval.finding.agreement import Agreement, agreement_row, agreement_table, compare_files
    from retrieval.finding.forms import duplicate_rows, find_duplicates
    from retrieval.finding.groups import Group, group, group_rows, group_table
    from retrieval.finding.listing import cue_sheet, setlist_json, setlist_rows, setlist_table
    from retrieval.finding.setlist import Setlist, recognise
    from retrieval.measuring.cache import cache_folder
    from retrieval.measuring.comparison import compare
    from retrieval.measuring.evaluation import RankedBlock, Scorer, evaluate
    from retrieval.measuring.features import feature_scorer
    from retrieval.measuring.measurement import measure, measure_excerpts, measure_file
    from retrieval.measuring.results import Excerpted, Report
    from retrieval.measuring.scorers import catalog_scorer
    from retrieval.measuring.validation import validation_map, validation_score
    from retrieval.ranking.candidate import (
        Candidate,
        Query,
        candidate_columns,
        candidate_rows,
        candidate_table,
        span_lines,
        span_words,
    )
    from retrieval.ranking.matching.identity import is_same_recording, likeness
    from retrieval.ranking.matching.spans import Span
    from retrieval.ranking.query import read_query
    from retrieval.ranking.ranking import PLAIN, STAGES, Ranking, chosen, ranking_from
    from retrieval.ranking.searching import copies, search, stored_query
    from retrieval.ranking.verdict import Verdict, judge
    from retrieval.reporting.answers import agreement_text, setlist_text, verdict_text
    from retrieval.reporting.layout import laid_out
    from retrieval.reporting.page import write_report
    from retrieval.reporting.picture import draw_best, draw_match, draw_scores
    from retrieval.reporting.playlist import m3u, tracks_text
    from retrieval.reporting.provenance import Trace, command_line, system_row, trace
    from retrieval.reporting.report import (
        comparison_text,
        excerpt_rows,
        metric_rows,
        read_report,
        report_text,
        write_rows,
    )
    from retrieval.reporting.timeline import draw_setlist
    from retrieval.service.serving import Place, serve

__all__ = [
    "PLAIN",
    "STAGES",
    "Agreement",
    "Benchmark",
    "Candidate",
    "Excerpted",
    "Group",
    "Place",
    "Query",
    "RankedBlock",
    "Ranking",
    "Report",
    "RetrievalError",
    "Scorer",
    "Setlist",
    "Span",
    "Trace",
    "Verdict",
    "agreement_row",
    "agreement_table",
    "agreement_text",
    "benchmark_names",
    "benchmark_rows",
    "cache_folder",
    "candidate_columns",
    "candidate_rows",
    "candidate_table",
    "card_of",
    "catalog_scorer",
    "chosen",
    "command_line",
    "compare",
    "compare_files",
    "comparison_text",
    "copies",
    "cue_sheet",
    "draw_best",
    "draw_match",
    "draw_scores",
    "draw_setlist",
    "duplicate_rows",
    "evaluate",
    "excerpt_rows",
    "feature_scorer",
    "find_duplicates",
    "group",
    "group_rows",
    "group_table",
    "is_same_recording",
    "judge",
    "laid_out",
    "likeness",
    "load_benchmark",
    "m3u",
    "measure",
    "measure_excerpts",
    "measure_file",
    "metric_rows",
    "missing_rows",
    "ranking_from",
    "read_query",
    "read_report",
    "recognise",
    "report_text",
    "search",
    "serve",
    "setlist_json",
    "setlist_rows",
    "setlist_table",
    "setlist_text",
    "span_lines",
    "span_words",
    "stored_query",
    "system_row",
    "trace",
    "tracks_text",
    "validation_map",
    "validation_score",
    "verdict_text",
    "write_report",
    "write_rows",
]

_HOMES = {
    "benchmarks": "benchmark_names benchmark_rows card_of load_benchmark missing_rows",
    "benchmarks.base": "Benchmark",
    "errors": "RetrievalError",
    "finding.agreement": "Agreement compare_files agreement_row agreement_table",
    "finding.forms": "duplicate_rows find_duplicates",
    "finding.groups": "Group group group_rows group_table",
    "finding.listing": "cue_sheet setlist_json setlist_rows setlist_table",
    "finding.setlist": "Setlist recognise",
    "measuring.cache": "cache_folder",
    "measuring.comparison": "compare",
    "measuring.evaluation": "RankedBlock Scorer evaluate",
    "measuring.features": "feature_scorer",
    "measuring.measurement": "measure measure_excerpts measure_file",
    "measuring.results": "Excerpted Report",
    "measuring.scorers": "catalog_scorer",
    "measuring.validation": "validation_map validation_score",
    "ranking.candidate": (
        "Candidate Query candidate_columns candidate_rows candidate_table span_lines span_words"
    ),
    "ranking.query": "read_query",
    "ranking.ranking": "PLAIN STAGES Ranking chosen ranking_from",
    "ranking.searching": "copies search stored_query",
    "ranking.matching.spans": "Span",
    "reporting.answers": "agreement_text setlist_text verdict_text",
    "ranking.verdict": "Verdict judge",
    "ranking.matching.identity": "is_same_recording likeness",
    "reporting.layout": "laid_out",
    "reporting.page": "write_report",
    "reporting.playlist": "m3u tracks_text",
    "reporting.picture": "draw_best draw_match draw_scores",
    "reporting.provenance": "Trace command_line system_row trace",
    "reporting.timeline": "draw_setlist",
    "reporting.report": (
        "comparison_text excerpt_rows metric_rows read_report report_text write_rows"
    ),
    "service.serving": "Place serve",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a door opens on anything)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
