"""The compiled kernels against slow loops written from the equations of Qmax."""

import math

import numpy as np
import pytest

from retrieval.ranking.matching import qmax


def slow_distance(query, candidate, i, j):
    """Squared distance of the delay vectors that start at i and j."""
    return sum(
        (int(query[pitch, i + frame]) - int(candidate[pitch, j + frame])) ** 2
        for pitch in range(12)
        for frame in range(qmax.STACK_LENGTH)
    )


def slow_recurrence(distances):
    """R_ij: both see each other nearer than their (k + 1)-th nearest."""
    n_rows, n_columns = len(distances), len(distances[0])

    def bound(values):
        k = max(1, math.floor(0.095 * len(values)))
        return sorted(values)[k] if len(values) > k else math.inf

    rows = [bound(row) for row in distances]
    columns = [bound([row[j] for row in distances]) for j in range(n_columns)]
    return [
        [int(distances[i][j] < rows[i] and distances[i][j] < columns[j]) for j in range(n_columns)]
        for i in range(n_rows)
    ]


def slow_lengths(plot):
    """Q_ij, straight from the two cases of the published recursion."""

    def penalty(i, j):
        return 5.0 if plot[i][j] else 0.5

    lengths = [[0.0] * len(plot[0]) for _ in plot]
    for i in range(2, len(plot)):
        for j in range(2, len(plot[0])):
            before = [(i - 1, j - 1), (i - 2, j - 1), (i - 1, j - 2)]
            if plot[i][j]:
                lengths[i][j] = max(lengths[a][b] for a, b in before) + 1
            else:
                lengths[i][j] = max(0.0, *(lengths[a][b] - penalty(a, b) for a, b in before))
    return lengths


def random_chroma(rng, n_frames):
    return rng.integers(0, 256, (12, n_frames), dtype=np.uint8)


@pytest.mark.parametrize("shift", [0, 1, 11])
def test_distances_equal_the_sum_over_stacked_frames(rng, shift):
    query, candidate = random_chroma(rng, 14), random_chroma(rng, 12)
    found = qmax.stacked_distances(query, candidate, shift)
    turned = np.roll(query, shift, axis=0)
    expected = [[slow_distance(turned, candidate, i, j) for j in range(4)] for i in range(6)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (9, 40), (40, 9), (33, 57)], ids=str)
def test_recurrence_equals_mutual_neighbours_by_sorting(rng, shape):
    distances = rng.integers(0, 60, shape, dtype=np.int32)  # few values, so there are ties
    np.testing.assert_array_equal(qmax.recurrence(distances), slow_recurrence(distances.tolist()))


def test_recurrence_holds_at_the_largest_distance():
    top = 12 * qmax.STACK_LENGTH * 255**2
    distances = np.full((30, 30), top, dtype=np.int32)
    distances[np.diag_indices(30)] = top - 1
    np.testing.assert_array_equal(qmax.recurrence(distances), np.eye(30))


def test_frames_that_all_look_alike_recur_nowhere():
    assert not qmax.recurrence(np.zeros((40, 40), dtype=np.int32)).any()


def test_no_row_and_no_column_exceeds_its_share(rng):
    plot = qmax.recurrence(rng.integers(0, 9_000, (80, 120), dtype=np.int32))
    assert plot.sum(axis=1).max() <= 11
    assert plot.sum(axis=0).max() <= 7


@pytest.mark.parametrize("density", [0.02, 0.1, 0.4, 0.9])
def test_alignment_lengths_follow_the_published_recursion(rng, density):
    plot = (rng.random((31, 44)) < density).astype(np.uint8)
    np.testing.assert_array_equal(qmax.alignment_lengths(plot), slow_lengths(plot.tolist()))


def test_an_unbroken_diagonal_counts_its_recurrences_after_the_first_two():
    assert qmax.alignment_lengths(np.eye(20, dtype=np.uint8)).max() == 18


def test_one_missing_recurrence_costs_the_onset_penalty():
    plot = np.eye(40, dtype=np.uint8)
    plot[20, 20] = 0
    assert qmax.alignment_lengths(plot).max() == 18 - 5 + 19


def test_doubled_tempo_keeps_the_whole_alignment():
    plot = np.zeros((20, 40), dtype=np.uint8)
    for i in range(20):
        plot[i, 2 * i] = 1
    assert qmax.alignment_lengths(plot).max() == 18


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (50, 2)], ids=str)
def test_plots_too_small_for_a_step_give_zero(shape):
    assert qmax.alignment_lengths(np.ones(shape, dtype=np.uint8)).max() == 0


@pytest.mark.parametrize("density", [0.05, 0.1, 0.3])
def test_the_longest_path_earns_its_length_step_by_step(rng, density):
    plot = (rng.random((60, 45)) < density).astype(np.uint8)
    length, path = qmax.longest_path(plot)
    steps = np.diff(path, axis=0)
    assert {tuple(step) for step in steps.tolist()} <= {(1, 1), (1, 2), (2, 1)}
    earned, before = 0.0, None
    for i, j in path.tolist():
        if plot[i, j]:
            earned += 1
        elif before is not None:
            earned -= 5.0 if plot[before] else 0.5
        before = (i, j)
    assert earned == length == qmax.alignment_lengths(plot).max()


def test_the_longest_path_keeps_to_the_diagonal():
    length, path = qmax.longest_path(np.eye(30, dtype=np.uint8))
    assert length == 28
    np.testing.assert_array_equal(path, [(k, k) for k in range(2, 30)])


def test_nothing_that_recurs_has_no_path():
    length, path = qmax.longest_path(np.zeros((30, 40), dtype=np.uint8))
    assert length == 0
    assert path.shape == (0, 2)


def test_qmax_is_the_three_steps_in_a_row(rng):
    query, candidate = random_chroma(rng, 40), random_chroma(rng, 50)
    distances = [
        [slow_distance(np.roll(query, 4, axis=0), candidate, i, j) for j in range(42)]
        for i in range(32)
    ]
    expected = max(max(row) for row in slow_lengths(slow_recurrence(distances)))
    assert qmax.qmax(query, candidate, 4) == expected
