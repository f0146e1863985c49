#!/usr/bin/env python
"""Does the frame mask choose? Whether it hides the same frames in two disguises of one moment.

    scripts/bench/mask_overlap.py --work DIR --music DIR [--presets NAME...] [--steps 200]
        [--recordings 16] [--seeds 3] [--out STEM]

--music holds audio, or packed recordings where no preset reads log-mel. The parts of
PEMR that make the mask learn from L_pred alone, so they alone are trained, for --steps. Then the
masks of both views of held moments are compared, as they are drawn in training: which share of the
hidden frames is hidden in both, and which share would be if the moments were others, which is what
chance and habits of place give. A disguise may itself blank a stretch of time, so that is told with
and without. The trained parts are kept in DIR, for `pemr mask`, and not trained again.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from pemr.config import Config, LossConfig, MaskConfig, PredictorConfig
from pemr.model.checkpoint import Checkpoint, is_checkpoint, load, save
from pemr.model.mask import crucial_frames, importance
from pemr.model.pemr import Pemr
from pemr.presets import cover, paper
from pemr.signal.crops import crop_length
from pemr.training.data import Prepared, TwoViews, prepare
from pemr.training.machine import Machine, find_machine
from retrieval import trace, write_rows

N_MOMENTS = 128


def cover_before() -> Config:
    """Return the cover preset with the paper's mask, as it was until it was mended."""
    parts = {"predictor": PredictorConfig(), "loss": LossConfig()}
    return replace(cover(), mask=MaskConfig(filler_db=-50.0), **parts)


PRESETS = {"paper": paper, "cover before": cover_before, "cover": cover}


def trained(config: Config, recordings: list[Prepared], n_steps: int, machine: Machine) -> Pemr:
    """Train what makes the mask, and leave the encoder as it was drawn."""
    torch.manual_seed(config.pretrain.seed)
    model = Pemr(config).train()
    learning = [*model.transformer.parameters(), *model.predictor.parameters()]
    optimiser = torch.optim.Adam(learning, lr=config.pretrain.learning_rate)
    generator = Generator().manual_seed(config.pretrain.seed)
    make = TwoViews(recordings, config, machine)
    for step in range(n_steps):
        views = make(step)
        with machine.autocast():
            losses = [
                model.predictor(model.transformer, view, generator)
                for view in (views.first, views.second)
            ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
    return model


def moments(recordings: Sequence[Prepared], config: Config, folder: Path) -> list[Prepared]:
    """Cut crops from anywhere, each a recording of its own."""
    rng = np.random.default_rng(1)
    length = crop_length(config.front_end)
    folder.mkdir(parents=True, exist_ok=True)
    cut = []
    for i in range(N_MOMENTS):
        recording = recordings[int(rng.integers(len(recordings)))]
        start = int(rng.integers(recording.length - length + 1))
        path = folder / f"{i}.npy"
        np.save(path, np.load(recording.cached, mmap_mode="r")[..., start : start + length])
        cut.append(Prepared(path, path, length))
    return cut


def overlaps(
    model: Pemr, held: list[Prepared], machine: Machine, **disguise: float
) -> tuple[float, float]:
    """Return the share of hidden frames that is hidden in both disguises, and in other moments."""
    base = model.config
    still = replace(
        base,
        disguise=replace(base.disguise, max_stretch=1.0, **disguise),
        pretrain=replace(base.pretrain, batch_size=len(held), seed=2),
    )
    views = TwoViews(held, still, machine)(0)

    def hidden(first: Tensor, second: Tensor) -> Tensor:
        return ~crucial_frames(importance(model.transformer, first, second), base.mask.ratio)

    one, other = hidden(views.second, views.first), hidden(views.first, views.second)
    rates = [mask.float().mean(0) for mask in (one, other)]  # of each place
    chance = (rates[0] * rates[1]).sum() / rates[0].sum()
    return float((one & other).sum() / one.sum()), float(chance)


def kept(model: Pemr, step: int, folder: Path) -> None:
    """Write a checkpoint that `pemr mask` reads."""
    weights, drawn = model.state_dict(), {"seed": model.config.pretrain.seed, "step": step}
    parts = {"step": step, "weights": weights, "optimiser": {}, "randomness": drawn, "data": ""}
    save(folder, Checkpoint(config=model.config, **parts))


def row_of(name: str, asked: argparse.Namespace, machine: Machine) -> dict[str, str]:
    """Train and compare the masks of one preset, for every seed."""
    base = PRESETS[name]()
    prepared = prepare(asked.music, base.front_end, asked.work / "decoded")
    recordings = [one for one in prepared if isinstance(one, Prepared)]
    held = moments(recordings, base, asked.work / f"{name} moments")
    found = []
    for seed in range(asked.seeds):
        recipe = replace(base.pretrain, batch_size=asked.recordings, seed=seed)
        folder = asked.work / f"{name.replace(' ', '-')}-{seed}"
        if is_checkpoint(folder):
            stored = load(folder)
            model = Pemr(stored.config).train()
            model.load_state_dict(stored.weights)
        else:
            model = trained(replace(base, pretrain=recipe), recordings, asked.steps, machine)
            kept(model, asked.steps, folder)
        found.append((*overlaps(model, held, machine), *overlaps(model, held, machine, mask=0.0)))
        print(name, seed, found[-1], flush=True)
    same, chance, clear, clear_chance = np.mean(found, 0)
    return {
        "preset": name,
        "steps": str(asked.steps),
        "seeds": str(asked.seeds),
        "hidden in both": f"{same:.3f}",
        "hidden in other moments": f"{chance:.3f}",
        "times chance": f"{same / chance:.1f}",
        "of each seed": " ".join(f"{row[0] / row[1]:.1f}" for row in found),
        "without blanks": f"{clear:.3f}",
        "times chance, without": f"{clear / clear_chance:.1f}",
    }


def main() -> None:
    """Print a row for each preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["cover before", "cover"])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--recordings", type=int, default=16, help="a step")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    asked = parser.parse_args()
    machine = find_machine(n_workers=1)
    rows = [row_of(name, asked, machine) for name in asked.presets]
    for row in rows:
        print("  ".join(row.values()))
    if asked.out:
        short = ["/".join(Path(word).parts[-2:]) for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/mask_overlap.py", *short])
        write_rows(rows, "frame mask", trace(command), asked.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
