"""Self-supervised training on a folder of recordings, resumable.

The state of a training is its weights, its optimiser and the number of steps
taken; every random draw is a function of (seed, step, item). Stopped and
started again, it ends where it would have ended.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator

from pemr.config import Config, FinetuneConfig
from pemr.errors import CheckpointError, TrainingError
from pemr.model.checkpoint import Checkpoint, is_checkpoint, load, save
from pemr.model.pemr import Losses, Pemr
from pemr.training.data import Prepared, TwoViews, Views, ahead, fingerprint
from pemr.training.machine import (
    Machine,
    gathered,
    is_any,
    joined,
    parallel,
    postponed_interrupt,
    seed_of,
)

_SAVE_EVERY_S = 300.0
_N_NAMED = 5  # files named when a loss is not finite


@dataclass(frozen=True)
class Step:
    """What one step of training came to."""

    step: int  # steps taken so far
    n_steps: int
    total: float
    positive: float
    negative: float
    prediction: float
    waited_s: float  # for data
    took_s: float  # waiting included

    def __str__(self) -> str:
        parts = f"{self.positive:.2f} + {self.negative:.2f} λ + {self.prediction:.3f} β"
        return f"loss {self.total:.3f} = {parts}"


def pretrain(
    recordings: list[Prepared],
    config: Config,
    out: Path,
    machine: Machine,
    save_every_s: float = _SAVE_EVERY_S,
) -> Iterator[Step]:
    """Train, from the checkpoint where there is one.

    Parameters
    ----------
    recordings : list of Prepared
        From `pemr.training.data.prepare`.
    config : Config
        The run.
    out : Path
        Folder of the checkpoint. A finished run does nothing.
    machine : Machine
        Where to run.
    save_every_s : float
        Least time between two checkpoints, in seconds.

    Yields
    ------
    Step
        After each step.

    Raises
    ------
    TrainingError
        If there are too few recordings, or a loss is not finite.
    CheckpointError
        If the checkpoint is of another run, damaged, or cannot be written.
    KeyboardInterrupt
        After the checkpoint was written, when asked to stop.
    """
    views = TwoViews(recordings, config, machine)
    data = fingerprint(recordings)
    with ExitStack() as stack:
        stack.enter_context(joined(machine))
        asked_to_stop = stack.enter_context(postponed_interrupt())
        torch.manual_seed(config.pretrain.seed)
        model = Pemr(config).to(machine.device)
        optimiser = torch.optim.Adam(model.parameters(), lr=config.pretrain.learning_rate)
        start = resume(out, config, data, model, optimiser)
        wrapped = parallel(model, machine).train()
        saved_at = time.perf_counter()
        n_steps = config.pretrain.n_steps
        batches = ahead(views, range(start, n_steps), machine.n_workers)
        stack.callback(batches.close)
        began = time.perf_counter()
        for step, (batch, waited_s) in enumerate(batches, start):
            losses = _losses(wrapped, model, batch, step, machine)
            _require_finite(losses, batch, step, out)
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            now = time.perf_counter()
            is_stopping = is_any(asked_to_stop.is_set(), machine)
            is_due = is_stopping or step + 1 == n_steps or now - saved_at >= save_every_s
            if machine.is_first and is_due:
                save(out, _checkpoint(config, data, step + 1, model, optimiser))
                saved_at = now
            yield _told(losses, step + 1, n_steps, waited_s, now - began)
            began = time.perf_counter()
            if is_stopping:
                raise KeyboardInterrupt


def resume(
    out: Path, config: Config, data: str, model: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    """Take model and optimiser to where a run stopped.

    Parameters
    ----------
    out : Path
        Folder of the checkpoint, which need not exist.
    config : Config
        The run; its number of steps may have changed.
    data : str
        Fingerprint of the training data.
    model, optimiser : Module, Optimizer
        Take the stored state.

    Returns
    -------
    int
        Steps taken so far.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or of another run.
    """
    if not is_checkpoint(out):
        return 0
    stored = load(out, preset=config.preset, with_optimiser=True)
    if _but_length(stored.config) != _but_length(config):
        raise CheckpointError(out, "is of a run with other settings; choose another folder")
    if stored.data != data:
        raise CheckpointError(out, "was trained on other recordings; choose another folder")
    model.load_state_dict(stored.weights)
    optimiser.load_state_dict(dict(stored.optimiser))
    return stored.step


def logged(steps: Iterator[Step], folder: Path) -> Iterator[Step]:
    """Write a TensorBoard log of the steps that pass through.

    Parameters
    ----------
    steps : iterator of Step
        From `pretrain`.
    folder : Path
        Of the log.

    Yields
    ------
    Step
        What came in.

    Raises
    ------
    TrainingError
        If TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise TrainingError("a log needs TensorBoard: install pemr-covers[log]") from error
    with SummaryWriter(str(folder)) as writer:
        for step in steps:
            for name in ("total", "positive", "negative", "prediction"):
                writer.add_scalar(f"loss/{name}", getattr(step, name), step.step)
            writer.add_scalar("steps per second", 1 / step.took_s, step.step)
            yield step


def run_row(steps: Sequence[Step]) -> dict[str, float | int]:
    """Sum up a run, or the part of it that was run just now.

    Parameters
    ----------
    steps : sequence of Step
        From `pretrain`.

    Returns
    -------
    dict
        Steps taken in all, the mean loss of the last tenth of these steps, the
        speed, and the share of time that the model waited for data. Empty when
        there was nothing to do.
    """
    if not steps:
        return {}
    took_s = sum(step.took_s for step in steps)
    last = steps[-max(1, len(steps) // 10) :]
    return {
        "steps": steps[-1].step,
        "loss": sum(step.total for step in last) / len(last),
        "steps per second": len(steps) / took_s,
        "share of time waiting for data": sum(step.waited_s for step in steps) / took_s,
    }


def _losses(
    wrapped: torch.nn.Module, model: Pemr, batch: Views, step: int, machine: Machine
) -> Losses:
    seed = model.config.pretrain.seed
    torch.manual_seed(seed_of(seed, step, machine.rank, 0))  # dropout looks nowhere else
    generator = Generator().manual_seed(seed_of(seed, step, machine.rank, 1))
    with machine.autocast():
        projections, prediction = wrapped(batch.first, batch.second, generator)
    first, positive, negative = (gathered(z.float(), machine) for z in projections)
    return model.losses((first, positive, negative), prediction)


def _require_finite(losses: Losses, batch: Views, step: int, out: Path) -> None:
    if torch.isfinite(losses.total):
        return
    kept = f"the checkpoint in {out} is from before" if is_checkpoint(out) else "nothing was saved"
    names = ", ".join(str(path) for path in batch.paths[:_N_NAMED])
    more = f" and {len(batch.paths) - _N_NAMED} more" if len(batch.paths) > _N_NAMED else ""
    raise TrainingError(
        f"the loss of step {step + 1} is not finite, on {names}{more}; {kept}; "
        "look at these files, or lower the learning rate"
    )


def _checkpoint(
    config: Config, data: str, step: int, model: Pemr, optimiser: torch.optim.Optimizer
) -> Checkpoint:
    return Checkpoint(
        config=config,
        step=step,
        weights=model.state_dict(),
        optimiser=optimiser.state_dict(),
        randomness={"seed": config.pretrain.seed, "step": step},
        data=data,
    )


def _but_length(config: Config) -> Config:
    """Put aside what a resumed run may change, and what it does not read."""
    recipe = replace(config.pretrain, n_steps=1)
    return replace(config, pretrain=recipe, finetune=FinetuneConfig())


def _told(losses: Losses, step: int, n_steps: int, waited_s: float, took_s: float) -> Step:
    parts = (losses.total, losses.positive, losses.negative, losses.prediction)
    total, positive, negative, prediction = torch.stack(
        [part.detach().float() for part in parts]
    ).tolist()  # one trip from the device
    return Step(step, n_steps, total, positive, negative, prediction, waited_s, took_s)
