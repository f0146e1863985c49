"""PEMR's losses against loops written from the equations."""

import numpy as np
import pytest
import torch

from pemr.model.loss import correlation, huber, negative_loss, positive_loss, standardise


def slow_standardise(z):
    """Equation 7, one dimension at a time; the variance as batch normalisation takes it."""
    out = np.zeros_like(z)
    n = z.shape[0]
    for i in range(z.shape[1]):
        mean = sum(z[b, i] for b in range(n)) / n
        variance = sum((z[b, i] - mean) ** 2 for b in range(n)) / n
        for b in range(n):
            out[b, i] = (z[b, i] - mean) / np.sqrt(variance + 1e-5)
    return out


def slow_correlation(first, second):
    a, b = slow_standardise(first), slow_standardise(second)
    n, d = a.shape
    return np.array(
        [[sum(a[k, i] * b[k, j] for k in range(n)) / n for j in range(d)] for i in range(d)]
    )


def slow_positive(c, weight):
    d = len(c)
    on = sum((1 - c[i, i]) ** 2 for i in range(d))
    off = sum(c[i, j] ** 2 for i in range(d) for j in range(d) if j != i)
    return on + weight * off


def slow_huber(u, delta):
    return u**2 / 2 if abs(u) < delta else delta * abs(u) - delta**2 / 2


@pytest.fixture(params=range(5), ids=lambda seed: f"draw {seed}")
def batches(request):
    rng = np.random.default_rng(request.param)
    shape = (int(rng.integers(2, 9)), int(rng.integers(1, 7)))
    return 3 * rng.standard_normal(shape) + 1, 2 * rng.standard_normal(shape) - 5


def test_equation_7_standardises_each_dimension(batches):
    ours = standardise(torch.from_numpy(batches[0])).numpy()
    np.testing.assert_allclose(ours, slow_standardise(batches[0]), atol=1e-10)


def test_equation_7_correlates_dimension_with_dimension(batches):
    ours = correlation(*(torch.from_numpy(z) for z in batches)).numpy()
    np.testing.assert_allclose(ours, slow_correlation(*batches), atol=1e-10)


def test_equation_7_is_batch_normalisation(batches):
    z = torch.from_numpy(batches[0])
    theirs = torch.nn.BatchNorm1d(z.shape[1], affine=False, dtype=z.dtype)(z)
    np.testing.assert_allclose(standardise(z).numpy(), theirs.numpy(), atol=1e-10)


def test_equation_8_weighs_the_off_diagonal(batches):
    c = slow_correlation(*batches)
    ours = float(positive_loss(torch.from_numpy(c), 0.005))
    assert ours == pytest.approx(slow_positive(c, 0.005), rel=1e-10)


def test_equation_9_reads_the_diagonal_alone(batches):
    c = slow_correlation(*batches)
    expected = sum(c[i, i] ** 2 for i in range(len(c)))
    assert float(negative_loss(torch.from_numpy(c))) == pytest.approx(expected, rel=1e-10)
    np.fill_diagonal(c, 0.0)
    assert float(negative_loss(torch.from_numpy(c))) == 0.0


def test_equation_10_bends_at_delta():
    errors = np.concatenate([np.linspace(-1, 1, 41), [0.1, -0.1, 0.0999]])
    ours = huber(torch.from_numpy(errors), 0.1).numpy()
    np.testing.assert_allclose(ours, [slow_huber(u, 0.1) for u in errors], atol=1e-12)


def test_a_view_agrees_with_itself():
    """Uncorrelated dimensions of unit variance, against themselves: the identity."""
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).double()
    z = signs[:, 1:]
    assert float(positive_loss(correlation(z, z), 0.005)) == pytest.approx(0.0, abs=1e-8)


def test_losses_ignore_scale_and_shift_of_a_dimension(batches):
    first, second = (torch.from_numpy(z) for z in batches)
    moved = first * 7 + 3
    torch.testing.assert_close(
        correlation(moved, second), correlation(first, second), atol=1e-4, rtol=1e-4
    )


def test_a_permuted_batch_has_the_same_loss(batches):
    first, second = (torch.from_numpy(z) for z in batches)
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(correlation(first[order], second[order]), correlation(first, second))


def test_chance_correlations_cost_what_the_paper_s_sizes_imply():
    """With 48 items and 256 dimensions, 256·255 chance correlations of variance 1/48."""
    rng = torch.Generator().manual_seed(0)
    c = correlation(*(torch.randn(48, 256, generator=rng) for _ in range(2)))
    c.fill_diagonal_(1.0)
    assert float(positive_loss(c, 0.005)) == pytest.approx(256 * 255 / 48 * 0.005, rel=0.05)
