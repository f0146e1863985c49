"""Labelled performances as sound → the paper's encoder, tuned to tell works apart (paper.md §15).

A linear layer names the work of each crop; without it, the mean feature of a performance's
consecutive crops is compared by cosine.

Letters: B batch, F frequency bins, T frames, D feature, N works.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pemr.config import Config, MelConfig
from pemr.errors import CheckpointError
from pemr.model.checkpoint import load_trained, save
from pemr.model.encoder import build_encoder
from pemr.signal import crops
from pemr.training.cliques import Member
from pemr.training.data import Prepared
from pemr.training.finetune import BEST, OnCliques
from pemr.training.loop import checkpoint_of
from pemr.training.machine import Machine
from pemr.training.norms import pieces_of, settle_norms

Embedded = tuple[list[NDArray[np.float32]], list[str]]
"""Features of performances, (1, D) each and of unit length, and the work of each."""


@dataclass(frozen=True)
class Crops:
    """Crops as log-mel, float32 (B, F, T), and the number of the work of each, int64 (B,)."""

    crops: Tensor
    works: Tensor
    paths: tuple[Path, ...]


class Naming(nn.Module):
    """An encoder, and a layer that names works.

    Parameters
    ----------
    config : Config
        With the paper's encoder.
    n_works : int
    """

    def __init__(self, config: Config, n_works: int) -> None:
        super().__init__()
        self.encoder = build_encoder(config)
        self.head = nn.Linear(cast(int, self.encoder.dim), n_works)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Map (B, F, T) in dB to a value for each work, (B, N)."""
        return cast(Tensor, self.head(self.encoder(spectrograms)))


@dataclass(frozen=True, kw_only=True)
class NamingWorks(OnCliques[Crops]):
    """Tuning of the paper's encoder on works.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `pemr.training.cliques.usable`, of recordings kept as waveforms.
    config : Config
        Its `finetune` has steps, batch and rates.
    judged : sequence of list of Member
        Validation sets; without any the last weights are the best.
    measure : callable, optional
        Returns one figure for the features of every validation set; higher is better.
    init : Path, optional
        A pretraining's checkpoint.
    """

    judged: Sequence[list[Member]] = ()
    measure: Callable[[Sequence[Embedded]], float] | None = None
    init: Path | None = None
    unit = "works"

    @property
    def judged_every(self) -> int:
        """Steps between two validations."""
        return self.config.finetune.score_every

    def continues(self, stored: Config) -> bool:
        """Return whether only the length differs."""
        same_length = replace(stored.finetune, n_steps=self.n_steps)
        return replace(stored, finetune=same_length) == self.config

    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Build encoder and layer, both with one rate."""
        model, recipe = Naming(self.config, len(self.cliques)), self.config.finetune
        model.to(machine.device)
        return model, torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    def start(self, model: nn.Module) -> None:
        """Take the whole encoder of a pretraining."""
        if self.init is None:
            return
        stored = load_trained(self.init)
        prefix = "encoder."
        given = {
            name.removeprefix(prefix): value
            for name, value in stored.weights.items()
            if name.startswith(prefix)
        }
        try:
            cast(Naming, model).encoder.load_state_dict(given)
        except RuntimeError as error:
            reason = f"holds another encoder than preset {self.config.preset!r} has"
            raise CheckpointError(self.init, reason) from error

    def batches(self, machine: Machine) -> Callable[[int], Crops]:
        """Return the crops of a step: so many works, so many performances of each, anywhere."""
        recipe, cliques = self.config.finetune, list(self.cliques.values())
        n_chosen = min(recipe.n_cliques, len(cliques))

        def make(step: int) -> Crops:
            rng = np.random.default_rng((recipe.seed, step, machine.rank))
            works = rng.permutation(len(cliques))[:n_chosen].repeat(recipe.n_crops)
            chosen = [
                cliques[work][int(rng.integers(len(cliques[work])))].recording
                for work in works.tolist()
            ]
            cut = torch.stack([_waveform(one, self.config, rng) for one in chosen])
            spectrograms = crops.log_mel(cut.to(machine.device), _front_end(self.config))
            return Crops(spectrograms, torch.from_numpy(works), tuple(one.path for one in chosen))

        return make

    def losses(
        self,
        model: nn.Module,
        batch: Crops,
        step: int,  # noqa: ARG002 (nothing is drawn here)
        machine: Machine,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare what is named with what is played; tell how often it is right."""
        works = batch.works.to(machine.device)
        with machine.autocast():
            named = model(batch.crops)
        right = (named.argmax(1) == works).float().mean()
        return functional.cross_entropy(named.float(), works), {"named rightly": right}

    def judge(self, model: nn.Module, step: int, machine: Machine) -> tuple[float, nn.Module]:
        """Settle the statistics on the training performances as they sound, then rank."""
        settled = copy.deepcopy(cast(Naming, model)).eval()
        heard = [member.recording for members in self.cliques.values() for member in members]
        settle_norms(settled.encoder, heard, self.config, machine)
        if self.measure is None or not self.judged:
            return float(step), settled
        return self.measure([self._embedded(settled, one, machine) for one in self.judged]), settled

    def keep(self, model: nn.Module, step: int, out: Path | None) -> None:
        """Write the best model beside the run's own checkpoint."""
        if out is not None:
            save(out / BEST, checkpoint_of(self, step, model, {}))

    def _embedded(self, model: Naming, members: Sequence[Member], machine: Machine) -> Embedded:
        with torch.no_grad():
            cut = (pieces_of(one.recording, self.config).to(machine.device) for one in members)
            means = [model.encoder(one).mean(0, keepdim=True) for one in cut]
        vectors = [functional.normalize(mean.float(), dim=1).cpu().numpy() for mean in means]
        return vectors, [one.clique for one in members]


def _front_end(config: Config) -> MelConfig:
    return cast(MelConfig, config.front_end)


def _waveform(recording: Prepared, config: Config, rng: np.random.Generator) -> Tensor:
    length = _front_end(config).segment_length
    start = int(rng.integers(recording.length - length + 1))
    return crops.as_waveform(np.load(recording.cached, mmap_mode="r")[start : start + length])
