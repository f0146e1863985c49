"""Figures of music classification against pairs and thresholds counted one by one."""

import numpy as np
import pytest

from pemr.training.scores import (
    accuracy,
    average_precision,
    macro_average_precision,
    macro_roc_auc,
    roc_auc,
)


def slow_roc_auc(predictions, targets):
    pairs = [
        (predictions[i] > predictions[j]) + 0.5 * (predictions[i] == predictions[j])
        for i in range(len(targets))
        for j in range(len(targets))
        if targets[i] and not targets[j]
    ]
    return sum(pairs) / len(pairs)


def slow_average_precision(predictions, targets):
    area, recall = 0.0, 0.0
    for threshold in sorted(set(predictions), reverse=True):
        kept = [t for p, t in zip(predictions, targets, strict=True) if p >= threshold]
        new_recall = sum(kept) / sum(targets)
        area += (new_recall - recall) * sum(kept) / len(kept)
        recall = new_recall
    return area


@pytest.fixture(params=range(40))
def case(request):
    rng = np.random.default_rng(request.param)
    n = int(rng.integers(2, 30))
    targets = rng.random(n) < 0.4
    targets[:2] = True, False
    return rng.integers(0, 6, n) / 6, targets  # many ties


def test_roc_auc_counts_pairs(case):
    assert roc_auc(*case) == pytest.approx(slow_roc_auc(*case))


def test_average_precision_sums_over_thresholds(case):
    assert average_precision(*case) == pytest.approx(slow_average_precision(*case))


def test_reversing_the_order_mirrors_roc_auc(case):
    predictions, targets = case
    assert roc_auc(-predictions, targets) == pytest.approx(1 - roc_auc(predictions, targets))


def test_equal_predictions_are_chance():
    targets = np.array([True, False, False, False])
    assert roc_auc(np.ones(4), targets) == 0.5
    assert average_precision(np.ones(4), targets) == 0.25


def test_macro_leaves_out_labels_that_tell_nothing():
    predictions = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])
    targets = np.array([[True, True, False], [False, True, True]])
    assert macro_roc_auc(predictions, targets) == 1.0
    assert macro_average_precision(predictions, targets) == 1.0
    assert np.isnan(macro_roc_auc(predictions[:, 1:2], targets[:, 1:2]))


def test_accuracy_takes_the_likeliest():
    predictions = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    targets = np.array([[True, False], [False, True], [False, True]])
    assert accuracy(predictions, targets) == pytest.approx(2 / 3)
