"""What a training tells → a log, and the row that sums it up."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pemr.errors import TrainingError
from pemr.training.loop import Scored, Step


def logged(events: Iterator[Step | Scored], folder: Path) -> Iterator[Step | Scored]:
    """Write a TensorBoard log of the steps that pass through.

    Parameters
    ----------
    events : iterator of Step or Scored
        From `train`.
    folder : Path
        Of the log.

    Yields
    ------
    Step or Scored
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
        for event in events:
            if isinstance(event, Step):
                for name, value in {"total": event.loss, **event.parts}.items():
                    writer.add_scalar(f"loss/{name}", value, event.step)
                writer.add_scalar("steps per second", 1 / event.took_s, event.step)
            yield event


def run_row(events: Iterable[object]) -> dict[str, float | int]:
    """Sum up a run, or the part of it that was run just now.

    Parameters
    ----------
    events : iterable
        The `Step` and `Scored` among them count.

    Returns
    -------
    dict
        Steps taken in all, the mean loss of the last tenth of these steps, the
        speed, the share of time that the model waited for data, and the best
        score where there was a validation. Empty when there was nothing to do.
    """
    told = tuple(events)
    steps = [event for event in told if isinstance(event, Step)]
    scores = [event.score for event in told if isinstance(event, Scored)]
    if not steps:
        return {}
    took_s = sum(step.took_s for step in steps)
    last = steps[-max(1, len(steps) // 10) :]
    row = {
        "steps": steps[-1].step,
        "loss": sum(step.loss for step in last) / len(last),
        "steps per second": len(steps) / took_s,
        "share of time waiting for data": sum(step.waited_s for step in steps) / took_s,
    }
    return row | ({"best score": max(scores)} if scores else {})
