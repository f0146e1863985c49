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
            Mean over all values, of which only those at selected positions count.
        """
        sequence = transformer.sequence(view)  # (B, T + 1, F)
        selected = torch.rand(sequence.shape[:2], generator=generator) < self.config.select
        selected = selected[..., None].to(sequence.device)
        restored = self.layer(transformer(corrupt(sequence, selected, generator)))
        error = selected * (sequence - restored)
        return huber(error.float(), self.config.huber_delta).mean()


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
