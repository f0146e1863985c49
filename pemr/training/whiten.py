"""Directions in which performances of one work differ count less: a change of the head.

The contrastive loss leaves embeddings in which a few directions hold most of what varies
between performances of one work. Within-class covariance normalisation [1] divides by it, and
since unit vectors only need their direction, the head's own projection can hold the division.

Letters: B batch, D embedding.

References
----------
.. [1] Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based
   speaker recognition", Interspeech 2006.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from pemr.errors import TrainingError
from pemr.model.cover import CoverHead, CoverModel
from pemr.training.cliques import Batch
from pemr.training.machine import Machine

N_CROPS = 4096  # that the covariance is measured on
_LEAST_SHRINKAGE = 0.1
_LEAST_VARIANCE = 1e-12  # where crops of a clique do not differ at all, nothing is to be changed


def whiten(model: CoverModel, batches: Iterable[Batch], machine: Machine) -> None:
    """Measure how crops of one clique differ, and fold the inverse of it into the head.

    Parameters
    ----------
    model : CoverModel
        In evaluation mode; its head is changed in place.
    batches : iterable of Batch
        From `CliqueBatches`; crops as they are, not disguised.
    machine : Machine
        Where to compute.

    Raises
    ------
    TrainingError
        If an embedding is not finite.
    """
    n_dims, device = model.n_dims, machine.device
    scatter = torch.zeros(n_dims, n_dims, dtype=torch.float64, device=device)
    n_free = 0
    performances: set[object] = set()
    with torch.no_grad():
        for batch in batches:
            with machine.autocast():
                embeddings = model(batch.crops.to(device))
            deviations, n_cliques = from_means(embeddings.double(), batch.cliques.to(device))
            scatter += deviations.T @ deviations
            n_free += len(deviations) - n_cliques
            performances.update(batch.paths)
    if not torch.isfinite(scatter).all():
        raise TrainingError("the embeddings are not finite; lower the learning rate")
    fold(model.head, inverse_root(scatter / n_free, shrinkage_for(len(performances), n_dims)))


def shrinkage_for(n_performances: int, n_dims: int) -> float:
    """Return each direction's share of the mean variance; all of it, where little is known."""
    return min(1.0, max(_LEAST_SHRINKAGE, n_dims / n_performances))


def from_means(embeddings: Tensor, cliques: Tensor) -> tuple[Tensor, int]:
    """Subtract from each embedding the mean of its clique in the batch.

    Parameters
    ----------
    embeddings : float tensor, shape (B, D)
    cliques : int tensor, shape (B,)

    Returns
    -------
    deviations : float tensor, shape (B, D)
    n_cliques : int
    """
    names, places = torch.unique(cliques, return_inverse=True)
    member = torch.nn.functional.one_hot(places, len(names)).to(embeddings)  # (B, cliques)
    means = (member.T @ embeddings) / member.sum(0)[:, None]
    return embeddings - means[places], len(names)


def inverse_root(covariance: Tensor, shrinkage: float) -> Tensor:
    """Return the symmetric inverse square root of a covariance drawn towards a sphere.

    Parameters
    ----------
    covariance : float64 tensor, shape (D, D)
    shrinkage : float
        In 0..1; at 1 only a multiple of the identity is left.

    Returns
    -------
    float64 tensor, shape (D, D)
    """
    values, directions = torch.linalg.eigh(covariance)
    drawn = (1 - shrinkage) * values + shrinkage * values.mean()
    root: Tensor = (directions / drawn.clamp_min(_LEAST_VARIANCE).sqrt()) @ directions.T
    return root


def fold(head: CoverHead, factor: Tensor) -> None:
    """Change a head so that its embeddings are those of before times a matrix, at unit length.

    Parameters
    ----------
    head : CoverHead
        In evaluation mode from now on: its last statistics are chosen to divide by 1.
    factor : float64 tensor, shape (D, D)
    """
    norm = head.embedding_norm
    assert norm.running_mean is not None  # for mypy: it tracks its statistics
    assert norm.running_var is not None
    deviation = (norm.running_var.double() + norm.eps).sqrt()
    factor = factor / factor.diagonal().mean()  # weights stay as large as they were
    scaled = factor / deviation
    with torch.no_grad():
        head.project.weight.copy_(scaled @ head.project.weight.double())
        norm.running_mean.copy_(scaled @ norm.running_mean.double())
        norm.running_var.fill_(1 - norm.eps)
