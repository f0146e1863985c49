#!/usr/bin/env python
"""Does PEMR learn, and does its mask help?

    scripts/bench/mask_ablation.py classes|covers --work DIR [--steps N] [--seeds N] [--out STEM]

Trains PEMR and what it is compared with for as many steps, on music made by
`synthetic_music.py`, and measures the frozen feature: `classes` by the accuracy of a linear probe
on eight classes of sound (log-mel, as in the paper), `covers` by MAP over 40 works of four
performances in other keys, tempi and sounds (semitone spectrograms). Scores are kept in DIR, so
that a stopped run goes on. With --out, STEM.md and STEM.json are written.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from synthetic_music import class_recordings, cover_recordings

from pemr.config import Config, FcnConfig, MaskConfig, SemitoneConfig, SpectrogramViewConfig
from pemr.model.checkpoint import load
from pemr.model.encoder import build_encoder
from pemr.presets import tiny
from pemr.signal.crops import pieces
from pemr.training.data import Recording
from pemr.training.machine import Machine
from pemr.training.pretrain import pretrain
from pemr.training.probe import ProbeOptions, ProbeReport, probe, settle_norms
from pemr.training.tagging import Clip, LabelledSet
from retrieval.metrics import average_precision, rank_relevant

MACHINE = Machine(n_workers=1)

ARMS: dict[str, Callable[[Config], Config] | None] = {
    "untrained": None,
    "PEMR": lambda config: config,
    "without L_neg": lambda config: replace(config, loss=replace(config.loss, negative=0.0)),
    "random mask": lambda config: replace(config, mask=replace(config.mask, kind="random")),
    "without L_pred": lambda config: replace(config, loss=replace(config.loss, prediction=0.0)),
}


def main() -> None:
    """Run what is not done yet, print the table, write it when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["classes", "covers"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    task = {"classes": Classes, "covers": Covers}[asked.task](asked.work)
    done = asked.work / f"{asked.task}-{asked.steps}.json"
    scores = json.loads(done.read_text()) if done.is_file() else {}
    for seed in range(asked.seeds):
        for arm in ARMS:
            if f"{arm}/{seed}" in scores:
                continue
            began = time.process_time()
            scores[f"{arm}/{seed}"] = task.score(*trained(task, arm, seed, asked), seed)
            spent = time.process_time() - began
            print(f"{arm} seed {seed}: {scores[f'{arm}/{seed}']:.3f} ({spent:.0f} s)", flush=True)
            done.write_text(json.dumps(scores, indent=1))
    table = table_of(scores, asked.seeds)
    print(table)
    if asked.out:
        write(asked.out, asked, task, scores, table)


def trained(
    task: "Classes | Covers", arm: str, seed: int, asked: argparse.Namespace
) -> tuple[torch.nn.Module, Config]:
    """Pretrain one arm; give its encoder."""
    base = task.config()
    recipe = replace(base.pretrain, n_steps=asked.steps, seed=seed)
    config = replace(base, preset=f"{asked.task} {arm}", pretrain=recipe)
    change = ARMS[arm]
    torch.manual_seed(seed)
    if change is None:
        return build_encoder(config), config
    config = change(config)
    out = asked.work / "runs" / f"{asked.task}-{asked.steps}-{arm.replace(' ', '-')}-{seed}"
    for _ in pretrain(task.unlabelled, config, out, MACHINE):
        pass
    weights = load(out).weights
    encoder = build_encoder(config)
    prefix = "encoder."
    encoder.load_state_dict(
        {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    )
    return encoder, config


class Classes:
    """Eight classes of sound; accuracy of a linear probe."""

    measure = "accuracy"
    what = "8 classes: 512 unlabelled recordings of 7 s; probe on 320 / 80 / 240 others"

    def __init__(self, work: Path) -> None:
        self.unlabelled, _ = class_recordings(work / "unlabelled", 512, seed=11)
        self.recordings, labels = class_recordings(work / "labelled", 640, seed=1)
        clips = [Clip(r.path, (label,)) for r, label in zip(self.recordings, labels, strict=True)]
        parts = tuple(clips[:320]), tuple(clips[320:400]), tuple(clips[400:])
        self.labelled = LabelledSet("classes", "genres", tuple("abcdefgh"), *parts, 0)

    def config(self) -> Config:
        """Give the tiny preset."""
        return tiny()

    def score(self, encoder: torch.nn.Module, config: Config, seed: int) -> float:
        """Probe the frozen encoder."""
        options = ProbeOptions(seed=seed, max_epochs=200)
        *_, report = probe(encoder, config, self.labelled, self.recordings, MACHINE, options)
        return report.accuracy if isinstance(report, ProbeReport) and report.accuracy else 0.0


class Covers:
    """Forty works of four performances; MAP of the mean feature."""

    measure = "MAP"
    what = "covers: 256 unlabelled recordings of 24 s; 40 other works x 4 performances"

    def __init__(self, work: Path) -> None:
        self.unlabelled, _ = cover_recordings(work / "other-works", 256, 1, seed=11)
        self.recordings, self.works = cover_recordings(work / "works", 40, 4, seed=1)

    def config(self) -> Config:
        """Give a small network on 10 s of semitone spectrogram."""
        base = tiny()
        return replace(
            base,
            front_end=SemitoneConfig(n_frames=50),
            view=SpectrogramViewConfig(),
            mask=MaskConfig(n_layers=2, n_heads=2, d_key=16, d_feedforward=64),
            encoder=FcnConfig(channels=(16, 32, 32), pools=((3, 3), (4, 4), (7, 2))),
        )

    def score(self, encoder: torch.nn.Module, config: Config, _: int) -> float:
        """Rank all recordings by the cosine of their mean features, centred over the set."""
        settle_norms(encoder, self.unlabelled, config, MACHINE)
        features = np.array([mean_feature(encoder, r, config) for r in self.recordings])
        features -= features.mean(axis=0)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        works = np.array(self.works)
        relevant = works[:, None] == works
        np.fill_diagonal(relevant, val=False)
        own = np.arange(len(works))
        ranks = rank_relevant(features @ features.T, relevant, own)
        return float(average_precision(ranks).mean())


def mean_feature(encoder: torch.nn.Module, recording: Recording, config: Config) -> np.ndarray:
    """Average the features of a recording's pieces."""
    with torch.no_grad():
        return encoder(pieces(np.load(recording.cached), config.front_end)).mean(dim=0).numpy()


def table_of(scores: dict[str, float], n_seeds: int) -> str:
    """Give mean and standard deviation of each arm, and its paired difference from PEMR."""
    full = np.array([scores[f"PEMR/{seed}"] for seed in range(n_seeds)])
    lines = ["| trained as | mean | deviation | minus PEMR, by seed |", "|---|---|---|---|"]
    for arm in ARMS:
        values = np.array([scores[f"{arm}/{seed}"] for seed in range(n_seeds)])
        differences = ", ".join(f"{d:+.3f}" for d in values - full)
        lines.append(f"| {arm} | {values.mean():.3f} | {values.std(ddof=1):.3f} | {differences} |")
    return "\n".join(lines)


def write(
    stem: Path,
    asked: argparse.Namespace,
    task: Classes | Covers,
    scores: dict[str, float],
    table: str,
) -> None:
    """Write the table and what it takes to make it again."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    command = f"scripts/bench/mask_ablation.py {shlex.join(sys.argv[1:])}"
    facts = {
        "benchmark": f"mask ablation, {asked.task}",
        "command": command,
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": f"{platform.machine()}, one thread",
        "versions": {name: version(name) for name in ("torch", "numpy")},
        "steps": asked.steps,
        "batch_size": task.config().pretrain.batch_size,
        "data": task.what,
        "measure": task.measure,
        "scores": scores,
    }
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    told = "\n".join(f"- {k}: {v}" for k, v in facts.items() if k not in {"scores", "versions"})
    stem.with_suffix(".md").write_text(f"# Mask ablation: {asked.task}\n\n{told}\n\n{table}\n")


if __name__ == "__main__":
    main()
