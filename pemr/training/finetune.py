"""Training on cliques, resumable, validated as it goes.

As in pretraining, every random draw is a function of (seed, step, item); the
state is weights, optimiser, steps taken, and the scores so far. The checkpoint
of the best score lies in the folder `best` below the run's own.

Letters: B batch, F frequency bins, T frames, S segments, D embedding.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from pemr.config import Config, LossConfig, PretrainConfig
from pemr.embed import Embedder, cover_embedder
from pemr.errors import CheckpointError, TrainingError
from pemr.model.checkpoint import Checkpoint, is_checkpoint, load, save
from pemr.model.cover import CoverModel, build_model
from pemr.model.loss import agreement, clique_loss
from pemr.signal.disguise import disguise
from pemr.training.cliques import Batch, CliqueBatches, Member, fingerprint, strength_of
from pemr.training.data import Prepared, ahead
from pemr.training.machine import (
    Machine,
    gathered,
    is_any,
    joined,
    out_of_memory,
    parallel,
    postponed_interrupt,
    seed_of,
    told_by_first,
)
from pemr.training.norms import settle_norms
from pemr.training.start import initialise
from pemr.training.whiten import N_CROPS, whiten

BEST = "best"
SCORES = "scores.jsonl"

_SAVE_EVERY_S = 300.0
_N_NAMED = 5  # files named when a loss is not finite
_LAST_RATE = 0.02  # of the learning rate, at the end of its cosine
_MAX_GRADIENT = 5.0  # norm
_UNSEEN = 2**32  # the step of the first batch for whitening: no training is so long
_N_BATCHES = 36  # that whitening looks at, where batches are small


@dataclass(frozen=True)
class Step:
    """What one step of training came to."""

    step: int  # steps taken so far
    n_steps: int
    loss: float
    agreement: float  # share of crops whose nearest crop is of their clique
    waited_s: float  # for data
    took_s: float  # waiting included

    def __str__(self) -> str:
        return f"loss {self.loss:.3f}, nearest is right {self.agreement:.0%}"


@dataclass(frozen=True)
class Scored:
    """What a validation found."""

    step: int
    score: float
    is_best: bool

    def __str__(self) -> str:
        return f"score {self.score:.4f}{', the best so far' if self.is_best else ''}"


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """What is trained, from what, and how it is judged.

    Parameters
    ----------
    cliques : dict of str to list of Member
        From `pemr.training.cliques.usable`.
    config : Config
        The recipe.
    out : Path
        Folder of the checkpoint. A finished run does nothing, unless the recipe has
        more steps now, or more patience: then it goes on, with the learning rate
        that the longer run has from there on.
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

    cliques: dict[str, list[Member]]
    config: Config
    out: Path
    score: Callable[[Embedder], float] | None = None
    init: Path | None = None
    unlabelled: Sequence[Prepared] = ()
    augment: Callable[[Tensor, Generator], Tensor] | None = None


def finetune(
    run: Finetuning, machine: Machine, save_every_s: float = _SAVE_EVERY_S
) -> Iterator[Step | Scored]:
    """Train, from the checkpoint where there is one.

    Parameters
    ----------
    run : Finetuning
        What is trained.
    machine : Machine
        Where to run.
    save_every_s : float
        Least time between two checkpoints, in seconds.

    Yields
    ------
    Step or Scored
        After each step, and after each validation.

    Raises
    ------
    TrainingError
        If a loss is not finite, or the device's memory is too small.
    CheckpointError
        If a checkpoint is of another run, damaged, or cannot be written.
    KeyboardInterrupt
        After the checkpoint was written, when asked to stop.
    """
    with ExitStack() as stack:
        stack.enter_context(joined(machine))
        asked_to_stop = stack.enter_context(postponed_interrupt())
        trainer = Trainer(run, machine)
        saved_at = time.perf_counter()
        batches = ahead(
            CliqueBatches(run.cliques, run.config, machine),
            range(trainer.step, trainer.last_step),
            machine.n_workers,
        )
        stack.callback(batches.close)
        began = time.perf_counter()
        for batch, waited_s in batches:
            loss, agreeing = trainer.take(batch)
            now = time.perf_counter()
            yield Step(
                trainer.step, run.config.finetune.n_steps, loss, agreeing, waited_s, now - began
            )
            scored = trainer.validate()
            if scored is not None:
                yield scored
            is_stopping = is_any(asked_to_stop.is_set(), machine)
            is_over = is_stopping or trainer.is_done
            if scored is not None or is_over or now - saved_at >= save_every_s:
                trainer.save()
                saved_at = now
            if is_stopping:
                raise KeyboardInterrupt
            if is_over:
                return
            began = time.perf_counter()


class Trainer:
    """The state of a run, and how it moves on by one step.

    Parameters
    ----------
    run : Finetuning
        What is trained.
    machine : Machine
        Where to run, within `joined`.
    """

    def __init__(self, run: Finetuning, machine: Machine) -> None:
        self._run = run
        self._machine = machine
        self._recipe = run.config.finetune
        self._data = fingerprint(run.cliques)
        torch.manual_seed(self._recipe.seed)
        self._model = build_model(run.config).to(machine.device)
        self._optimiser = torch.optim.AdamW(
            self._model.parameters(),
            lr=self._recipe.learning_rate,
            weight_decay=self._recipe.weight_decay,
            betas=(0.9, 0.98),
        )
        self.step = self._resume()
        self._scores = _read_scores(run.out, self.step)
        self._wrapped = parallel(self._model, machine)

    @property
    def last_step(self) -> int:
        """Where the run ends: here, if it has ended already."""
        return self.step if self.is_done else self._recipe.n_steps

    @property
    def is_done(self) -> bool:
        """Whether all steps are taken, or the score has not risen for too long."""
        scores = list(self._scores.values())
        n_stale = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        return self.step >= self._recipe.n_steps or n_stale >= self._recipe.patience

    def take(self, batch: Batch) -> tuple[float, float]:
        """Take one step.

        Parameters
        ----------
        batch : Batch
            From `CliqueBatches`.

        Returns
        -------
        tuple of float
            Loss and agreement.

        Raises
        ------
        TrainingError
            If the loss is not finite, or memory runs out.
        """
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self._run.config)
        self._wrapped.train()
        try:
            loss, agreeing = self._loss(batch)
            if not torch.isfinite(loss):
                raise TrainingError(self._not_finite(batch))
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as error:
            raise TrainingError(out_of_memory(self._recipe.n_cliques)) from error
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _MAX_GRADIENT)
        self._optimiser.step()
        self.step += 1
        return loss.item(), agreeing.item()

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        device = self._machine.device
        generator = Generator(device).manual_seed(
            seed_of(self._recipe.seed, self.step, self._machine.rank)
        )
        strength = strength_of(self.step, self._run.config)
        crops = disguise(batch.crops.to(device), self._run.config.disguise, strength, generator)
        if self._run.augment is not None:
            crops = self._run.augment(crops, generator)
        with self._machine.autocast():
            embeddings = self._wrapped(crops)
        embeddings = gathered(embeddings, self._machine)
        cliques = gathered(batch.cliques.to(device), self._machine)
        loss = clique_loss(embeddings, cliques, self._recipe.temperature)
        return loss, agreement(embeddings.detach(), cliques)

    def validate(self) -> Scored | None:
        """Score the weights where a validation is due, and keep them when they are the best."""
        is_due = self.step % self._recipe.score_every == 0 or self.step == self._recipe.n_steps
        if not is_due:
            return None
        score, settled = float(self.step), self._settled() if self._machine.is_first else None
        if self._run.score is not None and settled is not None:
            score = self._run.score(cover_embedder(settled, self._machine.device))
        score = told_by_first(score, self._machine)  # each process sees when the run is over
        is_best = score > max(self._scores.values(), default=-math.inf)
        self._scores[self.step] = score
        if is_best:
            self.save(self._run.out / BEST, settled)
        return Scored(self.step, score, is_best)

    def _settled(self) -> CoverModel:
        """Give the model as it will be used: with the batch statistics of sound, and whitened."""
        model = copy.deepcopy(self._model).eval()
        if self._run.unlabelled:
            settle_norms(model, self._run.unlabelled, self._run.config, self._machine)
        batches = CliqueBatches(self._run.cliques, self._run.config, self._machine)
        n_batches = max(1, N_CROPS // (self._recipe.n_cliques * self._recipe.n_crops))
        unseen = range(_UNSEEN, _UNSEEN + min(n_batches, _N_BATCHES))
        whiten(model, map(batches, unseen), self._machine)
        return model

    def save(self, folder: Path | None = None, model: CoverModel | None = None) -> None:
        """Write the checkpoint and the scores, from the first process alone."""
        if not self._machine.is_first:
            return
        save(
            folder or self._run.out,
            Checkpoint(
                config=self._run.config,
                step=self.step,
                weights=(model or self._model).state_dict(),
                optimiser=self._optimiser.state_dict() if folder is None else {},
                randomness={"seed": self._recipe.seed, "step": self.step},
                data=self._data,
            ),
        )
        rows = (json.dumps({"step": step, "score": s}) for step, s in self._scores.items())
        (self._run.out / SCORES).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")

    def _resume(self) -> int:
        """Take the state of the run's checkpoint, else the weights it starts from."""
        out, config = self._run.out, self._run.config
        if not is_checkpoint(out):
            if self._run.init is not None:
                initialise(self._model, self._run.init, config)
            return 0
        stored = load(out, preset=config.preset, with_optimiser=True)
        if _but_length(stored.config) != _but_length(config):
            raise CheckpointError(out, "is of a run with other settings; choose another folder")
        if stored.data != self._data:
            raise CheckpointError(out, "was trained on other recordings; choose another folder")
        self._model.load_state_dict(stored.weights)
        self._optimiser.load_state_dict(dict(stored.optimiser))
        return stored.step

    def _not_finite(self, batch: Batch) -> str:
        names = ", ".join(str(path) for path in batch.paths[:_N_NAMED])
        kept = "the last checkpoint is from before" if is_checkpoint(self._run.out) else "none kept"
        return (
            f"the loss of step {self.step + 1} is not finite, on {names} and others; {kept}; "
            "look at these files, or lower the learning rate"
        )


def learning_rate(step: int, config: Config) -> float:
    """Give the learning rate of a step: a short rise, then half a cosine.

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


def run_row(told: list[Step | Scored]) -> dict[str, float | int | None]:
    """Sum up a run, or the part of it that this process took.

    Parameters
    ----------
    told : list of Step or Scored
        From `finetune`.

    Returns
    -------
    dict
        Steps, their speed and share of waiting, and the best score.
    """
    steps = [event for event in told if isinstance(event, Step)]
    scores = [event.score for event in told if isinstance(event, Scored)]
    took_s = sum(step.took_s for step in steps)
    return {
        "steps": steps[-1].step if steps else 0,
        "steps per second": len(steps) / took_s if took_s else None,
        "waiting for data": sum(step.waited_s for step in steps) / took_s if took_s else None,
        "loss": steps[-1].loss if steps else None,
        "best score": max(scores, default=None),
    }


def _but_length(config: Config) -> Config:
    """Put aside what a resumed run may change, and what it does not read."""
    recipe = replace(config.finetune, n_steps=1, patience=1)
    return replace(config, finetune=recipe, pretrain=PretrainConfig(), loss=LossConfig())


def _read_scores(out: Path, step: int) -> dict[int, float]:
    """Read the scores up to a step; what a killed run wrote later will be found again."""
    path = out / SCORES
    if not step or not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["step"]: row["score"] for row in rows if row["step"] <= step}
