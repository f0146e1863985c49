import copy

import numpy as np
import pytest
import torch

from pemr.config import CoverConfig
from pemr.errors import TrainingError
from pemr.model.cover import CoverEncoder, CoverModel
from pemr.training.cliques import Batch
from pemr.training.machine import Machine
from pemr.training.whiten import fold, from_means, inverse_root, shrinkage_for, whiten

MACHINE = Machine(n_workers=1)
N_DIMS = 8


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = CoverConfig(n_stem=4, n_narrow=8, n_wide=8, dilations=(1,), dim=16, n_dims=N_DIMS)
    model = CoverModel(CoverEncoder(config), N_DIMS)
    norm = model.head.embedding_norm
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return model.eval()


def batches(rng, n_batches=20, n_cliques=6, n_crops=3):
    """Crops of a clique share a picture, and differ in noise."""
    for step in range(n_batches):
        shared = rng.normal(-40, 10, (n_cliques, 1, 84, 24))
        crops = (shared + rng.normal(0, 5, (n_cliques, n_crops, 84, 24))).reshape(-1, 84, 24)
        labels = torch.arange(n_cliques).repeat_interleave(n_crops)
        paths = tuple(f"{step}-{index}" for index in range(len(labels)))
        yield Batch(torch.from_numpy(crops.astype(np.float32)), labels, paths)


def test_deviations_equal_a_slow_loop(rng):
    embeddings, cliques = rng.normal(size=(7, 3)), np.array([4, 1, 4, 4, 9, 1, 9])
    expected = [
        vector - embeddings[cliques == clique].mean(0)
        for vector, clique in zip(embeddings, cliques, strict=True)
    ]
    found, n_cliques = from_means(torch.from_numpy(embeddings), torch.from_numpy(cliques))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert n_cliques == 3


def test_the_inverse_root_makes_a_covariance_a_sphere(rng):
    root = rng.normal(size=(5, 5))
    covariance = torch.from_numpy(root @ root.T)
    factor = inverse_root(covariance, 0.0)
    np.testing.assert_allclose((factor @ covariance @ factor).numpy(), np.eye(5), atol=1e-6)


def test_full_shrinkage_leaves_a_multiple_of_the_identity():
    factor = inverse_root(torch.diag(torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)), 1.0)
    np.testing.assert_allclose(factor.numpy(), np.eye(3) / 2, atol=1e-12)


def test_no_variance_at_all_leaves_a_multiple_of_the_identity():
    factor = inverse_root(torch.zeros(3, 3, dtype=torch.float64), 0.1)
    np.testing.assert_allclose((factor / factor[0, 0]).numpy(), np.eye(3), atol=1e-12)


def test_few_performances_change_nothing_and_many_almost_all():
    assert shrinkage_for(20, 128) == 1.0
    assert shrinkage_for(512, 128) == 0.25
    assert shrinkage_for(100_000, 128) == 0.1


def test_folding_multiplies_embeddings_by_the_matrix(model, rng):
    factor = torch.from_numpy(rng.normal(size=(N_DIMS, N_DIMS)) + 4 * np.eye(N_DIMS))
    segments = torch.from_numpy(rng.normal(-40, 10, (5, 84, 24)).astype(np.float32))
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model(segments).double() @ factor.T, dim=1)
        fold(model.head, factor)
        found = model(segments)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


def test_after_whitening_all_directions_vary_alike_within_cliques(model, rng):
    def spread(one):
        scatter = 0
        with torch.no_grad():
            for batch in batches(np.random.default_rng(1)):
                deviations, _ = from_means(one(batch.crops), batch.cliques)
                scatter = scatter + deviations.T @ deviations
        values = torch.linalg.eigvalsh(scatter)
        return float(values[-1] / values.mean())

    before = copy.deepcopy(model)
    whiten(model, batches(rng), MACHINE)
    assert spread(model) < 0.7 * spread(before)


def test_embeddings_that_are_not_finite_are_refused(model, rng):
    with torch.no_grad():
        model.head.project.weight[0, 0] = torch.nan
    with pytest.raises(TrainingError, match="not finite"):
        whiten(model, batches(rng, n_batches=1), MACHINE)
