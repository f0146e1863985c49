"""Corrupted frames → the frames as they were: the task that the transformer learns from.

Letters: B batch, F frequency bins, T frames.
"""

import torch
from torch import Generator, Tensor, nn

from pemr.config import PredictorConfig
from pemr.model.loss import huber
from pemr.model.transformer import FeedForward, FrameTransformer


class Predictor(nn.Module):
    """The predicting layer and its loss.

    Parameters
    ----------
    n_bins : int
        Size F of a frame.
    dropout : float
        Of the predicting layer.
    config : PredictorConfig
        Share of corrupted positions and sizes.
    """

    def __init__(self, n_bins: int, dropout: float, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        self.layer = FeedForward(n_bins, config.d_hidden, dropout)

    def forward(self, transformer: FrameTransformer, view: Tensor, generator: Generator) -> Tensor:
        """Corrupt a view, restore it, and measure how well, half of equation 10.

        Parameters
        ----------
        transformer : FrameTransformer
            The one that the mask uses.
        view : float tensor, shape (B, F, T)
            In dB.
        generator : Generator
            Of the CPU; decides what is corrupted.

        Returns
        -------
        float tensor, shape ()
            Mean over all values, of which only those at selected positions count; where
            each position is spoilt in its own way, mean over those, and what is to be
            restored learns nothing: of [CLS] it is what stands out most in all of the view.
        """
        sequence = transformer.sequence(view)  # (B, T + 1, F)
        is_alone = self.config.kind == "token"
        selected = torch.rand(sequence.shape[:2], generator=generator) < self.config.select
        selected[:, 0] |= is_alone
        selected = selected[..., None].to(sequence.device)
        spoilt = (corrupt_each if is_alone else corrupt)(sequence, selected, generator)
        target = standing_out(sequence, transformer.positions) if is_alone else sequence
        error = selected * (target - self.layer(transformer(spoilt)))
        mean = huber(error.float(), self.config.huber_delta).mean()
        return mean / selected.float().mean().clamp(min=1e-6) if is_alone else mean


def corrupt(sequence: Tensor, selected: Tensor, generator: Generator) -> Tensor:
    """Spoil the selected positions of a batch, all in the same way (paper.md §9).

    Parameters
    ----------
    sequence : float tensor, shape (B, T + 1, F)
        X of the paper.
    selected : bool tensor, shape (B, T + 1, 1)
        The positions to spoil, [CLS] included.
    generator : Generator
        Of the CPU.

    Returns
    -------
    float tensor, shape (B, T + 1, F)
        With probability 0.8 zeros at the selected positions, with 0.1 the
        content of one random position of the same item, with 0.1 unchanged.
    """
    way = float(torch.rand((), generator=generator))
    if way < 0.8:
        return sequence.masked_fill(selected, 0.0)
    if way < 0.9:
        position = int(torch.randint(sequence.shape[1], (), generator=generator))
        return torch.where(selected, sequence[:, position : position + 1], sequence)
    return sequence


def standing_out(sequence: Tensor, positions: Tensor) -> Tensor:
    """Put in place of [CLS] the largest value that any frame has in each dimension, detached.

    So that the attention of [CLS] goes to frames in which something stands out.

    Parameters
    ----------
    sequence : float tensor, shape (B, T + 1, F)
        Positions included.
    positions : float tensor, shape (T + 1, F)

    Returns
    -------
    float tensor, shape (B, T + 1, F)
    """
    frames = sequence.detach()[:, 1:]
    most = (frames - positions[1:]).amax(dim=1, keepdim=True)
    return torch.cat([most, frames], dim=1)


def corrupt_each(sequence: Tensor, selected: Tensor, generator: Generator) -> Tensor:
    """Spoil each selected position in a way of its own, as BERT does.

    Parameters and shapes are those of `corrupt`.

    Returns
    -------
    float tensor, shape (B, T + 1, F)
        A selected position holds zeros with probability 0.8, the content of a position
        of its own choice of the same item with 0.1, and is unchanged with 0.1.
    """
    n_items, n_positions, n_bins = sequence.shape
    ways = torch.rand((n_items, n_positions, 1), generator=generator).to(sequence.device)
    others = torch.randint(n_positions, (n_items, n_positions, 1), generator=generator)
    others = others.to(sequence.device).expand(-1, -1, n_bins)
    spoilt = torch.where(ways < 0.8, 0.0, sequence.gather(1, others))
    return torch.where(selected & (ways < 0.9), spoilt, sequence)
