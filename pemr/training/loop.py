"""A task → the steps of its training, saved, validated and resumed.

The state of a training is its weights, its optimiser, the number of steps taken
and the scores so far; every random draw is a function of (seed, step, item).
Stopped and started again, it ends where it would have ended. Several processes
take each step together, and end at the same one.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from pemr.config import Config, ModelConfig
from pemr.errors import CheckpointError, LossNotFiniteError
from pemr.model.checkpoint import Checkpoint, is_checkpoint, load, save
from pemr.training.data import ahead
from pemr.training.machine import (
    Machine,
    is_any,
    joined,
    parallel,
    postponed_interrupt,
    told_by_first,
    too_large,
)

SCORES = "scores.jsonl"
SAVE_EVERY_S = 300.0


class HasPaths(Protocol):
    """A batch that knows which files it is made of."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""


B = TypeVar("B", bound=HasPaths)


class Task(ABC, Generic[B]):
    """What is trained, on what, and how it is judged.

    Attributes
    ----------
    config : ModelConfig
        Kept with the weights.
    unit : str
        What a batch has so many of.
    max_gradient : float
        Norm that gradients are cut to.
    """

    config: ModelConfig
    unit = "recordings"
    max_gradient = math.inf

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """After which the training ends."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """Of every random draw."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Of all processes together."""

    @property
    def data(self) -> str:
        """Fingerprint of the training data."""
        return ""

    @property
    def judged_every(self) -> int:
        """Steps between two validations; 0 where there are none."""
        return 0

    @property
    def patience(self) -> float:
        """Validations without a better score before the training ends."""
        return math.inf

    @abstractmethod
    def build(self, machine: Machine) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Build the model, with fresh weights, and its optimiser."""

    def start(self, model: nn.Module) -> None:
        """Give a fresh model the weights it starts from, if it has any."""

    def continues(self, stored: Config) -> bool:
        """Return whether a run of a stored config may go on as this one."""
        return stored == self.config

    @abstractmethod
    def batches(self, machine: Machine) -> Callable[[int], B]:
        """Return the function that makes the batch of a step."""

    def pace(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Set the learning rate of a step."""

    @abstractmethod
    def losses(
        self, model: nn.Module, batch: B, step: int, machine: Machine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to descend, and what else is told of the step."""

    def judge(
        self,
        model: nn.Module,
        step: int,
        machine: Machine,  # noqa: ARG002 (what judges may need it)
    ) -> tuple[float, nn.Module]:
        """Score a model, higher is better, and give it as it should be kept."""
        return float(step), model

    def keep(self, model: nn.Module, step: int, out: Path | None) -> None:
        """Keep what `judge` gave with the best score so far."""


@dataclass(frozen=True)
class Step:
    """What one step of training came to."""

    step: int  # steps taken so far
    n_steps: int
    loss: float
    parts: Mapping[str, float]  # what else the task tells
    waited_s: float  # for data
    took_s: float  # waiting included

    @property
    def progress(self) -> tuple[int, int]:
        """How many steps this is, and how many there are in all."""
        return 1, self.n_steps

    def __str__(self) -> str:
        parts = (f"{name} {value:.3f}" for name, value in self.parts.items())
        return ", ".join([f"loss {self.loss:.3f}", *parts])


@dataclass(frozen=True)
class Scored:
    """What a validation found."""

    step: int
    score: float
    is_best: bool

    progress: ClassVar = (0, None)  # as `Step` tells it: no step more

    def __str__(self) -> str:
        return f"score {self.score:.4f}{', the best so far' if self.is_best else ''}"


def train(
    task: Task[B], out: Path | None, machine: Machine, save_every_s: float = SAVE_EVERY_S
) -> Iterator[Step | Scored]:
    """Train, from the checkpoint where there is one.

    Parameters
    ----------
    task : Task
        What is trained.
    out : Path or None
        Folder of the checkpoint; without one nothing is kept. A finished training
        does nothing, unless the task has more steps or more patience by now.
    machine : Machine
        Where to run.
    save_every_s : float
        Least time between two checkpoints, in seconds.

    Yields
    ------
    Step or Scored
        After each step, and after each validation; what is due to be saved is.

    Raises
    ------
    TrainingError
        If a loss is not finite, or the device's memory is too small.
    CheckpointError
        If the checkpoint is of another run, damaged, or cannot be written.
    KeyboardInterrupt
        After the checkpoint was written, when asked to stop.
    """
    with ExitStack() as stack:
        stack.enter_context(joined(machine))
        asked_to_stop = stack.enter_context(postponed_interrupt())
        make = task.batches(machine)
        run = _Run(task, out, machine)
        batches = ahead(make, range(run.step, run.last_step), machine.n_workers)
        stack.callback(batches.close)
        began = saved_at = time.perf_counter()
        for batch, waited_s in batches:
            loss, parts = run.take(batch)
            now = time.perf_counter()
            scored = run.validate()
            is_stopping = is_any(asked_to_stop.is_set(), machine)
            if scored or is_stopping or run.is_over or now - saved_at >= save_every_s:
                run.save()
                saved_at = now
            yield Step(run.step, task.n_steps, loss, parts, waited_s, now - began)
            if scored:
                yield scored
            if is_stopping:
                raise KeyboardInterrupt
            if run.is_over:
                return
            began = time.perf_counter()


class _Run(Generic[B]):
    """The state of a training, and how it moves on by one step."""

    def __init__(self, task: Task[B], out: Path | None, machine: Machine) -> None:
        self._task, self._out, self._machine = task, out, machine
        torch.manual_seed(task.seed)
        self._model, self._optimiser = task.build(machine)
        self.step = self._resume()
        self._scores = _read_scores(out, self.step)
        self._wrapped = parallel(self._model, machine)

    @property
    def last_step(self) -> int:
        """Where the training ends: here, if it is over already."""
        return self.step if self.is_over else self._task.n_steps

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, or the score has not risen for too long."""
        scores = list(self._scores.values())
        n_stale = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        return self.step >= self._task.n_steps or n_stale >= self._task.patience

    def take(self, batch: B) -> tuple[float, dict[str, float]]:
        """Take one step, and tell its losses."""
        task = self._task
        task.pace(self._optimiser, self.step)
        self._wrapped.train()
        try:
            loss, parts = task.losses(self._wrapped, batch, self.step, self._machine)
            if not torch.isfinite(loss):
                kept = self._out if self._out and is_checkpoint(self._out) else None
                bad = [name for name, part in parts.items() if not torch.isfinite(part)]
                raise LossNotFiniteError(self.step + 1, batch.paths, kept, bad)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as error:
            raise too_large(task.batch_size, task.unit) from error
        if task.max_gradient < math.inf:
            nn.utils.clip_grad_norm_(self._model.parameters(), task.max_gradient)
        self._optimiser.step()
        self.step += 1
        told = torch.stack([part.detach().float() for part in (loss, *parts.values())])
        first, *others = told.tolist()  # one trip from the device
        return first, dict(zip(parts, others, strict=True))

    def validate(self) -> Scored | None:
        """Score the weights where a validation is due, and keep them when they are the best."""
        every = self._task.judged_every
        if not every or (self.step % every and self.step != self._task.n_steps):
            return None
        score, judged = 0.0, self._model
        if self._machine.is_first:
            score, judged = self._task.judge(self._model, self.step, self._machine)
        score = told_by_first(score, self._machine)  # each process sees when the run is over
        is_best = score > max(self._scores.values(), default=-math.inf)
        self._scores[self.step] = score
        if is_best and self._machine.is_first:
            self._task.keep(judged, self.step, self._out)
        return Scored(self.step, score, is_best)

    def save(self) -> None:
        """Write the checkpoint and the scores, from the first process alone."""
        if self._out is None or not self._machine.is_first:
            return
        optimiser = self._optimiser.state_dict()
        save(self._out, checkpoint_of(self._task, self.step, self._model, optimiser))
        if self._scores:
            rows = (json.dumps({"step": step, "score": s}) for step, s in self._scores.items())
            text = "".join(f"{row}\n" for row in rows)
            (self._out / SCORES).write_text(text, encoding="utf-8")

    def _resume(self) -> int:
        """Take the state of the run's checkpoint, else the weights it starts from."""
        out, task = self._out, self._task
        if out is None or not is_checkpoint(out):
            task.start(self._model)
            return 0
        stored = load(out, preset=task.config.preset, with_optimiser=True)
        if not task.continues(stored.config):
            raise CheckpointError(out, "is of a run with other settings; choose another folder")
        if stored.data != task.data:
            raise CheckpointError(out, "was trained on other recordings; choose another folder")
        self._model.load_state_dict(stored.weights)
        self._optimiser.load_state_dict(dict(stored.optimiser))
        return stored.step


def checkpoint_of(
    task: Task[B], step: int, model: nn.Module, optimiser: Mapping[str, object]
) -> Checkpoint[ModelConfig]:
    """Return what is kept of a training after so many steps."""
    return Checkpoint(
        config=task.config,
        step=step,
        weights=model.state_dict(),
        optimiser=optimiser,
        randomness={"seed": task.seed, "step": step},
        data=task.data,
    )


def _read_scores(out: Path | None, step: int) -> dict[int, float]:
    """Read the scores up to a step; what a killed run wrote later will be found again."""
    if not step or out is None or not (out / SCORES).is_file():
        return {}
    rows = [json.loads(line) for line in (out / SCORES).read_text(encoding="utf-8").splitlines()]
    return {row["step"]: row["score"] for row in rows if row["step"] <= step}
