"""What can be measured, as a `Scorer`: embeddings, a matrix of scores, or a catalog of ours.

Letters: N performances, B queries of one block, S segments, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class VectorScorer:
    """One embedding for each performance, scored by cosine.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    embeddings : float array, shape (N, D)
        Not all zero in any row.
    duration_s : float array, shape (N,), optional
        Durations in seconds.
    """

    names: Sequence[str]
    embeddings: NDArray[np.float32]
    duration_s: NDArray[np.float64] | None = None

    def score(self, queries: Ints) -> NDArray[np.floating]:
        """Score all performances for some queries, (B,) to (B, N)."""
        unit = self.embeddings / np.linalg.norm(self.embeddings, axis=1, keepdims=True)
        scores: NDArray[np.floating] = unit[queries] @ unit.T
        return scores

    def transposition(self, query: int, candidate: int) -> None:
        """Answer None: a vector knows no transposition."""


@dataclass(frozen=True, kw_only=True)
class MatrixScorer:
    """A score for each pair, from whatever system.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    scores : float array, shape (N, N)
        Row: query; column: candidate; higher is better.
    duration_s : float array, shape (N,), optional
        Durations in seconds.
    """

    names: Sequence[str]
    scores: NDArray[np.floating]
    duration_s: NDArray[np.float64] | None = None

    def score(self, queries: Ints) -> NDArray[np.floating]:
        """Score all performances for some queries, (B,) to (B, N)."""
        return self.scores[queries]

    def transposition(self, query: int, candidate: int) -> None:
        """Answer None: a matrix knows no transposition."""
