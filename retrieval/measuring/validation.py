"""Segment embeddings of labelled performances → one figure, while an encoder is being trained."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import BenchmarkError
from retrieval.measuring.metrics import score_queries
from retrieval.ranking.nearest import track_scores

log = logging.getLogger(__name__)


def validation_score(
    sets: Sequence[tuple[Sequence[NDArray[np.float32]], Sequence[str]]],
) -> float:
    """Average the MAP of several sets, so that each counts as much, whatever its size.

    Parameters
    ----------
    sets : sequence of pairs
        Embeddings and works of each, as `validation_map` takes them.

    Returns
    -------
    float
        Mean over the sets; each is logged.

    Raises
    ------
    BenchmarkError
        If a set has no work with two performances.
    """
    found = [validation_map(embeddings, works) for embeddings, works in sets]
    log.info("MAP on each validation set: %s", ", ".join(f"{figure:.4f}" for figure in found))
    return float(np.mean(found))


def validation_map(embeddings: Sequence[NDArray[np.float32]], works: Sequence[str]) -> float:
    """Rank all performances for each, as search would without alignment.

    Parameters
    ----------
    embeddings : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of the segments of each performance.
    works : sequence of str
        The work of each. One that occurs once never asks.

    Returns
    -------
    float
        MAP over the queries.

    Raises
    ------
    BenchmarkError
        If no work has two performances.

    Examples
    --------
    >>> a, b = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    >>> validation_map([a, b, a, b], ["one", "two", "one", "two"])
    1.0
    """
    names = np.asarray(works)
    counts = Counter(works)
    queries = np.flatnonzero(
        [counts[work] > 1 and len(e) > 0 for work, e in zip(works, embeddings, strict=True)]
    )
    if not len(queries):
        raise BenchmarkError("no work has two performances to validate with")
    scores = np.stack([track_scores(embeddings[query], embeddings) for query in queries.tolist()])
    relevant = names[queries][:, None] == names[None]
    relevant[np.arange(len(queries)), queries] = False
    return float(score_queries(scores, relevant, queries).average_precision.mean())
