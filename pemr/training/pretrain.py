"""Self-supervised training on a folder of recordings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Generator, Tensor, nn

from pemr.config import Config, FinetuneConfig
from pemr.model.pemr import Pemr
from pemr.training.data import Prepared, TwoViews, Views, fingerprint
from pemr.training.loop import Task
from pemr.training.machine import Machine, gathered, seed_of, unwrapped


@dataclass(frozen=True)
class Pretraining(Task[Views]):
    """PEMR's pretraining: two views, one of them masked twice (docs/paper.md).

    Parameters
    ----------
    recordings : list of Prepared
        From `pemr.training.data.prepare`.
    config : Config
        The run.
    """

    recordings: list[Prepared]
    config: Config

    @property
    def n_steps(self) -> int:
        """Steps of the recipe, or those of its epochs."""
        recipe = self.config.pretrain
        return recipe.n_steps or recipe.n_epochs * (len(self.recordings) // recipe.batch_size)

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.pretrain.seed

    @property
    def batch_size(self) -> int:
        """Recordings a step."""
        return self.config.pretrain.batch_size

    @property
    def data(self) -> str:
        """Fingerprint of the recordings."""
        return fingerprint(self.recordings)

    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Build every part of PEMR."""
        model = Pemr(self.config).to(machine.device)
        return model, torch.optim.Adam(model.parameters(), lr=self.config.pretrain.learning_rate)

    def continues(self, stored: Config) -> bool:
        """Return whether only the length differs, and what pretraining does not read."""
        return _but_length(stored) == _but_length(self.config)

    def batches(self, machine: Machine) -> Callable[[int], Views]:
        """Return the two views of each recording of a step."""
        return TwoViews(self.recordings, self.config, machine)

    def pace(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Let the learning rate rise to the one that it keeps."""
        recipe = self.config.pretrain
        rise = min(1.0, (step + 1) / recipe.warm_up) if recipe.warm_up else 1.0
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rise

    def losses(
        self, model: nn.Module, batch: Views, step: int, machine: Machine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh PEMR's losses, and tell each."""
        torch.manual_seed(seed_of(self.seed, step, machine.rank, 0))  # dropout looks nowhere else
        generator = Generator().manual_seed(seed_of(self.seed, step, machine.rank, 1))
        with machine.autocast():
            projections, prediction = model(batch.first, batch.second, generator)
        first, positive, negative = (gathered(z.float(), machine) for z in projections)
        pemr = cast(Pemr, unwrapped(model))
        found = pemr.losses((first, positive, negative), prediction)
        parts = ("positive", "negative", "prediction")
        return found.total, {part: getattr(found, part) for part in parts}


def _but_length(config: Config) -> Config:
    """Put aside what a resumed run may change, and what it does not read."""
    recipe = replace(config.pretrain, n_steps=1, n_epochs=1)
    return replace(config, pretrain=recipe, finetune=FinetuneConfig())
