"""Two trained cover models → one, whose embeddings are those of both side by side.

What one encoder mistakes, another that was trained otherwise often does not. The whole is then
whitened (`whiten`), so that both count alike.

Letters: D embedding of a member.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from pemr.config import CoverConfig, ModelConfig, PairConfig
from pemr.errors import TrainingError
from pemr.model.checkpoint import Checkpoint, load_trained, save
from pemr.model.cover import CoverHead, CoverModel, build_model, load_model
from pemr.presets import cover_harmony
from pemr.training.cliques import Batch, CliqueBatches, Member, fingerprint
from pemr.training.machine import Machine
from pemr.training.whiten import N_CROPS, whiten


def pair_of(first: ModelConfig, second: ModelConfig) -> ModelConfig:
    """Give the config of two models as one.

    Parameters
    ----------
    first, second : ModelConfig
        Of cover encoders with one front end.

    Returns
    -------
    ModelConfig

    Raises
    ------
    TrainingError
        If they cannot be joined.
    """
    one, other = first.encoder, second.encoder
    if not (isinstance(one, CoverConfig) and isinstance(other, CoverConfig)):
        raise TrainingError("only two cover encoders can be joined, neither of them a pair")
    if first.front_end != second.front_end:
        raise TrainingError("the two encoders differ in front end")
    pair = PairConfig(first=one, second=other)
    return ModelConfig(preset="cover-pair", front_end=first.front_end, encoder=pair)


def join_checkpoints(
    first: Path, second: Path, cliques: dict[str, list[Member]], out: Path, machine: Machine
) -> None:
    """Join two checkpoints, and write a third.

    Parameters
    ----------
    first, second : Path
        Folders that `pemr finetune` wrote.
    cliques : dict of str to list of Member
        From `pemr.training.cliques.usable`; what the whole is whitened on.
    out : Path
        Folder of the joined checkpoint.
    machine : Machine
        Where to compute.

    Raises
    ------
    CheckpointError
        If a checkpoint is damaged or holds no cover encoder, or `out` cannot be written.
    TrainingError
        If the two cannot be joined.
    """
    config = pair_of(*(load_trained(path).config for path in (first, second)))
    recipe = replace(cover_harmony(), encoder=config.encoder)
    recipe = replace(recipe, finetune=replace(recipe.finetune, easy=0))
    crops = recipe.finetune.n_cliques * recipe.finetune.n_crops
    batches = map(CliqueBatches(cliques, recipe, machine), range(max(1, N_CROPS // crops)))
    members = [load_model(path).to(machine.device) for path in (first, second)]
    joined = join(config, members, batches, machine)
    weights = {name: value.cpu() for name, value in joined.state_dict().items()}
    save(out, Checkpoint(config=config, step=0, weights=weights, data=fingerprint(cliques)))


def join(
    config: ModelConfig,
    members: Sequence[CoverModel],
    batches: Iterable[Batch],
    machine: Machine,
) -> CoverModel:
    """Join two models, and whiten the whole.

    Parameters
    ----------
    config : ModelConfig
        From `pair_of`.
    members : sequence of two CoverModel
        In evaluation mode, on the machine's device.
    batches : iterable of Batch
        From `CliqueBatches`; crops as they are, not disguised.
    machine : Machine
        Where to compute.

    Returns
    -------
    CoverModel
        In evaluation mode, with embeddings as long as those of both.

    Raises
    ------
    TrainingError
        If an embedding is not finite.
    """
    model = build_model(config).to(machine.device).eval()
    for name, member in zip(("first", "second"), members, strict=True):
        getattr(model.encoder, name).load_state_dict(member.encoder.state_dict())
    _side_by_side(model.head, [member.head for member in members])
    whiten(model, batches, machine)
    return model


def _side_by_side(head: CoverHead, members: Sequence[CoverHead]) -> None:
    """Let a head give what those of the members give, before unit length."""
    for norm in ("feature_norm", "embedding_norm"):
        _join_norms(getattr(head, norm), [getattr(member, norm) for member in members])
    with torch.no_grad():
        head.project.weight.zero_()
        row = column = 0
        for member in members:
            n_rows, n_columns = member.project.weight.shape
            block = head.project.weight[row : row + n_rows, column : column + n_columns]
            block.copy_(member.project.weight)
            row, column = row + n_rows, column + n_columns


def _join_norms(joined: nn.BatchNorm1d, norms: Sequence[nn.BatchNorm1d]) -> None:
    with torch.no_grad():
        for name, place in joined.state_dict().items():
            parts = [norm.state_dict()[name] for norm in norms]
            place.copy_(torch.cat(parts) if place.ndim else parts[0])
