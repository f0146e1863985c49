"""What a training runs on, and how it is stopped."""

import os
import signal
import threading

import pytest
import torch

from pemr.training import machine as module
from pemr.training.machine import (
    Machine,
    find_machine,
    gathered,
    joined,
    parallel,
    postponed_interrupt,
    seed_of,
)


def test_one_process_is_found_where_nothing_is_said(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    found = find_machine("cpu", 3)
    assert (found.device, found.n_workers, found.rank, found.world) == ("cpu", 3, 0, 1)
    assert found.is_first


def test_the_launcher_says_who_is_who(monkeypatch):
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    found = find_machine("cpu")
    assert (found.rank, found.world, found.is_first) == (3, 4, False)
    assert found.n_workers >= 1


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch):
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module.torch.cuda, "is_bf16_supported", lambda: True)
    found = find_machine("cuda")
    assert (found.device, found.is_mixed) == ("cuda:1", True)


def test_mixed_precision_is_bfloat16():
    layer = torch.nn.Linear(4, 4)
    with Machine(is_mixed=True).autocast():
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with Machine(is_mixed=False).autocast():
        assert layer(torch.ones(1, 4)).dtype == torch.float32


def test_one_process_needs_no_company():
    model, share = torch.nn.Linear(2, 2), torch.ones(3, 2)
    with joined(Machine()):
        assert parallel(model, Machine()) is model
        assert gathered(share, Machine()) is share


def test_seeds_differ_in_each_number_and_do_not_change():
    assert seed_of(42, 1, 0) == seed_of(42, 1, 0)
    assert len({seed_of(*n) for n in [(1, 2, 3), (1, 3, 2), (2, 2, 3), (1, 2)]}) == 4
    assert 0 <= seed_of(2**40) < 2**63


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_the_first_request_to_stop_is_only_noted(number):
    before = signal.getsignal(number)
    with postponed_interrupt() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), number)
        assert asked.wait(1)
        assert signal.getsignal(number) is before  # so that a second one acts at once
    assert signal.getsignal(number) is before


def test_a_thread_leaves_signals_alone():
    seen = []

    def enter():
        with postponed_interrupt() as asked:
            seen.append(asked.is_set())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False]
