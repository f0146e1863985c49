"""Evidence for a candidate becomes the probability that it is a performance of the query's work.

The evidence is what does not depend on who else is in the catalog: how near the embeddings are, how
well the candidate follows the query, and how long the query is. The catalog enters by its size
alone: among more tracks the best of the strangers looks better.

Letters: K candidates, E trials, V values of evidence.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import RankingError

Floats = NDArray[np.float64]

LIKELY: Final = 0.5
"""What is more probable than not; below it, nothing is called a cover."""

_RIDGE = 1e-2  # keeps weights finite where evidence parts covers from strangers without a fault
_N_STEPS = 100
_LONGEST_STEP = 2.0


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Weights of the evidence in the natural logarithm of the odds.

    Half of the queries that they were fitted to had no performance of their work in the catalog.

    Parameters
    ----------
    intercept : float
        Of everything that no evidence says.
    embedding : float
        For each unit of the embedding score.
    alignment : float
        For each unit of ``log(1 + alignment score)``.
    n_tracks : float
        For each unit of the logarithm of the catalog's size; below 0.
    n_segments : float
        For each unit of the logarithm of the query's length in segments.

    Raises
    ------
    ValueError
        If a better match would be less likely, or a larger catalog would make one more likely.
    """

    intercept: float
    embedding: float
    alignment: float
    n_tracks: float
    n_segments: float

    def __post_init__(self) -> None:
        for name in ("embedding", "alignment"):
            if not getattr(self, name) >= 0:
                bad = getattr(self, name)
                raise ValueError(f"Calibration.{name} is {bad}, but it must be at least 0")
        if not self.n_tracks <= 0:
            raise ValueError(f"Calibration.n_tracks is {self.n_tracks}, but it must be at most 0")

    def probability(
        self,
        embedding_score: ArrayLike,
        alignment_score: ArrayLike,
        *,
        n_tracks: ArrayLike,
        n_segments: ArrayLike,
    ) -> Floats:
        """Say how likely candidates are performances of the query's work.

        Parameters
        ----------
        embedding_score : float or float array, shape (K,)
            From `retrieval.ranking.nearest`.
        alignment_score : float or float array, shape (K,)
            From `retrieval.ranking.matching.align`; NaN where a candidate was not aligned, which
            counts as one that nothing matches.
        n_tracks : int
            Tracks in the catalog, of which these are the best; 1 for a pair that was chosen.
        n_segments : int
            Segments of the query.

        Returns
        -------
        float64 array, shape (K,) or ()
            In 0..1.
        """
        seen = evidence(embedding_score, alignment_score, n_tracks, n_segments)
        weights = (self.embedding, self.alignment, self.n_tracks, self.n_segments)
        return _sigmoid(self.intercept + seen @ np.array(weights))

    def values(self) -> dict[str, float]:
        """Write it as plain values."""
        return asdict(self)


def calibration_from(values: Mapping[str, Any]) -> Calibration:
    """Read a calibration that was written as plain values.

    Raises
    ------
    RankingError
        If a field is missing, unknown or out of its bounds.
    """
    names = {field.name for field in fields(Calibration)}
    if set(values) != names:
        odd = ", ".join(sorted(set(values) ^ names))
        raise RankingError(f"a calibration has {len(names)} values, and these differ: {odd}")
    try:
        return Calibration(**{name: float(value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise RankingError(f"the calibration cannot be read: {error}") from error


def evidence(
    embedding_score: ArrayLike,
    alignment_score: ArrayLike,
    n_tracks: ArrayLike,
    n_segments: ArrayLike,
) -> Floats:
    """Put evidence on the scales on which it adds up, as `Calibration.probability` takes it.

    Returns
    -------
    float64 array, shape (K, 4) or (4,)
        Embedding, alignment, catalog and query.
    """
    aligned = np.log1p(np.maximum(np.nan_to_num(np.asarray(alignment_score, float)), 0.0))
    catalog = np.log(np.maximum(np.asarray(n_tracks, float), 1.0))
    length = np.log(np.maximum(np.asarray(n_segments, float), 1.0))
    near = np.asarray(embedding_score, float)
    return np.stack(np.broadcast_arrays(near, aligned, catalog, length), axis=-1)


def fit(seen: Floats, is_performance: NDArray[np.bool_], weights: Floats) -> Calibration:
    """Find the weights of evidence under which what was seen is most likely.

    Parameters
    ----------
    seen : float64 array, shape (E, 4)
        From `evidence`, of the best candidates of many queries in catalogs of many sizes.
    is_performance : bool array, shape (E,)
        Whether each is a performance of its query's work.
    weights : float64 array, shape (E,)
        How much each trial counts.

    Returns
    -------
    Calibration
        Of the logistic regression, by Newton's method. Evidence that would count the wrong way
        round counts nothing.
    """
    is_kept = np.ones(seen.shape[1], bool)
    right_way = np.array([1.0, 1.0, -1.0, 0.0])
    while True:
        found = np.zeros(1 + seen.shape[1])
        found[np.flatnonzero([True, *is_kept])] = _logistic(
            seen[:, is_kept], is_performance, weights
        )
        is_wrong = is_kept & (found[1:] * right_way < 0)
        if not is_wrong.any():
            return Calibration(
                **dict(zip([f.name for f in fields(Calibration)], found.tolist(), strict=True))
            )
        is_kept &= ~is_wrong


def _logistic(seen: Floats, is_true: NDArray[np.bool_], weights: Floats) -> Floats:
    """Weights (1 + V,) of a constant and of the evidence (E, V)."""
    x = np.column_stack([np.ones(len(seen)), seen])
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[0] = 0.0
    found = np.zeros(x.shape[1])
    for _ in range(_N_STEPS):
        likely = _sigmoid(x @ found)
        slope = x.T @ (weights * (is_true - likely)) - ridge * found
        bend = (x.T * (weights * likely * (1 - likely))) @ x + np.diag(ridge + 1e-9)
        step = np.linalg.solve(bend, slope)
        found += step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return found


def _sigmoid(odds: ArrayLike) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))), float)
