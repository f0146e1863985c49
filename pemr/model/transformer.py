"""Spectrogram frames → contextual frames: the transformer that the mask and the predictor share.

A token has F dimensions. It is the frame as it is, in dB, or its profile: how far its cells stand
out of the average of their crop, in order of size, which no transposition changes.

Letters: B batch, F frequency bins (the transformer's width), T frames, H heads.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from pemr.config import MaskConfig
from pemr.model.cover import contrast

_SMOOTH = 5  # frames


class FrameTransformer(nn.Module):
    """[CLS] and frames → layers of attention, post-norm (paper.md §6).

    Parameters
    ----------
    n_bins : int
        Size F of a frame.
    n_frames : int
        Number T of frames.
    config : MaskConfig
        Layers, heads and sizes.
    """

    positions: Tensor

    def __init__(self, n_bins: int, n_frames: int, config: MaskConfig) -> None:
        super().__init__()
        self.tokens = config.tokens
        self.cls = nn.Parameter(torch.randn(n_bins))
        self.register_buffer("positions", sinusoids(n_frames + 1, n_bins), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(n_bins, config) for _ in range(config.n_layers))
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def sequence(self, spectrogram: Tensor, *, is_placed: bool = True) -> Tensor:
        """Prepend [CLS] to the frames and add the positions.

        Parameters
        ----------
        spectrogram : float tensor, shape (B, F, T)
            In dB.
        is_placed : bool
            Whether positions are added.

        Returns
        -------
        float tensor, shape (B, T + 1, F)
            X of the paper.
        """
        if self.tokens == "profile":
            spectrogram = profile(spectrogram)
        frames = spectrogram.transpose(1, 2)  # (B, T, F)
        cls = self.cls.expand(len(frames), 1, -1)
        sequence = torch.cat([cls, frames], dim=1)
        return sequence + self.positions if is_placed else sequence

    def forward(self, sequence: Tensor) -> Tensor:
        """Run all layers, as the predictor does.

        Parameters
        ----------
        sequence : float tensor, shape (B, T + 1, F)
            From `sequence`.

        Returns
        -------
        float tensor, shape (B, T + 1, F)
        """
        hidden: Tensor = self.dropout(sequence)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden

    def queries_and_keys(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Run all layers but the last, and project for the attention of the last.

        Parameters
        ----------
        sequence : float tensor, shape (B, T + 1, F)
            From `sequence`.

        Returns
        -------
        query of [CLS] : float tensor, shape (B, H, d)
        keys of the frames : float tensor, shape (B, H, T, d)
        """
        hidden: Tensor = self.dropout(sequence)
        for layer in self.layers[:-1]:
            hidden = layer(hidden)
        last = cast(Layer, self.layers[-1])
        return last.query_heads(hidden[:, :1])[:, :, 0], last.key_heads(hidden[:, 1:])


class Layer(nn.Module):
    """Attention, then a feed-forward block, each added to its input and normalised."""

    def __init__(self, n_bins: int, config: MaskConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        width = config.n_heads * config.d_key
        self.query = nn.Linear(n_bins, width, bias=False)
        self.key = nn.Linear(n_bins, width, bias=False)
        self.value = nn.Linear(n_bins, width, bias=False)
        self.joined = nn.Linear(width, n_bins, bias=False)
        self.attention_norm = FrameNorm(n_bins)
        self.feed_forward = FeedForward(n_bins, config.d_feedforward, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T + 1, F) to the same shape."""
        attended = nn.functional.scaled_dot_product_attention(
            self.query_heads(hidden),
            self.key_heads(hidden),
            self._heads(self.value(hidden)),
            dropout_p=self.dropout.p if self.training else 0.0,
        )  # (B, H, T + 1, d)
        joined = self.joined(attended.transpose(1, 2).flatten(2))
        normed = self.attention_norm(hidden + self.dropout(joined))
        output: Tensor = self.feed_forward(normed)
        return output

    def query_heads(self, hidden: Tensor) -> Tensor:
        """Project (B, T, F) to the queries of each head, (B, H, T, d)."""
        return self._heads(self.query(hidden))

    def key_heads(self, hidden: Tensor) -> Tensor:
        """Project (B, T, F) to the keys of each head, (B, H, T, d)."""
        return self._heads(self.key(hidden))

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:2], self.n_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Position-wise ReLU block with residual and normalisation; also the predicting layer.

    Parameters
    ----------
    n_bins : int
        Size F of a frame.
    d_hidden : int
        Size of the hidden layer.
    dropout : float
        Probability of dropping a value, within the block and at its end.
    """

    def __init__(self, n_bins: int, d_hidden: int, dropout: float) -> None:
        super().__init__()
        self.widen = nn.Linear(n_bins, d_hidden)
        self.narrow = nn.Linear(d_hidden, n_bins)
        self.norm = FrameNorm(n_bins)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, F) to the same shape."""
        inner = self.dropout(torch.relu(self.widen(hidden)))
        output: Tensor = self.norm(hidden + self.dropout(self.narrow(inner)))
        return output


class FrameNorm(nn.Module):
    """Normalise each frame by its mean and sample standard deviation plus 1e-6 (paper.md §6)."""

    def __init__(self, n_bins: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_bins))
        self.shift = nn.Parameter(torch.zeros(n_bins))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (..., F) to the same shape."""
        deviation, mean = torch.std_mean(hidden, dim=-1, keepdim=True)
        return self.scale * (hidden - mean) / (deviation + 1e-6) + self.shift


def profile(spectrogram: Tensor) -> Tensor:
    """Say of each frame how much stands out, and not in which key, (B, F, T) in dB to the same.

    Levels are averaged over a second first, so that one frame's noise decides nothing.
    """
    return contrast(averaged(spectrogram))[:, 0].sort(dim=1).values


def averaged(values: Tensor) -> Tensor:
    """Average over a second around each frame, (..., T) to the same."""
    return nn.functional.avg_pool1d(
        values, _SMOOTH, stride=1, padding=_SMOOTH // 2, count_include_pad=False
    )


def sinusoids(n_positions: int, width: int) -> Tensor:
    """Make the fixed positions of the transformer.

    Parameters
    ----------
    n_positions : int
        Length of the sequence.
    width : int
        Dimensions of a token; even ones are sines, odd ones cosines.

    Returns
    -------
    float32 tensor, shape (n_positions, width)

    References
    ----------
    .. [1] Vaswani et al., "Attention is all you need", NIPS 2017, section 3.5.
    """
    position = torch.arange(n_positions, dtype=torch.float64)[:, None]
    pair = torch.arange(width) // 2 * 2
    angle = position * torch.exp(-math.log(10_000.0) / width * pair)
    is_even = torch.arange(width) % 2 == 0
    return torch.where(is_even, angle.sin(), angle.cos()).float()
