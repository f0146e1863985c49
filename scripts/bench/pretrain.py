#!/usr/bin/env python
"""Measure pretraining: steps a second, the share of time waiting for data, the whole recipe's time.

    scripts/bench/pretrain.py [--preset paper] [--steps 12] [--device cpu] [--out STEM]

Recordings of noise in a temporary cache stand for music: what is timed does not depend on what
sounds. The first step is not counted. With --out, STEM.md and STEM.json are written.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from pemr.config import Config, SemitoneConfig
from pemr.presets import named
from pemr.training.data import Prepared
from pemr.training.loop import train
from pemr.training.machine import Machine, find_machine
from pemr.training.pretrain import Pretraining

N_WARM_UP = 1
N_CLIPS = 18_706  # that MagnaTagATune trains on


def main() -> None:
    """Time some steps, print the figures, write them when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--float32", action="store_true", help="no mixed precision")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    config, machine = named(asked.preset), find_machine(asked.device, asked.workers)
    machine = replace(machine, is_mixed=machine.is_mixed and not asked.float32)
    facts = {**provenance(machine), "preset": asked.preset, **timed(config, machine, asked.steps)}
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    table = f"| what | value |\n|---|---|\n{table}\n"
    print(table)
    if asked.out:
        asked.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
        asked.out.with_suffix(".md").write_text(f"# Speed of pretraining\n\n{table}")


def timed(config: Config, machine: Machine, n_steps: int) -> dict[str, object]:
    """Train for some steps; give speed, waiting, and what the whole recipe would take."""
    epochs = config.pretrain.n_epochs * (N_CLIPS // config.pretrain.batch_size)
    whole = config.pretrain.n_steps or epochs
    config = replace(config, pretrain=replace(config.pretrain, n_steps=N_WARM_UP + n_steps))
    with tempfile.TemporaryDirectory() as folder:
        recordings = noise(Path(folder), config)
        steps, spent_s = [], []
        for step in train(Pretraining(recordings, config), Path(folder) / "out", machine):
            steps.append(step)
            spent_s.append(time.process_time())
        steps, spent_s = steps[N_WARM_UP:], spent_s[N_WARM_UP - 1 :]
    took_s = float(np.median([step.took_s for step in steps]))
    processor_s = (spent_s[-1] - spent_s[0]) / len(steps)
    idle_s = processor_s / machine_cores(machine)
    waited = sum(step.waited_s for step in steps) / sum(step.took_s for step in steps)
    return {
        "batch size": config.pretrain.batch_size,
        "steps timed": n_steps,
        "seconds a step (median)": round(took_s, 4),
        "processor seconds a step": round(processor_s, 4),
        "steps a second": round(1 / took_s, 3),
        "share of time waiting for data": round(waited, 4),
        "steps of the whole recipe": whole,
        "hours of the whole recipe at this speed": round(whole * took_s / 3600, 1),
        "hours of it on idle cores (processor seconds)": round(whole * idle_s / 3600, 1),
    }


def machine_cores(machine: Machine) -> int:
    """Return the cores that share a step; a GPU's step is not timed by them."""
    return (os.cpu_count() or 1) if machine.device == "cpu" else 1


def noise(folder: Path, config: Config) -> list[Prepared]:
    """Write half a minute of noise for each recording of two batches."""
    rng = np.random.default_rng(0)
    recordings = []
    for index in range(2 * config.pretrain.batch_size):
        if isinstance(config.front_end, SemitoneConfig):
            content = rng.integers(0, 255, (84, 300)).astype(np.uint8)
        else:
            length = 29 * config.front_end.sample_rate
            content = rng.integers(-9000, 9000, length).astype(np.int16)
        file = folder / f"{index}.npy"
        np.save(file, content)
        recordings.append(Prepared(file, file, content.shape[-1]))
    return recordings


def provenance(machine: Machine) -> dict[str, object]:
    """Say what was run on what."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    is_gpu = machine.device.startswith("cuda")
    where = torch.cuda.get_device_name() if is_gpu else platform.processor() or platform.machine()
    return {
        "command": f"scripts/bench/pretrain.py {shlex.join(sys.argv[1:])}",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": where,
        "cores": os.cpu_count(),
        "load of the machine before": round(os.getloadavg()[0], 1),
        "threads of torch": torch.get_num_threads(),
        "precision": "bfloat16 where safe" if machine.is_mixed else "float32",
        "torch": version("torch"),
    }


if __name__ == "__main__":
    main()
