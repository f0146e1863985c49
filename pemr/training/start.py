"""What a fine-tuning starts from → the weights of its model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from torch import Tensor, nn

from pemr import weights
from pemr.config import Config, ModelConfig
from pemr.errors import CheckpointError
from pemr.model.checkpoint import load_trained
from pemr.model.cover import is_lower, load_shipped


class Tunable(Protocol):
    """What has an encoder and a head of its own."""

    encoder: nn.Module
    head: nn.Module


SHIPPED: Final = Path("shipped")


def continuing(config: Config, init: Path | None) -> Config:
    """Give a recipe the encoder of what it starts from.

    Parameters
    ----------
    config : Config
        Of the run that starts.
    init : Path or None
        As for `initialise`; None for a run that starts afresh.

    Returns
    -------
    Config

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or reads something else than the recipe gives.
    """
    if init is None:
        return config
    source = _start(init)[0]
    if type(source.front_end) is not type(config.front_end):
        raise CheckpointError(init, f"reads another front end than preset {config.preset!r} has")
    return replace(config, encoder=source.encoder)


def initialise(model: Tunable, init: Path, config: Config) -> None:
    """Take layers of a pretrained encoder, or encoder and head of a fine-tuning.

    Of a pretraining the layers that the recipe keeps are taken, without their batch
    statistics, which are of masked views; training measures them anew.

    Parameters
    ----------
    model : Module
        Takes the weights.
    init : Path
        Checkpoint, or `SHIPPED` for the weights that come with the package.
    config : Config
        Of the run that starts.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or holds another encoder or none.
    """
    source, stored = _start(init)
    if source.encoder != config.encoder:
        raise CheckpointError(init, f"holds another encoder than preset {config.preset!r} has")
    encoder, head = _part("encoder.", stored), _part("head.", stored)
    if not encoder:
        raise CheckpointError(init, "holds no encoder")
    if head:
        model.encoder.load_state_dict(encoder)
        model.head.load_state_dict(head)
        return
    if config.finetune.kept == "lower":
        lower = {name: value for name, value in encoder.items() if is_lower(name)}
        encoder = {**model.encoder.state_dict(), **lower}
    model.encoder.load_state_dict(encoder)
    for module in model.encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()


def _part(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _start(init: Path) -> tuple[ModelConfig, Mapping[str, Tensor]]:
    if init == SHIPPED:
        name = weights.SHIPPED
        return weights.describe(name).config, load_shipped(name).state_dict()
    stored = load_trained(init)
    return stored.config, stored.weights
