"""Pretraining: it resumes where it stopped, and nothing is lost when it fails."""

import os
import signal
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pemr.errors import CheckpointError, TrainingError
from pemr.model.checkpoint import is_checkpoint, load
from pemr.model.pemr import Losses, Pemr
from pemr.presets import paper, tiny
from pemr.training.data import Prepared, prepare
from pemr.training.journal import logged, run_row
from pemr.training.loop import Step, train
from pemr.training.machine import Machine
from pemr.training.pretrain import Pretraining

MACHINE = Machine()
GOLDEN = Path(__file__).parents[1] / "data" / "pretrain_tiny.json"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(n_steps, batch_size=4, **changes):
    base = tiny()
    recipe = replace(base.pretrain, n_steps=n_steps, batch_size=batch_size, **changes)
    return replace(base, pretrain=recipe)


@pytest.fixture
def recordings(tmp_path, tone):
    for i in range(6):
        tone(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=3.0, sample_rate=4000)
    return list(prepare(tmp_path / "music", tiny().front_end, tmp_path / "cache"))


def pretrain(recordings, config, out, machine, **options):
    return train(Pretraining(recordings, config), out, machine, **options)


def weights(out):
    return load(out).weights


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_stopping_and_going_on_changes_nothing(recordings, tmp_path):
    """2N steps equal N steps, kill, resume, N steps."""
    whole = list(pretrain(recordings, small(6), tmp_path / "whole", MACHINE))
    halves = list(pretrain(recordings, small(3), tmp_path / "halves", MACHINE))
    halves += list(pretrain(recordings, small(6), tmp_path / "halves", MACHINE))
    assert [s.step for s in halves] == [1, 2, 3, 4, 5, 6]
    assert [s.loss for s in halves] == [s.loss for s in whole]
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "halves"))


def test_a_killed_run_goes_on_from_its_last_checkpoint(recordings, tmp_path):
    steps = pretrain(recordings, small(5), tmp_path / "c", MACHINE, save_every_s=0.0)
    for _ in range(2):
        next(steps)
    steps.close()  # as a kill would, nothing more is written
    assert load(tmp_path / "c").step == 2
    rest = list(pretrain(recordings, small(5), tmp_path / "c", MACHINE))
    assert [s.step for s in rest] == [3, 4, 5]
    list(pretrain(recordings, small(5), tmp_path / "whole", MACHINE))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "c"))


def test_a_finished_run_does_nothing(recordings, tmp_path):
    list(pretrain(recordings, small(1), tmp_path / "c", MACHINE))
    assert list(pretrain(recordings, small(1), tmp_path / "c", MACHINE)) == []


def test_ctrl_c_finishes_the_step_and_keeps_it(recordings, tmp_path):
    steps = pretrain(recordings, small(50), tmp_path / "c", MACHINE)
    next(steps)
    os.kill(os.getpid(), signal.SIGINT)
    assert next(steps).step == 2
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert load(tmp_path / "c").step == 2


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 1e-2}, {"seed": 1}, {"batch_size": 3}],
    ids=lambda change: next(iter(change)),
)
def test_another_run_s_checkpoint_is_refused(recordings, tmp_path, change):
    list(pretrain(recordings, small(1), tmp_path / "c", MACHINE))
    with pytest.raises(CheckpointError, match="other settings"):
        next(pretrain(recordings, small(2, **change), tmp_path / "c", MACHINE))


def test_a_checkpoint_of_other_disguises_is_refused(recordings, tmp_path):
    config = small(1)
    list(pretrain(recordings, config, tmp_path / "c", MACHINE))
    other = replace(small(2), disguise=replace(config.disguise, max_roll=1))
    with pytest.raises(CheckpointError, match="other settings"):
        next(pretrain(recordings, other, tmp_path / "c", MACHINE))


def test_another_preset_s_checkpoint_is_refused(recordings, tmp_path):
    list(pretrain(recordings, small(1), tmp_path / "c", MACHINE))
    with pytest.raises(CheckpointError, match="preset 'tiny', not 'other'"):
        next(pretrain(recordings, replace(small(2), preset="other"), tmp_path / "c", MACHINE))


def test_other_recordings_are_refused(recordings, tmp_path):
    list(pretrain(recordings, small(1), tmp_path / "c", MACHINE))
    with pytest.raises(CheckpointError, match="other recordings"):
        next(pretrain(recordings[1:], small(2), tmp_path / "c", MACHINE))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
    recordings, tmp_path, monkeypatch
):
    list(pretrain(recordings, small(2), tmp_path / "c", MACHINE))
    monkeypatch.setattr(Pemr, "losses", lambda *_: Losses(*[torch.tensor(float("nan"))] * 4))
    with pytest.raises(
        TrainingError,
        match=r"step 3 \(positive, negative, prediction\) is not finite, on .*\.wav.*checkpoint",
    ):
        list(pretrain(recordings, small(4), tmp_path / "c", MACHINE))
    assert load(tmp_path / "c").step == 2


def test_a_full_disk_keeps_the_last_checkpoint(recordings, tmp_path, monkeypatch):
    steps = pretrain(recordings, small(3), tmp_path / "c", MACHINE, save_every_s=0.0)
    next(steps)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pemr.model.checkpoint.os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        list(steps)
    assert load(tmp_path / "c").step == 1


def test_too_few_recordings_leave_no_checkpoint(recordings, tmp_path):
    with pytest.raises(TrainingError, match="do not fill one batch"):
        next(pretrain(recordings, small(1, batch_size=16), tmp_path / "c", MACHINE))
    assert not is_checkpoint(tmp_path / "c")


def test_a_step_tells_losses_and_times(recordings, tmp_path):
    step = next(pretrain(recordings, small(1), tmp_path / "c", MACHINE))
    assert (step.step, step.n_steps) == (1, 1)
    expected = np.dot([1, 0.005, 0.01], list(step.parts.values()))
    assert step.loss == pytest.approx(expected, rel=1e-5)
    assert 0 <= step.waited_s <= step.took_s


def test_mixed_precision_trains_too(recordings, tmp_path):
    full = list(pretrain(recordings, small(2), tmp_path / "full", MACHINE))
    mixed = list(pretrain(recordings, small(2), tmp_path / "mixed", Machine(is_mixed=True)))
    assert mixed[0].loss == pytest.approx(full[0].loss, rel=0.1)


def test_the_learning_rate_rises_and_stays():
    task = Pretraining([], small(n_steps=9, warm_up=4))
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = []
    for step in range(6):
        task.pace(optimiser, step)
        rates.append(optimiser.param_groups[0]["lr"] / task.config.pretrain.learning_rate)
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_log_needs_tensorboard(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainingError, match=r"pemr-covers\[log\]"):
        next(logged(iter([]), tmp_path))


def test_a_log_holds_each_loss_of_each_step(recordings, tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path / "log")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            written.append("closed")

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

    fake = types.ModuleType("tensorboard")
    fake.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    steps = pretrain(recordings, small(2), tmp_path / "c", MACHINE)
    told = list(logged(steps, tmp_path / "log"))
    assert [step.step for step in told] == [1, 2]
    assert ("loss/total", told[1].loss, 2) in written
    assert written[-1] == "closed"


def test_tensorboard_itself_reads_the_log(recordings, tmp_path):
    pytest.importorskip("tensorboard", reason="pemr-covers[log] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = list(logged(pretrain(recordings, small(2), tmp_path / "c", MACHINE), tmp_path / "log"))
    kept = EventAccumulator(str(tmp_path / "log")).Reload()
    losses = kept.Scalars("loss/total")
    assert [(one.step, pytest.approx(one.value)) for one in losses] == [
        (step.step, step.loss) for step in told
    ]
    assert len(kept.Scalars("steps per second")) == 2


def test_a_run_is_summed_up():
    steps = [
        Step(i + 1, 20, 5.0 - i / 4, {"positive": 4.0, "negative": 1.0}, 0.1, 0.5)
        for i in range(20)
    ]
    row = run_row(steps)
    assert row["steps"] == 20
    assert row["loss"] == pytest.approx((5.0 - 18 / 4 + 5.0 - 19 / 4) / 2)
    assert row["steps per second"] == pytest.approx(2.0)
    assert row["share of time waiting for data"] == pytest.approx(0.2)
    assert run_row([]) == {}
    assert str(steps[0]) == "loss 5.000, positive 4.000, negative 1.000"


TWO_PROCESSES = """
import sys
from pathlib import Path
from dataclasses import replace
from pemr.presets import paper, tiny
from pemr.training.data import Prepared, prepare
from pemr.training.loop import train
from pemr.training.machine import find_machine
from pemr.training.pretrain import Pretraining
root = Path(sys.argv[1])
config = tiny()
config = replace(config, pretrain=replace(config.pretrain, n_steps=2, batch_size=4))
recordings = list(prepare(root / "music", config.front_end, root / "cache"))
machine = replace(find_machine("cpu", 1), is_mixed=False)
steps = list(train(Pretraining(recordings, config), root / "two", machine))
assert len(steps) == 2 and machine.world == 2, machine
"""


@pytest.mark.slow
def test_two_processes_train_one_model(recordings, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    root = Path(__file__).parents[2]
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29517"]
    done = subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "two").step == 2


def test_the_loss_of_the_first_steps_is_the_golden_one():
    """One thread on a CPU, in a process of its own, for it computes in double precision."""
    command = [sys.executable, GOLDEN.parent / "regenerate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_paper_s_length_is_that_of_its_epochs_on_any_data_set():
    clip = Prepared(Path("a.wav"), Path("a.npy"), 1)
    assert Pretraining([clip] * 18_706, paper()).n_steps == 116_700  # paper.md §4
    assert Pretraining([clip] * 443, paper()).n_steps == 300 * 9
    assert Pretraining([clip] * 443, small(7)).n_steps == 7


def test_every_step_is_taken_in_training_mode(recordings, tmp_path, monkeypatch):
    modes, forward = [], Pemr.forward

    def noted(self, *given):
        modes.append({module.training for module in self.modules()})
        return forward(self, *given)

    monkeypatch.setattr(Pemr, "forward", noted)
    list(pretrain(recordings, small(2), tmp_path / "c", MACHINE))
    assert modes == [{True}] * 2
