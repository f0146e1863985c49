"""Prepared recordings → what a probe reads of each clip: its pieces, or their features.

Letters: S pieces of a clip, F bins, T frames.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pemr.config import ModelConfig
from pemr.signal.crops import crop_length, pieces
from pemr.training.data import Prepared
from pemr.training.machine import Machine
from pemr.training.norms import pieces_of


class Source(Protocol):
    """Gives a head, or an encoder with its head, its input for each clip."""

    def n_places(self, clip: int) -> int:
        """Count the places that a piece of a clip can be taken from."""

    def piece(self, clip: int, place: int) -> Tensor:
        """Return one piece of a clip."""

    def whole(self, clip: int) -> Tensor:
        """Return all pieces of a clip."""


class Features:
    """Features of the frozen encoder, computed once."""

    def __init__(
        self,
        encoder: nn.Module,
        recordings: Sequence[Prepared],
        config: ModelConfig,
        machine: Machine,
    ) -> None:
        encoder.eval()
        with torch.no_grad(), machine.autocast():
            self._features: list[Tensor] = [
                encoder(pieces_of(recording, config).to(machine.device)).float()
                for recording in recordings
            ]

    def n_places(self, clip: int) -> int:
        """Count the places that a piece of a clip can be taken from."""
        return len(self._features[clip])

    def piece(self, clip: int, place: int) -> Tensor:
        """Return one piece of a clip."""
        return self._features[clip][place]

    def whole(self, clip: int) -> Tensor:
        """Return all pieces of a clip."""
        return self._features[clip]


class Spectrograms:
    """Pieces of the recordings themselves, for an encoder that learns too."""

    def __init__(
        self, recordings: Sequence[Prepared], config: ModelConfig, machine: Machine
    ) -> None:
        self._recordings = recordings
        self._config = config
        self._length = crop_length(config.front_end)
        self._device = machine.device

    def n_places(self, clip: int) -> int:
        """Count the places that a piece of a clip can be taken from."""
        return self._recordings[clip].length - self._length + 1

    def piece(self, clip: int, place: int) -> Tensor:
        """Return one piece of a clip."""
        stored = np.load(self._recordings[clip].cached, mmap_mode="r")
        crop = stored[..., place : place + self._length]
        return pieces(crop, self._config.front_end)[0].to(self._device)

    def whole(self, clip: int) -> Tensor:
        """Return all pieces of a clip."""
        return pieces_of(self._recordings[clip], self._config).to(self._device)
