import numpy as np
import pytest

from retrieval import validation_map, validation_score
from retrieval.errors import BenchmarkError

EAST, NORTH, BETWEEN = (np.array([v], np.float32) for v in ((1, 0), (0, 1), (0.8, 0.6)))


def test_relatives_that_come_first_score_one():
    assert validation_map([EAST, NORTH, EAST, NORTH], ["a", "b", "a", "b"]) == 1.0


def test_a_relative_in_second_place_scores_half():
    # Each query has the other work's vector nearer than its relative's.
    assert validation_map([EAST, NORTH, BETWEEN], ["a", "a", "b"]) == pytest.approx(0.5)


def test_a_work_with_one_performance_never_asks():
    assert validation_map([EAST, EAST, NORTH], ["a", "a", "b"]) == 1.0
    with pytest.raises(BenchmarkError, match="no work has two performances"):
        validation_map([EAST, NORTH], ["a", "b"])


def test_every_set_counts_as_much_whatever_its_size():
    large = ([EAST, NORTH] * 5, ["a", "b"] * 5)
    small = ([EAST, NORTH, BETWEEN], ["a", "a", "b"])
    assert validation_score([large, small]) == pytest.approx(0.75)
