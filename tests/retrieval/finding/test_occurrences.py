"""Stretches that gain most, against every way to cut them."""

from itertools import product

import numpy as np
import pytest

from retrieval.finding.occurrences import Occurrence, find_occurrences


def worth(states, gains, cost):
    """What a choice of a track (or -1, nothing) for each moment gains, from its definition."""
    gained = sum(gains[moment, state] for moment, state in enumerate(states) if state >= 0)
    entered = sum(
        state >= 0 and (moment == 0 or states[moment - 1] != state)
        for moment, state in enumerate(states)
    )
    return gained - cost * entered


@pytest.mark.parametrize("seed", range(12))
def test_no_choice_gains_more_than_the_one_found(seed):
    rng = np.random.default_rng(seed)
    gains = rng.normal(0, 1, (6, 3))
    best = max(worth(states, gains, 1.0) for states in product(range(-1, 3), repeat=6))
    states = np.full(6, -1)
    for one in find_occurrences(gains, 1.0):
        states[one.start : one.end] = one.track
    assert worth(states, gains, 1.0) == pytest.approx(best)


def test_a_stretch_that_gains_is_cut_where_it_begins_and_ends():
    gains = np.full((10, 2), -1.0)
    gains[2:6, 1] = 2.0
    assert find_occurrences(gains, 3.0) == [Occurrence(start=2, end=6, track=1)]


def test_a_single_moment_makes_no_occurrence():
    gains = np.full((10, 2), -1.0)
    gains[4, 0] = 2.0
    assert find_occurrences(gains, 3.0) == []


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_occurs_where_there_is_nothing(shape):
    assert find_occurrences(np.zeros(shape), 1.0) == []
