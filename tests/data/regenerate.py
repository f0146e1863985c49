"""Make the golden files of this folder again, or check that they still hold.

    python tests/data/regenerate.py [--check]

A golden file may change only where a change of the computation is meant.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from pemr.presets import tiny
from pemr.training.data import Prepared, TwoViews, Views
from pemr.training.loop import train
from pemr.training.machine import Machine
from pemr.training.pretrain import Pretraining

HERE = Path(__file__).parent
TOLERANCE = 1e-3  # relative
N_STEPS = 10


class DoubleViews(TwoViews):
    """The same views in double precision."""

    def __call__(self, step: int) -> Views:
        views = super().__call__(step)
        return replace(views, first=views.first.double(), second=views.second.double())


def pretrain_trace() -> list[float]:
    """Losses of the first steps of `tiny()`, on one thread, on chords drawn from a seed.

    In double precision, and no more than ten steps: the mask picks whole frames, so that in single
    precision processors with other instructions part ways at the second step already.
    """
    config = tiny()
    config = replace(config, pretrain=replace(config.pretrain, n_steps=N_STEPS))
    n_threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            patch("pemr.training.pretrain.TwoViews", DoubleViews),
        ):
            recordings = _chords(Path(folder), config.front_end.sample_rate)
            steps = train(Pretraining(recordings, config), Path(folder) / "out", Machine())
            return [step.loss for step in steps]
    finally:
        torch.set_num_threads(n_threads)
        torch.set_default_dtype(dtype)


GOLDENS: dict[str, Callable[[], list[float]]] = {"pretrain_tiny.json": pretrain_trace}


def main() -> int:
    """Write every golden file, or compare with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    is_check = parser.parse_args().check
    changed = []
    for name, make in GOLDENS.items():
        values, file = make(), HERE / name
        stored = json.loads(file.read_text()) if file.is_file() else []
        if len(values) != len(stored) or not np.allclose(values, stored, rtol=TOLERANCE, atol=0):
            changed.append(name)
        if not is_check:
            file.write_text(
                json.dumps([float(f"{value:.7g}") for value in values], indent=1) + "\n"
            )
    sys.stdout.write(f"{len(changed)} of {len(GOLDENS)} changed: {', '.join(changed) or 'none'}\n")
    return int(is_check and bool(changed))


def _chords(folder: Path, sample_rate: int) -> list[Prepared]:
    """Sixteen recordings of three seconds: a chord that swells, and some noise."""
    recordings = []
    time = np.arange(3 * sample_rate) / sample_rate
    for index in range(16):
        rng = np.random.default_rng(index)
        hz = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
        chord = np.sin(2 * np.pi * np.outer(hz, time)).sum(0) * (1 + np.sin(7 * time + index))
        waveform = 4000 * chord + 100 * rng.standard_normal(len(time))
        cached = folder / f"{index}.npy"
        np.save(cached, waveform.astype(np.int16))
        recordings.append(Prepared(cached, cached, len(time)))
    return recordings


if __name__ == "__main__":
    sys.exit(main())
