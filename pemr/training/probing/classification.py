"""Predictions and labels → the figures that music classification is reported in.

Letters: N clips, C labels.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Predictions: TypeAlias = NDArray[np.float64]
Targets: TypeAlias = NDArray[np.bool_]


def roc_auc(predictions: Predictions, targets: Targets) -> float:
    """Measure how often a positive is above a negative, ties counting half.

    Parameters
    ----------
    predictions : float array, shape (N,)
        Higher means more likely.
    targets : bool array, shape (N,)
        At least one of each kind.

    Returns
    -------
    float
        In 0..1; 0.5 by chance.

    Examples
    --------
    >>> roc_auc(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    0.75
    """
    _, place, counts = np.unique(predictions, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of equal values, from 1
    n_positive = int(targets.sum())
    n_negative = len(targets) - n_positive
    above = ranks[place][targets].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def average_precision(predictions: Predictions, targets: Targets) -> float:
    """Sum precision over the steps of recall, equal predictions taken together.

    This is what the field calls PR-AUC, the area under the precision-recall curve.

    Parameters
    ----------
    predictions : float array, shape (N,)
        Higher means more likely.
    targets : bool array, shape (N,)
        At least one True.

    Returns
    -------
    float
        In (0, 1]; the share of positives by chance.

    Examples
    --------
    >>> average_precision(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    0.8333333333333333
    """
    thresholds, place = np.unique(-predictions, return_inverse=True)
    n_positive = np.bincount(place, weights=targets, minlength=len(thresholds))
    n_above = np.cumsum(np.bincount(place, minlength=len(thresholds)))
    precision = np.cumsum(n_positive) / n_above
    return float((precision * n_positive).sum() / targets.sum())


def macro_roc_auc(predictions: Predictions, targets: Targets) -> float:
    """Average the ROC-AUC over labels.

    Parameters
    ----------
    predictions : float array, shape (N, C)
        Higher means more likely.
    targets : bool array, shape (N, C)
        A label that all clips have, or none, is left out.

    Returns
    -------
    float
    """
    return _macro(roc_auc, predictions, targets)


def macro_average_precision(predictions: Predictions, targets: Targets) -> float:
    """Average the average precision over labels.

    Parameters
    ----------
    predictions : float array, shape (N, C)
        Higher means more likely.
    targets : bool array, shape (N, C)
        A label that all clips have, or none, is left out.

    Returns
    -------
    float
    """
    return _macro(average_precision, predictions, targets)


def accuracy(predictions: Predictions, targets: Targets) -> float:
    """Return the share of clips whose likeliest label is theirs.

    Parameters
    ----------
    predictions : float array, shape (N, C)
        Higher means more likely.
    targets : bool array, shape (N, C)
        One True a row.

    Returns
    -------
    float
        In 0..1.
    """
    return float(np.mean(predictions.argmax(axis=1) == targets.argmax(axis=1)))


def _macro(
    measure: Callable[[Predictions, Targets], float], predictions: Predictions, targets: Targets
) -> float:
    scored = [
        measure(predictions[:, label], targets[:, label])
        for label in range(targets.shape[1])
        if 0 < targets[:, label].sum() < len(targets)
    ]
    return float(np.mean(scored)) if scored else float("nan")
