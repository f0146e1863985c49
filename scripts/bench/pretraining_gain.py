#!/usr/bin/env python
"""Measure what PEMR gives the cover encoder: its pretraining, and its frame mask.

    scripts/bench/pretraining_gain.py --corpus MANIFEST --dev MANIFEST --work FOLDER
        [--pretrain-steps 500] [--pretrain-batch 32] [--steps 100] [--batch 24]
        [--seeds 3] [--out STEM]

PEMR is trained once on the corpus without labels. For each seed, an encoder is then
fine-tuned from random weights and from those, with the same steps and batches, on
10 % and on all of the labelled works; and on all of them twice more from random
weights with frames of half of the crops replaced: those that PEMR's mask calls
inessential, and as many at random. Each row is the MAP on --dev, mean and standard
deviation over the seeds, and how many seeds are above random weights. What is done is
kept in --work, so a run that was stopped goes on.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from pemr.config import Config
from pemr.embed import Embedder
from pemr.model.checkpoint import load
from pemr.model.mask import crucial_frames, importance
from pemr.model.pemr import Pemr
from pemr.presets import cover
from pemr.training.cliques import Member, read_manifest, usable
from pemr.training.finetune import Finetuning
from pemr.training.labelled import embedded
from pemr.training.loop import Scored, train
from pemr.training.machine import Machine, find_machine
from pemr.training.pretrain import Pretraining
from retrieval import trace, validation_map, write_rows

SHARES = (0.1, 1.0)
RANDOM = "random"
MASKED = 0.5  # of the crops

Augment = Callable[[Tensor, Generator], Tensor]


def recipe(seed: int, options: argparse.Namespace) -> Config:
    """Return the preset with this experiment's lengths and seed."""
    base = cover()
    n_steps, n_items = options.steps, options.batch
    pretrain_recipe = replace(
        base.pretrain,
        n_steps=options.pretrain_steps,
        batch_size=options.pretrain_batch,
        seed=seed,
    )
    tuning = replace(
        base.finetune,
        n_steps=n_steps,
        score_every=n_steps,
        easy=n_steps // 2,
        n_cliques=n_items,
        seed=seed,
    )
    return replace(base, pretrain=pretrain_recipe, finetune=tuning)


def some(performances: list[Member], share: float, seed: int) -> list[Member]:
    """Keep a share of the works, another for each seed."""
    works = sorted({performance.clique for performance in performances})
    order = np.random.default_rng(seed).permutation(len(works))
    kept = {works[i] for i in order[: round(share * len(works))]}
    return [performance for performance in performances if performance.clique in kept]


def frames_masked(pretrained: Path, *, at_random: bool) -> Augment:
    """Replace frames of some of the crops, as PEMR's positive view does.

    What `pretrained` holds decides which frames, and what stands in their place;
    with `at_random` only the latter.
    """
    stored = load(pretrained)
    model = Pemr(stored.config)
    model.load_state_dict(stored.weights)
    model.eval()

    def augment(crops: Tensor, generator: Generator) -> Tensor:  # (B, F, T), dB
        with torch.no_grad():
            scores = torch.rand(crops.shape[::2], generator=generator)
            if not at_random:
                scores = importance(model.transformer, crops, crops)
            positive, _ = model.mask(crops, crucial_frames(scores, stored.config.mask.ratio))
        is_masked = torch.rand(len(crops), 1, 1, generator=generator) < MASKED
        return torch.where(is_masked, positive, crops)

    return augment


def arms(pretrained: Path, share: float) -> dict[str, tuple[Path | None, Augment | None]]:
    """Return what each arm starts from, and what it does to its crops."""
    initialised: dict[str, tuple[Path | None, Augment | None]] = {
        RANDOM: (None, None),
        "PEMR": (pretrained, None),
    }
    if share < 1.0:
        return initialised
    return initialised | {
        "random, PEMR's mask": (None, frames_masked(pretrained, at_random=False)),
        "random, random mask": (None, frames_masked(pretrained, at_random=True)),
    }


def train_without_labels(
    performances: list[Member], config: Config, out: Path, machine: Machine
) -> None:
    """Train PEMR, and say now and then how far it is."""
    recordings = [performance.recording for performance in performances]
    for step in train(Pretraining(recordings, config), out, machine):
        if step.step % 50 == 0:
            print(f"PEMR, step {step.step}: {step}", flush=True)


def tuned(task: Finetuning, out: Path, machine: Machine) -> float:
    """Fine-tune, or take the score of what was tuned before."""
    scores = [event.score for event in train(task, out, machine) if isinstance(event, Scored)]
    if scores:
        (out / "map.txt").write_text(f"{scores[-1]}\n", encoding="utf-8")
    return float((out / "map.txt").read_text(encoding="utf-8"))


def summed_up(found: dict[tuple[str, float], list[float]]) -> list[dict[str, str]]:
    """Make a row of each arm and share."""
    return [
        {
            "arm": arm,
            "labelled works": f"{share:.0%}",
            "MAP": f"{np.mean(scores):.4f}",
            "deviation": f"{np.std(scores):.4f}",
            "seeds": str(len(scores)),
            "above random": str(sum(np.greater(scores, found[RANDOM, share]))),
        }
        for (arm, share), scores in found.items()
    ]


def main() -> None:
    """Print a row for each arm and share of labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--corpus", "--dev", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--pretrain-steps", type=int, default=500)
    parser.add_argument("--pretrain-batch", type=int, default=32, help="recordings a step")
    parser.add_argument("--steps", type=int, default=100, help="of fine-tuning")
    parser.add_argument("--batch", type=int, default=24, help="cliques a step")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="stem of a JSON file")
    options = parser.parse_args()

    machine = find_machine()
    performances, judged = read_manifest(options.corpus), read_manifest(options.dev)

    def score(embedder: Embedder) -> float:
        return validation_map(embedded(embedder, judged), [one.clique for one in judged])

    found: dict[tuple[str, float], list[float]] = {}
    pretrained = options.work / "pemr"
    train_without_labels(performances, recipe(0, options), pretrained, machine)
    for seed in range(options.seeds):
        config, folder = recipe(seed, options), options.work / str(seed)
        for share in SHARES:
            cliques = usable(some(performances, share, seed))
            for arm, (init, augment) in arms(pretrained, share).items():
                out = folder / f"{arm}-{share:g}"
                task = Finetuning(
                    cliques=cliques, config=config, score=score, init=init, augment=augment
                )
                found.setdefault((arm, share), []).append(tuned(task, out, machine))
                print(f"seed {seed}, {arm}, {share:.0%}: {found[arm, share][-1]:.4f}", flush=True)
    rows = summed_up(found)
    for row in rows:
        print("  ".join(row.values()))
    if options.out:
        command = shlex.join(
            [
                "scripts/bench/pretraining_gain.py",
                *("/".join(Path(word).parts[-2:]) for word in sys.argv[1:]),
            ]
        )
        write_rows(rows, "cover", trace(command), options.out.with_suffix(".json"))


if __name__ == "__main__":
    main()
