"""What a training runs on: device, processes, precision, and how it is stopped.

The same command serves one CPU, one GPU, and several processes that torch's
launcher (`torchrun`) starts; the launcher says in the environment who is who.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from pemr.errors import BatchTooLargeError

_LONGEST_WAIT = timedelta(hours=2)  # of the others, while the first one validates


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One process of a training.

    Parameters
    ----------
    device : str
        As torch names it.
    n_workers : int
        Threads that prepare batches.
    rank : int
        Which process this is.
    world : int
        How many processes train together.
    is_mixed : bool
        Whether to compute in bfloat16 where that is safe.
    """

    device: str = "cpu"
    n_workers: int = 2
    rank: int = 0
    world: int = 1
    is_mixed: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that saves and speaks."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """Return the context in which the model computes."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.is_mixed)


def find_machine(device: str | None = None, n_workers: int | None = None) -> Machine:
    """Look at the hardware and at what torch's launcher says.

    Parameters
    ----------
    device : str, optional
        As torch names it; the GPU when there is one.
    n_workers : int, optional
        Threads that prepare batches; about one for each core.

    Returns
    -------
    Machine
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if kind == "cuda" and world > 1:
        kind = f"cuda:{os.environ['LOCAL_RANK']}"
    workers = n_workers if n_workers is not None else min(16, (os.cpu_count() or 2) // world)
    return Machine(
        device=kind,
        n_workers=max(1, workers),
        rank=rank,
        world=world,
        is_mixed=_has_fast_bfloat16(kind),
    )


@contextmanager
def joined(machine: Machine) -> Iterator[None]:
    """Join the other processes of a training, if there are any, and leave them at the end."""
    if machine.world == 1:
        yield
        return
    is_gpu = machine.device.startswith("cuda")
    if is_gpu:
        torch.cuda.set_device(machine.device)
    torch.distributed.init_process_group("nccl" if is_gpu else "gloo", timeout=_LONGEST_WAIT)
    try:
        yield
        torch.distributed.barrier()  # nobody leaves while another still waits for an answer
    finally:
        torch.distributed.destroy_process_group()


def parallel(model: nn.Module, machine: Machine) -> nn.Module:
    """Wrap a model so that all processes take the same step.

    Parameters
    ----------
    model : Module
        On the machine's device.
    machine : Machine
        Of this process, within `joined`.

    Returns
    -------
    Module
        The model itself where there is one process. Batch statistics are
        shared between GPUs; between CPU processes each keeps its own, for
        torch has no way to share them there.
    """
    if machine.world == 1:
        return model
    if machine.device.startswith("cuda"):
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return nn.parallel.DistributedDataParallel(model)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model that `parallel` wrapped."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return cast(nn.Module, model.module)
    return model


def gathered(share: Tensor, machine: Machine) -> Tensor:
    """Join the shares of a batch of all processes; gradients flow back to each.

    Parameters
    ----------
    share : float tensor, shape (B, ...)
        As long in every process.
    machine : Machine
        Of this process, within `joined`.

    Returns
    -------
    float tensor, shape (world · B, ...)
    """
    if machine.world == 1:
        return share
    from torch.distributed.nn.functional import all_gather  # noqa: PLC0415 (only where needed)

    return torch.cat(all_gather(share.contiguous()))  # type: ignore[no-untyped-call]


def told_by_first(number: float, machine: Machine) -> float:
    """Give every process the number that the first one has.

    Parameters
    ----------
    number : float
        Read in the first process alone.
    machine : Machine
        Of this process, within `joined`.

    Returns
    -------
    float
    """
    if machine.world == 1:
        return number
    told = torch.tensor([number], dtype=torch.float64, device=machine.device)
    torch.distributed.broadcast(told, 0)
    return float(told)


def is_any(claim: bool, machine: Machine) -> bool:
    """Return whether a claim holds in any of the processes.

    Parameters
    ----------
    claim : bool
        What this process finds.
    machine : Machine
        Of this process, within `joined`.

    Returns
    -------
    bool
        The same in every process.
    """
    if machine.world == 1:
        return claim
    found = torch.tensor([float(claim)], device=machine.device)
    torch.distributed.all_reduce(found)
    return bool(found > 0)


def too_large(batch_size: int, unit: str) -> BatchTooLargeError:
    """Find how large a batch may fit into the GPU, where one of this size does not."""
    free, total = torch.cuda.mem_get_info()
    used = torch.cuda.max_memory_reserved()
    fits = max(2, int(batch_size * 0.8 * min(1.0, (free + used) / total) * 0.75))
    return BatchTooLargeError(batch_size, unit, fits, total)


def seed_of(*numbers: int) -> int:
    """Mix numbers such as (seed, step, item) into one seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a flag, so that a step is never torn.

    Yields
    ------
    Event
        Set once the process was asked to stop; a second Ctrl-C acts at once.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_fast_bfloat16(device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False
