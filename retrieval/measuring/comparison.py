"""Two reports of one benchmark become their difference, paired query by query."""

from dataclasses import dataclass

import numpy as np

from retrieval.errors import BenchmarkError
from retrieval.measuring.results import QueryRow, Report
from retrieval.measuring.summary import N_REPLICATES, Figure, clique_draws

_VALUES = {"MAP": "average_precision", "MR1": "first_rank", "hit@1": "hit1"}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a second report gains over a first one, on the queries of both.

    Parameters
    ----------
    differences : dict from MAP, MR1 and hit@1 to Figure
        Second less first, with the 95 % interval of a paired bootstrap over cliques.
    changed : list of (QueryRow, QueryRow)
        Queries whose average precision differs, the largest change first.
    n_queries : int
        Of both reports.
    n_unpaired : int
        Of only one of them, and left out.
    """

    differences: dict[str, Figure]
    changed: list[tuple[QueryRow, QueryRow]]
    n_queries: int
    n_unpaired: int


def compare(first: Report, second: Report, seed: int = 0) -> Comparison:
    """Compare two systems on one benchmark.

    Parameters
    ----------
    first, second : Report
        Of the same data set, subset and convention.
    seed : int, optional
        Of the bootstrap.

    Returns
    -------
    Comparison

    Raises
    ------
    BenchmarkError
        If the two measure different things, or share no query.
    """
    for what in ("benchmark", "subset", "convention"):
        ours, theirs = getattr(first, what), getattr(second, what)
        if ours != theirs:
            raise BenchmarkError(f"the reports differ in {what}: {ours} and {theirs}")
    before = {row.query: row for row in first.queries}
    after = {row.query: row for row in second.queries}
    pairs = [(before[name], after[name]) for name in before if name in after]
    if not pairs:
        raise BenchmarkError("the reports have no query in common")
    changed = [pair for pair in pairs if _gain(pair)]
    return Comparison(
        differences=_differences(pairs, seed),
        changed=sorted(changed, key=lambda pair: (-abs(_gain(pair)), pair[0].query)),
        n_queries=len(pairs),
        n_unpaired=len(before) + len(after) - 2 * len(pairs),
    )


def _gain(pair: tuple[QueryRow, QueryRow]) -> float:
    return pair[1].average_precision - pair[0].average_precision


def _differences(pairs: list[tuple[QueryRow, QueryRow]], seed: int) -> dict[str, Figure]:
    gains = np.array(
        [[getattr(b, value) - getattr(a, value) for value in _VALUES.values()] for a, b in pairs]
    )  # (Q, M)
    _, clique = np.unique([a.work for a, _ in pairs], return_inverse=True)
    draws = [w @ gains / w.sum() for w in clique_draws(clique, N_REPLICATES, seed)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    means = gains.mean(axis=0)
    return {
        label: Figure(value=float(means[m]), low=float(low[m]), high=float(high[m]))
        for m, label in enumerate(_VALUES)
    }


def difference_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One row for each metric: the gain, its interval, and whether that excludes zero."""
    return [
        {
            "metric": label,
            "second - first": f"{figure.value:+.3f}",
            "95 % interval": f"{figure.low:+.3f} to {figure.high:+.3f}",
            "differs": "yes" if figure.low > 0 or figure.high < 0 else "not surely",
        }
        for label, figure in comparison.differences.items()
    ]


def changed_rows(comparison: Comparison, n_rows: int = 20) -> list[dict[str, str]]:
    """One row for each query that changed most."""
    return [
        {
            "query": before.query,
            "AP first": f"{before.average_precision:.3f}",
            "AP second": f"{after.average_precision:.3f}",
            "rank first": f"{before.first_rank:g}",
            "rank second": f"{after.first_rank:g}",
        }
        for before, after in comparison.changed[:n_rows]
    ]
