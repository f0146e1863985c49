"""The best line through a plot, against every line, one after the other."""

from itertools import product

import numpy as np
import pytest

from retrieval.ranking.matching.lines import HIT, MISS, best_line, near_line, slope

RATIOS = np.array([0.5, 0.8, 1.0, 1.3, 2.0])


def slow_best(plot):
    """Sum every stretch of every line."""
    n_rows, n_columns = plot.shape
    best = 0
    for ratio, offset in product(RATIOS, range(-2 * n_rows - 1, n_columns)):
        places = [(i, offset + round(ratio * i)) for i in range(n_rows)]
        worth = [
            (HIT if plot[i, j] else -MISS) if 0 <= j < n_columns else -10_000 for i, j in places
        ]
        for start, end in product(range(n_rows), range(1, n_rows + 1)):
            best = max(best, sum(worth[start:end]))
    return best


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("shape", [(9, 14), (14, 6), (1, 5)])
def test_no_line_has_a_better_stretch(rng, share, shape):
    plot = (rng.random(shape) < share).astype(np.uint8)
    assert best_line(plot, RATIOS)[0] == slow_best(plot)


@pytest.mark.parametrize("which", range(len(RATIOS)))
@pytest.mark.parametrize("offset", [-12, 0, 17])
def test_a_planted_line_is_found_by_its_ratio_and_offset(which, offset):
    plot = np.zeros((40, 60), np.uint8)
    for i in range(40):
        j = offset + round(RATIOS[which] * i)
        if 0 <= j < 60:
            plot[i, j] = 1
    score, found, crossing = best_line(plot, RATIOS)
    assert (found, crossing) == (which, offset)
    assert score == HIT * plot.sum()


def test_nothing_recurs_on_an_empty_plot():
    assert best_line(np.zeros((5, 5), np.uint8), RATIOS)[0] == 0


def test_near_a_line_the_plot_stays_as_it_is(rng):
    plot = (rng.random((20, 30)) < 0.5).astype(np.uint8)
    kept = near_line(plot, 1.3, -4, 2)
    for i, j in product(range(20), range(30)):
        is_near = abs(j - (-4 + round(1.3 * i))) <= 2
        assert kept[i, j] == (plot[i, j] if is_near else 0)


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.4])
def test_the_slope_is_that_of_the_line_that_points_lie_on(ratio):
    rows = np.arange(200)
    points = np.stack([rows, np.rint(3 + ratio * rows).astype(np.int64)], axis=1)
    assert slope(points) == pytest.approx(ratio, rel=0.005)
