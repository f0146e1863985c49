"""Data sets as they are distributed, each read by the module of its name."""

from importlib import import_module
from pathlib import Path

from retrieval.benchmarks.base import Benchmark, Card
from retrieval.errors import BenchmarkError

_NAMES = ("covers80", "datacos", "discogs_vi", "folder", "packed", "shs100k", "table")


def benchmark_names() -> tuple[str, ...]:
    """Name the data sets that can be read."""
    return _NAMES


def card_of(name: str) -> Card:
    """Look up the facts of a data set.

    Raises
    ------
    BenchmarkError
        If there is no loader of this name.
    """
    if name not in _NAMES:
        raise BenchmarkError(f"no benchmark is called {name!r}; there are: {', '.join(_NAMES)}")
    card: Card = import_module(f"retrieval.benchmarks.{name}").CARD
    return card


def benchmark_rows() -> list[dict[str, str]]:
    """One row for each data set that can be read: its facts."""
    cards = [card_of(name) for name in _NAMES]
    return [
        {
            "name": card.name,
            "title": card.title,
            "performances": _n_performances(card),
            "choices": ", ".join((*card.subsets, *card.conventions)) or "-",
            "licence": card.licence,
            "source": card.source,
            "citation": card.citation,
        }
        for card in cards
    ]


def _n_performances(card: Card) -> str:
    """Count those of the default choice, as far as it has a fixed number."""
    choices = (*card.subsets, *card.conventions)
    if not choices:
        return "any"
    known = [card.expected[choice] for choice in choices[:1] if choice in card.expected]
    return str(known[0][0]) if known else "not checked"


def missing_rows(benchmark: Benchmark) -> list[dict[str, str | None]]:
    """One row for each performance without a file: what to look for, and where."""
    return [
        {
            "name": performance.name,
            "title": performance.title,
            "artist": performance.artist,
            "address": performance.address,
        }
        for performance in benchmark.missing
    ]


def load_benchmark(
    name: str, root: Path, subset: str | None = None, convention: str | None = None
) -> Benchmark:
    """Read a data set from where the user put it.

    Parameters
    ----------
    name : str
        One of `benchmark_names`.
    root : Path
        Its folder; for `table` the CSV file.
    subset, convention : str, optional
        A choice of its card; the first one when absent.

    Returns
    -------
    Benchmark
        With what is missing marked as missing.

    Raises
    ------
    BenchmarkError
        If the data set is not as its card says; the message says what was expected where.
    """
    card_of(name)
    module = import_module(f"retrieval.benchmarks.{name}")
    benchmark: Benchmark = module.load(root, subset, convention)
    return benchmark
