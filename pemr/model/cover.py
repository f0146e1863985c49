"""Semitone spectrogram → one unit vector that says which work is played.

A transposition moves a semitone spectrogram up or down. The encoder folds it to
twelve pitch classes, keeping octaves apart as channels; every layer after that
treats the pitch classes as a circle and is equivariant to a turn of it. Harmony, where a
recording has it, is three more pictures on that circle. Pooling
over the whole circle then makes the feature invariant. So transposition need not
be learnt, but for what crosses an octave's edge. Convolutions around the circle
are computed as products of Fourier coefficients, with a sixth of the operations.

Letters: B batch, C channels, F frequency bins (84), T frames, D embedding.
"""

import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pemr import weights
from pemr.config import CoverConfig, FcnConfig, ModelConfig, PairConfig
from pemr.errors import CheckpointError
from pemr.model.checkpoint import load_trained
from pemr.model.inference import N_BINS, N_PITCH_CLASSES, NEIGHBOURHOOD, POWER_FLOOR, RANGE_DB

_N_OCTAVES = 7
_N_PICTURES = 3  # of harmony: pitch classes, basses, roots
_UPPER = frozenset({"late", "last"})  # layers


def contrast(spectrogram: Tensor) -> Tensor:
    """Make a segment independent of level, equalisation and dynamic range.

    Two pictures: how each cell stands out of the smoothed average spectrum of
    its segment, and how it stands out of its neighbours in its own frame.

    Parameters
    ----------
    spectrogram : float tensor, shape (B, F, T)
        In dB.

    Returns
    -------
    float tensor, shape (B, 2, F, T)
        Each picture with unit standard deviation.
    """
    loudest = spectrogram.amax((1, 2), keepdim=True)
    heard = torch.maximum(spectrogram, loudest - RANGE_DB)
    over_average = heard - _smooth(heard.mean(2, keepdim=True))
    over_average = over_average - over_average.mean((1, 2), keepdim=True)
    over_neighbours = heard - _smooth(heard)
    pictures = torch.stack([over_average, over_neighbours], 1)
    return pictures / (pictures.std((2, 3), keepdim=True) + 1e-3)


def _smooth(spectrogram: Tensor) -> Tensor:
    """Average over neighbouring bins, (B, F, T) to the same."""
    pooled = functional.avg_pool1d(
        spectrogram.transpose(1, 2),
        NEIGHBOURHOOD,
        stride=1,
        padding=NEIGHBOURHOOD // 2,
        count_include_pad=False,
    )
    return pooled.transpose(1, 2)


def circle_basis() -> Tensor:
    """Return the real Fourier basis of functions on the circle of pitch classes.

    Returns
    -------
    float tensor, shape (12, 12)
        Orthonormal rows: the mean, cosine and sine of 1 to 5 turns, and the
        alternation.
    """
    place = torch.arange(N_PITCH_CLASSES) * (2 * math.pi / N_PITCH_CLASSES)
    turns = [wave(turn * place) for turn in range(1, 6) for wave in (torch.cos, torch.sin)]
    rows = torch.stack([torch.ones(N_PITCH_CLASSES), *turns, torch.cos(6 * place)])
    return functional.normalize(rows, dim=1)


class CircleConv(nn.Module):
    """A convolution over all of the circle of pitch classes, through its Fourier coefficients.

    A convolution over the whole circle is a product of matrices for each
    coefficient: two real ones, and five complex ones, each as a real one of
    twice the size.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    """

    basis: Tensor

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_inputs * N_PITCH_CLASSES)
        shape = (n_outputs, n_inputs, N_PITCH_CLASSES, 1)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.register_buffer("basis", circle_basis(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, 12, T) to (B, n_outputs, 12, T)."""
        n_batch, n_channels, _, n_frames = x.shape
        n_outputs, n_places = len(self.weight), n_batch * n_frames
        mean, turns, alternation = self._matrices()
        x = torch.einsum("kp,bcpt->kbtc", self.basis, x)
        x = x.reshape(N_PITCH_CLASSES, n_places, n_channels)
        pairs = x[1:11].reshape(5, 2, n_places, n_channels).transpose(1, 2)
        turned = torch.bmm(pairs.reshape(5, n_places, 2 * n_channels), turns)
        turned = turned.reshape(5, n_places, 2, n_outputs).transpose(1, 2)
        y = torch.cat(
            [
                (x[0] @ mean)[None],
                turned.reshape(10, n_places, n_outputs),
                (x[11] @ alternation)[None],
            ]
        ).reshape(N_PITCH_CLASSES, n_batch, n_frames, n_outputs)
        return torch.einsum("kp,kbtc->bptc", self.basis, y).permute(0, 3, 1, 2)

    def _matrices(self) -> tuple[Tensor, Tensor, Tensor]:
        """Turn the kernel into what each coefficient is multiplied with, inputs by outputs."""
        kernel = torch.einsum("kq,ocq->kco", self.basis, self.weight[..., 0])
        kernel = kernel * math.sqrt(N_PITCH_CLASSES)
        cosine, sine = kernel[1:11:2] / math.sqrt(2), kernel[2:11:2] / math.sqrt(2)
        rows = [torch.cat([cosine, -sine], 2), torch.cat([sine, cosine], 2)]
        return kernel[0], torch.cat(rows, 1), kernel[11]


class CircleBlock(nn.Module):
    """Look around the circle of pitch classes, then along time.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels; where they agree, the input is added to the output.
    n_taps : int
        Frames looked at; odd.
    dilation : int
        Frames between the taps.
    """

    def __init__(self, n_inputs: int, n_outputs: int, n_taps: int = 5, dilation: int = 1) -> None:
        super().__init__()
        self.around = CircleConv(n_inputs, n_outputs)
        self.along = nn.Conv2d(
            n_outputs,
            n_outputs,
            (1, n_taps),
            padding=(0, dilation * (n_taps // 2)),
            dilation=(1, dilation),
            bias=False,
        )
        self.norm = nn.BatchNorm2d(n_outputs)
        self.is_residual = n_inputs == n_outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, 12, T) to (B, n_outputs, 12, T)."""
        y = self.norm(self.along(self.around(x)))  # (B, n_outputs, 12, T)
        return functional.relu(x + y if self.is_residual else y)


class CoverEncoder(nn.Module):
    """Segments of any length to features that do not depend on key.

    Parameters
    ----------
    config : CoverConfig
        Its sizes.
    """

    def __init__(self, config: CoverConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, config.n_stem, 5, stride=(1, 2), padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(config.n_stem)
        self.n_harmony = config.n_harmony
        if config.n_harmony:
            self.harmony_stem = nn.Conv2d(
                _N_PICTURES, config.n_harmony, (1, 5), stride=(1, 2), padding=(0, 2), bias=False
            )
            self.harmony_norm = nn.BatchNorm2d(config.n_harmony)
        n_folded = config.n_stem * _N_OCTAVES + config.n_harmony
        self.early = CircleBlock(n_folded, config.n_narrow, n_taps=3)
        self.late = nn.Sequential(
            CircleBlock(config.n_narrow, config.n_wide),
            *(CircleBlock(config.n_wide, config.n_wide, dilation=d) for d in config.dilations),
        )
        self.last = nn.Conv2d(config.n_wide, config.dim, 1)
        self.dim = config.dim

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encode segments.

        Parameters
        ----------
        spectrogram : float tensor, shape (B, F, T)
            84 semitones in dB, 5 frames a second; 36 rows of harmony in 0..1 may
            follow, which an encoder without channels for it does not read.

        Returns
        -------
        float tensor, shape (B, dim)
            Root mean square over pitch classes and time.
        """
        harmony = spectrogram[:, N_BINS:]
        x = contrast(spectrogram[:, :N_BINS]).contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.stem_norm(self.stem(x)))  # (B, C, 84, T / 2)
        n_batch, n_channels, _, n_frames = x.shape
        folded = x.reshape(n_batch, n_channels * _N_OCTAVES, N_PITCH_CLASSES, n_frames)
        if self.n_harmony:
            folded = torch.cat([folded, self._heard(harmony, folded)], 1)
        y = self.early(folded.contiguous(memory_format=torch.channels_last))
        y = functional.avg_pool2d(y, (1, 2))  # (B, C, 12, T / 4)
        y = functional.relu(self.last(self.late(y))).float()
        return (y.square().mean((2, 3)) + POWER_FLOOR).sqrt()

    def _heard(self, harmony: Tensor, beside: Tensor) -> Tensor:
        """Map harmony (B, 36, T) to (B, n_harmony, 12, T / 2); (B, 0, T) is as if none sounded.

        What is not there leaves the batch statistics as they are.
        """
        norm = self.harmony_norm
        if harmony.shape[1]:
            pictures = harmony.reshape(harmony.shape[0], _N_PICTURES, N_PITCH_CLASSES, -1)
            return functional.relu(norm(self.harmony_stem(pictures)))
        assert norm.running_mean is not None  # for mypy: it tracks its statistics
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        quiet = functional.relu(norm.bias - norm.running_mean * scale).to(beside.dtype)
        return quiet[None, :, None, None].expand(beside.shape[0], -1, *beside.shape[2:])


class PairEncoder(nn.Module):
    """Two cover encoders that hear the same segments; their features side by side.

    Parameters
    ----------
    config : PairConfig
        Of both.
    """

    def __init__(self, config: PairConfig) -> None:
        super().__init__()
        self.first = CoverEncoder(config.first)
        self.second = CoverEncoder(config.second)
        self.n_harmony = config.n_harmony
        self.dim = self.first.dim + self.second.dim

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map segments (B, F, T), as `CoverEncoder` reads them, to (B, dim)."""
        return torch.cat([self.first(spectrogram), self.second(spectrogram)], dim=1)


def build_cover_encoder(config: CoverConfig | PairConfig) -> CoverEncoder | PairEncoder:
    """Build a cover encoder, or two of them side by side, with fresh weights."""
    return PairEncoder(config) if isinstance(config, PairConfig) else CoverEncoder(config)


def is_lower(name: str) -> bool:
    """Return whether a parameter of a cover encoder is in the layers below `late`."""
    return _UPPER.isdisjoint(name.split("."))


class CoverHead(nn.Module):
    """Features to unit vectors.

    Parameters
    ----------
    dim : int
        Of the features.
    n_dims : int
        D of the embedding.
    """

    def __init__(self, dim: int, n_dims: int) -> None:
        super().__init__()
        self.feature_norm = nn.BatchNorm1d(dim)
        self.project = nn.Linear(dim, n_dims, bias=False)
        self.embedding_norm = nn.BatchNorm1d(n_dims, affine=False)

    def forward(self, feature: Tensor) -> Tensor:
        """Map (B, dim) to unit vectors (B, D), in full precision wherever that is."""
        if torch.is_autocast_enabled(feature.device.type):
            with torch.autocast(feature.device.type, enabled=False):
                return self._embedded(feature.float())
        return self._embedded(feature)

    def _embedded(self, feature: Tensor) -> Tensor:
        projected = self.embedding_norm(self.project(self.feature_norm(feature)))
        return functional.normalize(projected, dim=1)


class CoverModel(nn.Module):
    """An encoder and its head.

    Parameters
    ----------
    encoder : Module
        Maps (B, F, T) to (B, dim) and has an attribute `dim`.
    n_dims : int
        D of the embedding.
    """

    def __init__(self, encoder: nn.Module, n_dims: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.n_dims = n_dims
        self.head = CoverHead(cast(int, encoder.dim), n_dims)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Embed segments, (B, F, T) in dB to unit vectors (B, D)."""
        return cast(Tensor, self.head(self.encoder(spectrogram)))


def build_model(config: ModelConfig) -> CoverModel:
    """Build what a config with a cover encoder describes, with fresh weights.

    Raises
    ------
    ValueError
        If the config's encoder is of another kind.
    """
    if isinstance(config.encoder, FcnConfig):
        raise ValueError(f"preset {config.preset!r} has no cover encoder")  # noqa: TRY004 (a value)
    return CoverModel(build_cover_encoder(config.encoder), config.encoder.n_dims)


def load_shipped(name: str) -> CoverModel:
    """Load shipped weights, ready to embed.

    Parameters
    ----------
    name : str
        For example `cover`.

    Returns
    -------
    CoverModel
        In evaluation mode and full precision, on the CPU.
    """
    model = build_model(weights.describe(name).config)
    stored = weights.load_arrays(name)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in stored.items()})
    return model.eval()


def load_model(checkpoint: Path) -> CoverModel:
    """Load a fine-tuned cover encoder with its head.

    Parameters
    ----------
    checkpoint : Path
        Folder that `pemr finetune` wrote.

    Returns
    -------
    CoverModel
        In evaluation mode, on the CPU.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or holds something else.
    """
    stored = load_trained(checkpoint)
    try:
        model = build_model(stored.config)
        model.load_state_dict(stored.weights)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(checkpoint, "holds no fine-tuned cover encoder") from error
    return model.eval()
