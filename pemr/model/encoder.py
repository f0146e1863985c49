"""Spectrogram → feature h, by whichever encoder a config asks for.

An encoder is a module with an attribute `dim` that maps (B, F, T) to (B, dim).

Letters: B batch, C channels, F frequency bins, T frames.
"""

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from pemr.config import FcnConfig, ModelConfig
from pemr.errors import CheckpointError
from pemr.model.checkpoint import load_trained
from pemr.model.cover import build_cover_encoder


def build_encoder(config: ModelConfig) -> nn.Module:
    """Build the encoder of a config with fresh weights.

    Parameters
    ----------
    config : ModelConfig
        Its `encoder` says which, its `front_end` the shape that it reads.

    Returns
    -------
    Module
        With an attribute `dim`, the length of its features.

    Raises
    ------
    ValueError
        If the pooling leaves nothing of the front end's shape.
    """
    if isinstance(config.encoder, FcnConfig):
        return FcnEncoder(config.front_end.shape, config.encoder)
    return build_cover_encoder(config.encoder)


def pretrained_encoder(checkpoint: Path) -> tuple[nn.Module, ModelConfig]:
    """Load the encoder of a checkpoint of pretraining, and nothing else of it.

    Parameters
    ----------
    checkpoint : Path
        Folder that pretraining wrote.

    Returns
    -------
    encoder : Module
        On the CPU.
    config : ModelConfig
        What it is, and what it reads.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or holds no encoder of its config.
    """
    stored = load_trained(checkpoint)
    encoder = build_encoder(stored.config)
    prefix = "encoder."
    weights = {
        name.removeprefix(prefix): value
        for name, value in stored.weights.items()
        if name.startswith(prefix)
    }
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(checkpoint, "holds no encoder of its own config") from error
    return encoder, stored.config


class FcnEncoder(nn.Module):
    """The fully convolutional network of the paper, after Choi et al.

    Parameters
    ----------
    shape : tuple of int
        Frequency bins F and frames T of what it reads.
    config : FcnConfig
        Channels and pooling of each stage.

    References
    ----------
    .. [1] Choi, Fazekas and Sandler, "Automatic tagging using deep
       convolutional neural networks", ISMIR 2016.
    """

    def __init__(self, shape: tuple[int, int], config: FcnConfig) -> None:
        super().__init__()
        n_bins, n_frames = shape
        stages: list[nn.Module] = []
        n_inputs = 1
        for n_channels, pool in zip(config.channels, config.pools, strict=True):
            stages.append(_stage(n_inputs, n_channels, pool))
            n_bins, n_frames, n_inputs = n_bins // pool[0], n_frames // pool[1], n_channels
        if not n_bins * n_frames:
            raise ValueError(f"FcnConfig.pools {config.pools} leave nothing of {shape}")
        self.input_norm = nn.BatchNorm2d(1)
        self.stages = nn.Sequential(*stages)
        self.dim = n_inputs * n_bins * n_frames

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encode spectrograms of the shape that the encoder was built for.

        Parameters
        ----------
        spectrogram : float tensor, shape (B, F, T)
            In dB.

        Returns
        -------
        float tensor, shape (B, dim)
            h of the paper: 512 values for 128 bins and 462 frames.
        """
        normed = self.input_norm(spectrogram[:, None])  # (B, 1, F, T)
        return cast(Tensor, self.stages(normed).flatten(1))


def _stage(n_inputs: int, n_outputs: int, pool: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_inputs, n_outputs, 3, padding=1),
        nn.BatchNorm2d(n_outputs),
        nn.ReLU(),
        nn.MaxPool2d(pool),
    )
