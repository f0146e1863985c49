"""A query becomes ranked candidates; rankings become scores.

The door of the room; what lies behind it is loaded when it is asked for, so that importing the
room is quick.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrieval.align import Span
    from retrieval.benchmarks import (
        benchmark_names,
        benchmark_rows,
        card_of,
        load_benchmark,
        missing_rows,
    )
    from retrieval.benchmarks.base import Benchmark
    from retrieval.benchmarks.cache import cache_folder, embedding_plan
    from retrieval.benchmarks.datacos import feature_scorer
    from retrieval.benchmarks.embeddings import read_embeddings
    from retrieval.candidate import Candidate, Query, candidate_rows, candidate_table, m3u
    from retrieval.compare import changed_rows, compare, difference_rows
    from retrieval.errors import RetrievalError
    from retrieval.evaluate import Scorer, evaluate, prepare, rank, report_on
    from retrieval.excerpts import excerpt_row, excerpt_scorers
    from retrieval.page import write_report
    from retrieval.provenance import command_line, system_row, trace
    from retrieval.query import read_query
    from retrieval.report import (
        Report,
        Run,
        count_rows,
        final_line,
        heading,
        metric_rows,
        read_report,
        write_rows,
    )
    from retrieval.scorers import (
        ALIGNMENT_ALONE,
        BOTH_STAGES,
        EMBEDDING_ALONE,
        Stages,
        catalog_scorer,
    )
    from retrieval.search import N_ALIGNED, copies, search, stored_query
    from retrieval.validation import validation_map, validation_score

__all__ = [
    "ALIGNMENT_ALONE",
    "BOTH_STAGES",
    "EMBEDDING_ALONE",
    "N_ALIGNED",
    "Benchmark",
    "Candidate",
    "Query",
    "Report",
    "RetrievalError",
    "Run",
    "Scorer",
    "Span",
    "Stages",
    "benchmark_names",
    "benchmark_rows",
    "cache_folder",
    "candidate_rows",
    "candidate_table",
    "card_of",
    "catalog_scorer",
    "changed_rows",
    "command_line",
    "compare",
    "copies",
    "count_rows",
    "difference_rows",
    "embedding_plan",
    "evaluate",
    "excerpt_row",
    "excerpt_scorers",
    "feature_scorer",
    "final_line",
    "heading",
    "load_benchmark",
    "m3u",
    "metric_rows",
    "missing_rows",
    "prepare",
    "rank",
    "read_embeddings",
    "read_query",
    "read_report",
    "report_on",
    "search",
    "stored_query",
    "system_row",
    "trace",
    "validation_map",
    "validation_score",
    "write_report",
    "write_rows",
]

_HOMES = {
    "align": "Span",
    "benchmarks": "benchmark_names benchmark_rows card_of load_benchmark missing_rows",
    "benchmarks.base": "Benchmark",
    "benchmarks.cache": "cache_folder embedding_plan",
    "benchmarks.datacos": "feature_scorer",
    "benchmarks.embeddings": "read_embeddings",
    "candidate": "Candidate Query candidate_rows candidate_table m3u",
    "compare": "changed_rows compare difference_rows",
    "errors": "RetrievalError",
    "evaluate": "Scorer evaluate prepare rank report_on",
    "excerpts": "excerpt_row excerpt_scorers",
    "page": "write_report",
    "provenance": "command_line system_row trace",
    "query": "read_query",
    "report": "Report Run count_rows final_line heading metric_rows read_report write_rows",
    "scorers": "ALIGNMENT_ALONE BOTH_STAGES EMBEDDING_ALONE Stages catalog_scorer",
    "search": "N_ALIGNED copies search stored_query",
    "validation": "validation_map validation_score",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a door opens on anything)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__


class _Door(ModuleType):
    """Keeps `retrieval.search` the function, though a module of that name is loaded behind it."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
