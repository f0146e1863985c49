"""Two views of a batch of recordings → PEMR's losses.

The first view goes to the encoder as it is, the second one masked into its
positive and its negative version. One encoder and one projector serve all three.

Letters: B batch, F frequency bins, T frames, D projection dimensions.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor, nn

from pemr.config import Config
from pemr.model.cover import CoverHead, CoverModel, build_model
from pemr.model.encoder import build_encoder
from pemr.model.loss import correlation, negative_loss, positive_loss
from pemr.model.mask import FrameMask, crucial_frames, importance
from pemr.model.predictor import Predictor
from pemr.model.transformer import FrameTransformer


@dataclass(frozen=True)
class Losses:
    """The parts of equation 11, each a float tensor of shape ()."""

    total: Tensor
    positive: Tensor
    negative: Tensor  # before λ1
    prediction: Tensor  # before β


class Pemr(nn.Module):
    """Encoder, projector, mask and predictor, trained together.

    Parameters
    ----------
    config : Config
        Any preset; the front end gives F and T.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        n_bins, n_frames = config.front_end.shape
        self.encoder = build_encoder(config)
        self.projector = _projector(
            cast(int, self.encoder.dim), config.loss.d_hidden, config.loss.d_projection
        )
        self.transformer = FrameTransformer(n_bins, n_frames, config.mask)
        self.predictor = Predictor(n_bins, config.mask.dropout, config.predictor)
        self.mask = FrameMask(n_bins, config.mask.filler_db)

    def forward(
        self, first: Tensor, second: Tensor, generator: Generator
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Project both views and predict their frames, equations 1 to 6 and 10.

        Parameters
        ----------
        first, second : float tensors, shape (B, F, T)
            Two views of the same recordings, in dB.
        generator : Generator
            Of the CPU; decides what the predictor has to restore.

        Returns
        -------
        projections : three float tensors, shape (B, D)
            Of the first view, the positive and the negative one.
        prediction loss : float tensor, shape ()
        """
        positive, negative = self.masked_views(first, second, generator)
        projections = (
            self.projector(self.encoder(first)),
            self.projector(self.encoder(positive)),
            self.projector(self.encoder(negative)),
        )
        prediction = sum(
            (self.predictor(self.transformer, view, generator) for view in (first, second)),
            start=first.new_zeros(()),
        )
        return projections, prediction

    def masked_views(
        self, first: Tensor, second: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Mask the second view, equations 1 to 5.

        Parameters
        ----------
        first, second : float tensors, shape (B, F, T)
            Two views of the same recordings, in dB.
        generator : Generator
            Of the CPU; used only where the config asks for a random mask.

        Returns
        -------
        positive, negative : float tensors, shape (B, F, T)
        """
        config = self.config.mask
        if config.kind == "random":
            shape = (len(second), second.shape[2])
            scores = torch.rand(shape, generator=generator).to(second.device)
        else:
            scores = importance(self.transformer, first, second)
        views: tuple[Tensor, Tensor] = self.mask(second, crucial_frames(scores, config.ratio))
        return views

    def losses(self, projections: tuple[Tensor, Tensor, Tensor], prediction: Tensor) -> Losses:
        """Weigh the losses, equations 7 to 9 and 11.

        Parameters
        ----------
        projections, prediction
            What `forward` gave; of several processes, their projections joined.

        Returns
        -------
        Losses
        """
        weights = self.config.loss
        first, positive, negative = (projection.float() for projection in projections)
        agreement = positive_loss(correlation(first, positive), weights.off_diagonal)
        leak = negative_loss(correlation(first, negative))
        total = agreement + weights.negative * leak + weights.prediction * prediction
        return Losses(total, agreement, leak, prediction)


class PemrWithHead(Pemr):
    """Every part of PEMR, and the head of the cover model on the same encoder.

    Parameters
    ----------
    config : Config
        With a cover encoder.

    Raises
    ------
    ValueError
        If the config's encoder is of another kind.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.encoder.kind == "fcn":
            raise ValueError(f"preset {config.preset!r} has no cover encoder")
        self.head = CoverHead(cast(int, self.encoder.dim), config.encoder.n_dims)

    def forward(  # type: ignore[override]
        self, crops: Tensor, views: tuple[Tensor, Tensor], generator: Generator
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
        """Embed crops, (B, F, T) to (B, D), and return what PEMR makes of two views."""
        return self.head(self.encoder(crops)), super().forward(*views, generator)

    def tuned(self) -> CoverModel:
        """Return a copy of what embeds, and nothing else."""
        model = build_model(self.config).to(next(self.parameters()).device)
        model.encoder.load_state_dict(self.encoder.state_dict())
        model.head.load_state_dict(self.head.state_dict())
        return model


def _projector(d_feature: int, d_hidden: int, d_projection: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(d_feature, d_hidden, bias=False),
        nn.ReLU(),
        nn.Linear(d_hidden, d_projection, bias=False),
    )
