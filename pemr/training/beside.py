"""PEMR beside tuning: cliques and unlabelled recordings train one encoder.

Labels exist for performances made from scores, sound for real ones; each step takes a
batch of either kind, and each is normalised by its own batch statistics.

Letters: B batch, F frequency bins, T frames, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Generator, Tensor, nn

from pemr.config import Config
from pemr.errors import TrainingError
from pemr.model.cover import CoverHead, CoverModel, build_model
from pemr.model.pemr import Pemr
from pemr.training.cliques import Batch
from pemr.training.data import TwoViews, Views
from pemr.training.finetune import Finetuning
from pemr.training.machine import Machine, gathered, seed_of, unwrapped

_PEMR = 1  # its draws are apart from those of the cliques


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
        self, crops: Tensor, views: Views, generator: Generator
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
        """Embed crops, (B, F, T) to (B, D), and give what PEMR makes of the views."""
        return self.head(self.encoder(crops)), super().forward(views.first, views.second, generator)

    def tuned(self) -> CoverModel:
        """Return a copy of what embeds, and nothing else."""
        model = build_model(self.config).to(next(self.parameters()).device)
        model.encoder.load_state_dict(self.encoder.state_dict())
        model.head.load_state_dict(self.head.state_dict())
        return model


@dataclass(frozen=True)
class TwoKinds(Batch):
    """Crops of cliques, and two views of each of some unlabelled recordings."""

    views: Views


@dataclass(frozen=True, kw_only=True)
class FinetuningBeside(Finetuning):
    """Contrastive training on cliques, with PEMR's losses on unlabelled recordings beside it.

    Parameters
    ----------
    unlabelled : sequence of Prepared
        What PEMR sees; their batch statistics are those of the best encoder as well.
    cliques, config, score, init, augment
        As for `Finetuning`. The recipe's `beside` is PEMR's share of the loss, after
        division by the dimensions of its projection.

    Raises
    ------
    TrainingError
        If the unlabelled recordings do not fill a batch of pretraining.
    """

    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Build every part of PEMR, and the head."""
        model = PemrWithHead(self.config).to(machine.device)
        return model, self.optimiser(model)

    def continues(self, stored: Config) -> bool:
        """Return whether only length and patience differ: PEMR's part of the config is read."""
        is_same = (stored.pretrain, stored.loss) == (self.config.pretrain, self.config.loss)
        return is_same and super().continues(stored)

    def batches(self, machine: Machine) -> Callable[[int], TwoKinds]:
        """Return the crops and the views of a step."""
        crops = super().batches(machine)
        views = TwoViews(list(self.unlabelled), self.config, machine)

        def make(step: int) -> TwoKinds:
            batch, beside = crops(step), views(step)
            paths = (*batch.paths, *beside.paths)
            return TwoKinds(batch.crops, batch.cliques, paths, beside)

        return make

    def losses(
        self, model: nn.Module, batch: Batch, step: int, machine: Machine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh both losses, and tell each."""
        views, config = cast(TwoKinds, batch).views, self.config
        torch.manual_seed(seed_of(self.seed, step, machine.rank, _PEMR))  # for dropout
        generator = Generator().manual_seed(seed_of(self.seed, step, machine.rank, _PEMR))
        with machine.autocast():
            embeddings, (projections, prediction) = model(
                self.disguised(batch, step, machine), views, generator
            )
        of_cliques, told = self.compared(embeddings, batch, machine)
        joined = cast(
            tuple[Tensor, Tensor, Tensor], tuple(gathered(z.float(), machine) for z in projections)
        )
        found = cast(PemrWithHead, unwrapped(model)).losses(joined, prediction)
        of_pemr = found.total / config.loss.d_projection
        share = config.finetune.beside
        total = (1 - share) * of_cliques + share * of_pemr
        return total, {**told, "cliques": of_cliques, "PEMR": of_pemr}

    def judge(self, model: nn.Module, step: int, machine: Machine) -> tuple[float, nn.Module]:
        """Score what embeds, and leave the rest of PEMR behind."""
        return super().judge(cast(PemrWithHead, model).tuned(), step, machine)


def tuning(task: Finetuning, folder: Path | None = None) -> Finetuning:
    """Return the task as its recipe asks for it: with PEMR beside it, or without.

    Raises
    ------
    TrainingError
        If PEMR has a share and there is nothing without labels.
    """
    if not task.config.finetune.beside:
        return task
    if not task.unlabelled:
        raise TrainingError("PEMR beside tuning needs unlabelled music (--settle)", folder)
    return FinetuningBeside(**vars(task))
