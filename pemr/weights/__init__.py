"""The weights that come with the package: half precision, read without a network.

Each name has two files: `<name>.safetensors`, and `<name>.json` with the config
they belong to and where they come from. README.md is their card.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pemr.config import FcnConfig, ModelConfig, model_from_json

SHIPPED: Final = "cover"


@dataclass(frozen=True)
class WeightsCard:
    """What is known of weights without loading them.

    Parameters
    ----------
    config : ModelConfig
        What they are the weights of; how they were trained is not read.
    hash : str
        SHA-256 of the file, 64 hexadecimal digits.
    provenance : dict
        Step, data fingerprint, commit, date, versions.
    ranking : dict
        What was measured to rank best with them, as plain values; empty where nothing was.
    """

    config: ModelConfig
    hash: str
    provenance: dict[str, Any]
    ranking: dict[str, Any] = field(default_factory=dict)

    @property
    def n_dims(self) -> int:
        """Length D of an embedding."""
        encoder = self.config.encoder
        return 0 if isinstance(encoder, FcnConfig) else encoder.n_dims

    @property
    def reads_harmony(self) -> bool:
        """Whether the encoder reads harmony beside the spectrogram."""
        return self.config.reads_harmony


@cache
def describe(name: str) -> WeightsCard:
    """Read what is known of the shipped weights of a name.

    Parameters
    ----------
    name : str
        For example `cover`.

    Returns
    -------
    WeightsCard
    """
    stored = json.loads((resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
    return WeightsCard(
        model_from_json(stored["config"]),
        stored["sha256"],
        stored["provenance"],
        stored.get("ranking", {}),
    )


def load_arrays(name: str) -> dict[str, NDArray[Any]]:
    """Load the shipped arrays of a name.

    Parameters
    ----------
    name : str
        For example `cover`, or `harmony`, which has no config.

    Returns
    -------
    dict
        In single precision, whole numbers as they are stored.
    """
    from safetensors.numpy import load

    stored = load((resources.files(__name__) / f"{name}.safetensors").read_bytes())
    return {
        key: value.astype(np.float32) if value.dtype.kind == "f" else value
        for key, value in stored.items()
    }
