"""Training on cliques, validated as it goes, and PEMR on music without labels beside it.

Labels exist for performances made from scores, sound for real ones. Where PEMR has a share,
each step takes a batch of either kind, normalised by its own batch statistics.

The checkpoint of the best score lies in the folder `best` below the run's own.

Letters: B batch, F frequency bins, T frames, S segments, D embedding.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Generator, Tensor, nn

from pemr.config import Config, LossConfig, PretrainConfig
from pemr.embed import Embedder, cover_embedder
from pemr.errors import TrainingError
from pemr.model.checkpoint import save
from pemr.model.cover import CoverModel, build_model
from pemr.model.loss import agreement, clique_loss
from pemr.model.pemr import PemrWithHead
from pemr.signal.disguise import disguise
from pemr.training.cliques import Batch, CliqueBatches, Member, fingerprint, strength_of
from pemr.training.data import Prepared, TwoViews, Views
from pemr.training.loop import B, Task, checkpoint_of
from pemr.training.machine import Machine, gathered, seed_of, unwrapped
from pemr.training.norms import settle_norms
from pemr.training.start import Tunable, initialise
from pemr.training.whiten import N_CROPS, whiten

BEST = "best"

_PEMR = 1  # its draws are apart from those of the cliques
_LAST_RATE = 0.02  # of the learning rate, at the end of its cosine
_MAX_GRADIENT = 5.0  # norm
_UNSEEN = 2**32  # the step of the first batch for whitening: no training is so long
_N_BATCHES = 36  # that whitening looks at, where batches are small


@dataclass(frozen=True, kw_only=True)
class OnCliques(Task[B]):
    """Training on labelled performances, as long and as large as `Config.finetune` says.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `pemr.training.cliques.usable`.
    config : Config
        The recipe.
    """

    cliques: dict[str, list[Member]]
    config: Config

    @property
    def n_steps(self) -> int:
        """Steps of the recipe."""
        return self.config.finetune.n_steps

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.finetune.seed

    @property
    def batch_size(self) -> int:
        """Cliques a step."""
        return self.config.finetune.n_cliques

    @property
    def patience(self) -> float:
        """Validations without a better score before the run ends."""
        return self.config.finetune.patience

    @property
    def data(self) -> str:
        """Fingerprint of the cliques."""
        return fingerprint(self.cliques)


@dataclass(frozen=True, kw_only=True)
class Finetuning(OnCliques[Batch]):
    """Contrastive training on cliques: from what, and how it is judged.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `pemr.training.cliques.usable`.
    config : Config
        The recipe. A finished run goes on when it has more steps, with the learning
        rate that the longer run has from there on, or more patience.
    score : callable, optional
        Gives the score of an embedder, higher is better; without it the last
        weights count as the best.
    init : Path, optional
        Checkpoint to start from: a pretraining's, or an earlier fine-tuning's;
        or `start.SHIPPED`, for the weights that come with the package.
    unlabelled : sequence of Prepared
        Whose batch statistics an encoder takes before it is judged and kept as
        the best; without any it keeps those of the disguised crops.
    augment : callable, optional
        Changes the disguised crops further: a float tensor of shape (B, F, T)
        in dB and a generator on its device to another such tensor.
    """

    score: Callable[[Embedder], float] | None = None
    init: Path | None = None
    unlabelled: Sequence[Prepared] = ()
    augment: Callable[[Tensor, Generator], Tensor] | None = None
    unit = "cliques"
    max_gradient = _MAX_GRADIENT

    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Build the cover encoder with its head."""
        model = build_model(self.config).to(machine.device)
        return model, self.optimiser(model)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """Build the recipe's optimiser for all parameters of a model."""
        recipe = self.config.finetune
        return torch.optim.AdamW(
            model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            betas=(0.9, 0.98),
        )

    def start(self, model: nn.Module) -> None:
        """Take the weights of a pretraining or of an earlier fine-tuning."""
        if self.init is not None:
            initialise(cast(Tunable, model), self.init, self.config)

    def continues(self, stored: Config) -> bool:
        """Return whether only length and patience differ, and what fine-tuning does not read."""
        return _but_length(stored) == _but_length(self.config)

    def batches(self, machine: Machine) -> Callable[[int], Batch]:
        """Return the crops of a step."""
        return CliqueBatches(self.cliques, self.config, machine)

    def pace(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Let the learning rate rise, then fall."""
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, self.config)

    def losses(
        self, model: nn.Module, batch: Batch, step: int, machine: Machine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare disguised crops; tell how often the nearest is of the same clique."""
        with machine.autocast():
            embeddings = model(self.disguised(batch, step, machine))
        return self.compared(embeddings, batch, machine)

    def disguised(self, batch: Batch, step: int, machine: Machine) -> Tensor:
        """Return the crops of a batch on the device, each disguised, (B, F, T)."""
        generator = Generator(machine.device).manual_seed(seed_of(self.seed, step, machine.rank))
        crops = batch.crops.to(machine.device)
        strength = strength_of(step, self.config)
        crops = disguise(crops, self.config.disguise, strength, generator)
        return crops if self.augment is None else self.augment(crops, generator)

    def compared(
        self, embeddings: Tensor, batch: Batch, machine: Machine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of embeddings (B, D), and how often the nearest is of its clique."""
        embeddings = gathered(embeddings, machine)
        cliques = gathered(batch.cliques.to(machine.device), machine)
        loss = clique_loss(embeddings, cliques, self.config.finetune.temperature)
        return loss, {"nearest is right": agreement(embeddings.detach(), cliques)}

    @property
    def judged_every(self) -> int:
        """Steps between two validations."""
        return self.config.finetune.score_every

    def judge(self, model: nn.Module, step: int, machine: Machine) -> tuple[float, nn.Module]:
        """Score the model as it will be used: with the batch statistics of sound, and whitened."""
        recipe = self.config.finetune
        settled = copy.deepcopy(cast(CoverModel, model)).eval()
        if self.unlabelled:
            settle_norms(settled, self.unlabelled, self.config, machine)
        n_batches = max(1, N_CROPS // (recipe.n_cliques * recipe.n_crops))
        unseen = range(_UNSEEN, _UNSEEN + min(n_batches, _N_BATCHES))
        whiten(settled, map(CliqueBatches(self.cliques, self.config, machine), unseen), machine)
        if self.score is None:
            return float(step), settled
        return self.score(cover_embedder(settled, machine.device)), settled

    def keep(self, model: nn.Module, step: int, out: Path | None) -> None:
        """Write the best model beside the run's own checkpoint."""
        if out is not None:
            save(out / BEST, checkpoint_of(self, step, model, {}))


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
                self.disguised(batch, step, machine), (views.first, views.second), generator
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


def _but_length(config: Config) -> Config:
    """Put aside what a resumed run may change, and what it does not read."""
    recipe = replace(config.finetune, n_steps=1, patience=1)
    return replace(config, finetune=recipe, pretrain=PretrainConfig(), loss=LossConfig())


def learning_rate(step: int, config: Config) -> float:
    """Return the learning rate of a step: a short rise, then half a cosine.

    Parameters
    ----------
    step : int
        Steps taken so far.
    config : Config
        Its `finetune` has the bounds.

    Returns
    -------
    float
    """
    recipe = config.finetune
    rise = min(1.0, (step + 1) / recipe.warm_up) if recipe.warm_up else 1.0
    fall = (1 + math.cos(math.pi * step / recipe.n_steps)) / 2
    return recipe.learning_rate * rise * (_LAST_RATE + (1 - _LAST_RATE) * fall)
