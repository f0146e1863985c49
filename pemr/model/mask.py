"""Frame importance → positive and negative view.

The frames of the second view that the [CLS] queries of both views attend to
least are inessential. The positive view keeps the others, the negative view
keeps only these; what is not kept is replaced by one learned frame.

Letters: B batch, F frequency bins, T frames, H heads.
"""

import torch
from torch import Tensor, nn

from pemr.model.transformer import FrameTransformer, averaged


def importance(transformer: FrameTransformer, first: Tensor, second: Tensor) -> Tensor:
    """Score the frames of the second view, equations 1 to 3.

    Parameters
    ----------
    transformer : FrameTransformer
        Shared by both views; gets no gradient from here.
    first, second : float tensors, shape (B, F, T)
        Two views of the same recordings, in dB.

    Returns
    -------
    float tensor, shape (B, T)
        How much both [CLS] queries attend to each frame, mean over the heads;
        sums to 2 over the frames. Of tokens in dB, positions have a say in it, and
        dropout while training, as in the authors' code; of profiles neither has, and
        the scores are averaged over a second, so that moments are hidden.
    """
    was_training, is_faithful = transformer.training, transformer.tokens == "decibels"
    transformer.train(was_training and is_faithful)
    with torch.no_grad():
        views = (transformer.sequence(view, is_placed=is_faithful) for view in (first, second))
        (first_query, _), (second_query, keys) = map(transformer.queries_and_keys, views)
    transformer.train(was_training)
    scores = attention(first_query, second_query, keys)
    return scores if is_faithful else averaged(scores)


def attention(first_query: Tensor, second_query: Tensor, keys: Tensor) -> Tensor:
    """Add the attention of two queries to the same keys, mean over the heads.

    Parameters
    ----------
    first_query, second_query : float tensors, shape (B, H, d)
        Of [CLS] in each view.
    keys : float tensor, shape (B, H, T, d)
        Of the second view's frames.

    Returns
    -------
    float tensor, shape (B, T)
    """
    queries = torch.stack([first_query, second_query], dim=2)  # (B, H, 2, d)
    scores = queries @ keys.transpose(2, 3) / keys.shape[-1] ** 0.5  # (B, H, 2, T)
    both: Tensor = scores.float().softmax(dim=-1).sum(dim=2)
    return both.mean(dim=1)


def crucial_frames(scores: Tensor, ratio: float) -> Tensor:
    """Tell crucial frames from inessential ones, equation 4.

    Parameters
    ----------
    scores : float tensor, shape (B, T)
        From `importance`.
    ratio : float
        Share of frames that are inessential.

    Returns
    -------
    bool tensor, shape (B, T)
        False for exactly ⌊ratio · T⌋ frames of each item, those of least score.
    """
    n_inessential = int(ratio * scores.shape[1])
    least = scores.argsort(dim=1, stable=True)[:, :n_inessential]
    return torch.ones_like(scores, dtype=torch.bool).scatter(1, least, value=False)


class FrameMask(nn.Module):
    """A spectrogram and its crucial frames → positive and negative view, equation 5.

    Parameters
    ----------
    n_bins : int
        Size F of a frame.
    level_db : float
        Mean of [MASK] before it is learned.
    """

    def __init__(self, n_bins: int, level_db: float = 0.0) -> None:
        super().__init__()
        self.filler = nn.Parameter(level_db + torch.randn(n_bins))  # [MASK], in dB

    def forward(self, spectrogram: Tensor, is_crucial: Tensor) -> tuple[Tensor, Tensor]:
        """Replace whole frames.

        Parameters
        ----------
        spectrogram : float tensor, shape (B, F, T)
            In dB.
        is_crucial : bool tensor, shape (B, T)
            From `crucial_frames`.

        Returns
        -------
        positive, negative : float tensors, shape (B, F, T)
            Every frame is the spectrogram's in one and [MASK] in the other.
        """
        filler = self.filler[:, None]
        is_crucial = is_crucial[:, None]
        positive = torch.where(is_crucial, spectrogram, filler)
        negative = torch.where(is_crucial, filler, spectrogram)
        return positive, negative
