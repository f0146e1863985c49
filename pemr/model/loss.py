"""Losses as pure functions.

Letters: B batch, D projection or embedding dimensions.
"""

import torch
from torch import Tensor


def standardise(projection: Tensor) -> Tensor:
    """Give each dimension mean 0 and variance 1 over the batch, equation 7.

    Parameters
    ----------
    projection : float tensor, shape (B, D)
        z of the paper.

    Returns
    -------
    float tensor, shape (B, D)
        With the biased variance and 1e-5 added to it, as batch normalisation does.
    """
    variance, mean = torch.var_mean(projection, dim=0, correction=0)
    return (projection - mean) / (variance + 1e-5).sqrt()


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlate every dimension of one batch with every dimension of another, equation 7.

    Parameters
    ----------
    first, second : float tensors, shape (B, D)
        Projections of two views of the same recordings.

    Returns
    -------
    float tensor, shape (D, D)
    """
    return standardise(first).T @ standardise(second) / len(first)


def positive_loss(correlations: Tensor, off_diagonal: float) -> Tensor:
    """Ask of two views that each dimension agrees and no two do, equation 8.

    Parameters
    ----------
    correlations : float tensor, shape (D, D)
        Of the first view with the positive one.
    off_diagonal : float
        Weight of the second demand, λ2.

    Returns
    -------
    float tensor, shape ()

    References
    ----------
    .. [1] Zbontar et al., "Barlow Twins: self-supervised learning via
       redundancy reduction", ICML 2021.
    """
    diagonal = correlations.diagonal()
    others = correlations.square().sum() - diagonal.square().sum()
    return (1 - diagonal).square().sum() + off_diagonal * others


def negative_loss(correlations: Tensor) -> Tensor:
    """Ask that the negative view is uncorrelated in each dimension, equation 9 without λ1.

    Parameters
    ----------
    correlations : float tensor, shape (D, D)
        Of the first view with the negative one.

    Returns
    -------
    float tensor, shape ()
    """
    return correlations.diagonal().square().sum()


def huber(error: Tensor, delta: float) -> Tensor:
    """Square small errors and take large ones as they are, equation 10.

    Parameters
    ----------
    error : float tensor
        Any shape.
    delta : float
        Where small ends.

    Returns
    -------
    float tensor
        Same shape.
    """
    size = error.abs()
    return torch.where(size < delta, error.square() / 2, delta * size - delta**2 / 2)


def clique_loss(embeddings: Tensor, cliques: Tensor, temperature: float) -> Tensor:
    """Ask that crops of one clique are closer to each other than to any others.

    The contrastive loss with several positives. Each pair of a clique is told
    apart from all crops of other cliques; the other pairs of the same clique
    stay out of its denominator, so that they do not push each other away.

    Parameters
    ----------
    embeddings : float tensor, shape (B, D)
        Unit vectors.
    cliques : int64 tensor, shape (B,)
        Which clique each is of.
    temperature : float
        By which cosines are divided.

    Returns
    -------
    float tensor, shape ()
        Mean over all ordered pairs of a clique.

    References
    ----------
    .. [1] Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
    .. [2] Yeh et al., "Decoupled contrastive learning", ECCV 2022.
    """
    logits = embeddings @ embeddings.T / temperature  # (B, B)
    is_same = cliques[:, None] == cliques[None]
    others = torch.logsumexp(logits.masked_fill(is_same, -torch.inf), 1, keepdim=True)
    is_pair = is_same & ~torch.eye(len(cliques), dtype=torch.bool, device=cliques.device)
    return (torch.logaddexp(logits, others) - logits)[is_pair].mean()


def agreement(embeddings: Tensor, cliques: Tensor) -> Tensor:
    """Measure how often the nearest crop is of the same clique.

    Parameters
    ----------
    embeddings : float tensor, shape (B, D)
        Unit vectors.
    cliques : int64 tensor, shape (B,)
        Which clique each is of.

    Returns
    -------
    float tensor, shape ()
        In 0..1.
    """
    cosines = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
    return (cliques[cosines.argmax(1)] == cliques).float().mean()
