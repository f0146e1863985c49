#!/usr/bin/env python
"""Does PEMR learn, and does its mask help?

    scripts/bench/mask_ablation.py --work DIR [--steps N] [--seeds S...] [--arms A...] [--out STEM]

Trains PEMR and what it is compared with for as many steps, on music made by `synthetic_music.py`,
and measures the frozen feature twice: by the accuracy of a linear probe on eight classes of sound,
and by MAP over 40 works of four performances. Each score is kept in DIR, so that a stopped run
goes on, and several runs may share the seeds. With --out, STEM.md and STEM.json are written.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from synthetic_music import class_recordings, cover_recordings

from pemr.config import Config, FcnConfig, MelConfig, ModelConfig
from pemr.model.encoder import build_encoder, pretrained_encoder
from pemr.presets import tiny
from pemr.signal.crops import pieces
from pemr.training.data import Prepared
from pemr.training.loop import train
from pemr.training.machine import Machine
from pemr.training.norms import settle_norms
from pemr.training.pretrain import Pretraining
from pemr.training.probing.probe import ProbeOptions, ProbeReport, probe
from pemr.training.probing.tagging import Clip, LabelledSet
from retrieval.measuring.metrics import average_precision, rank_relevant

MACHINE = Machine(n_workers=1)
SAMPLE_RATE = 2_000  # Hz
WHAT = (
    "synthesised at 2 kHz; pretraining: 384 recordings of 10 s and 128 of 12 s; "
    "classes: 8, probe on 320 / 80 / 240 others; covers: 40 other works x 4 performances of 12 s"
)

Scores = dict[str, dict[str, float]]  # by "arm/seed", then by measure

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
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tasks = (Classes(asked.work), Covers(asked.work))
    unlabelled, _ = class_recordings(asked.work / "unlabelled", 384, 11, SAMPLE_RATE)
    unlabelled += cover_recordings(asked.work / "other-works", 128, 1, 11, SAMPLE_RATE)[0]
    scores: Scores = {}
    for seed in asked.seeds:
        for arm in asked.arms:
            kept = asked.work / f"{asked.steps}-{arm.replace(' ', '-')}-{seed}.json"
            if not kept.is_file():
                encoder, config = trained(unlabelled, arm, seed, asked)
                found = {task.measure: task.score(encoder, config, seed) for task in tasks}
                kept.write_text(json.dumps(found))
                print(f"{arm} seed {seed}: {found}", flush=True)
            scores[f"{arm}/{seed}"] = json.loads(kept.read_text())
    table = "\n\n".join(table_of(scores, task.measure, asked) for task in tasks)
    print(table)
    if asked.out:
        write(asked.out, asked, scores, table)


def small() -> Config:
    """Return `tiny()` at half its sample rate and without dropout, for more steps a minute."""
    base = tiny()
    return replace(
        base,
        preset="mask ablation",
        front_end=MelConfig(sample_rate=SAMPLE_RATE, filter_rate=SAMPLE_RATE, segment_length=4_096),
        mask=replace(base.mask, dropout=0.0),
        view=replace(base.view, reverb=0.3),
        encoder=FcnConfig(channels=(8, 16, 32), pools=((4, 4), (4, 4), (4, 2))),
    )


def trained(
    unlabelled: list[Prepared], arm: str, seed: int, asked: argparse.Namespace
) -> tuple[torch.nn.Module, ModelConfig]:
    """Pretrain one arm; give its encoder."""
    base = small()
    config = replace(base, pretrain=replace(base.pretrain, n_steps=asked.steps, seed=seed))
    change = ARMS[arm]
    torch.manual_seed(seed)
    if change is None:
        return build_encoder(config), config
    out = asked.work / "runs" / f"{asked.steps}-{arm.replace(' ', '-')}-{seed}"
    for _ in train(Pretraining(unlabelled, change(config)), out, MACHINE):
        pass
    return pretrained_encoder(out)


class Classes:
    """Eight classes of sound; accuracy of a linear probe."""

    measure = "accuracy"

    def __init__(self, work: Path) -> None:
        self.recordings, labels = class_recordings(work / "classes", 640, 1, SAMPLE_RATE)
        clips = [Clip(r.path, (c,)) for r, c in zip(self.recordings, labels, strict=True)]
        parts = tuple(clips[:320]), tuple(clips[320:400]), tuple(clips[400:])
        self.labelled = LabelledSet("classes", "genres", tuple("abcdefgh"), *parts, 0)

    def score(self, encoder: torch.nn.Module, config: Config, seed: int) -> float:
        """Probe the frozen encoder."""
        options = ProbeOptions(seed=seed, max_epochs=100)
        *_, report = probe(encoder, config, self.labelled, self.recordings, MACHINE, options)
        return report.accuracy if isinstance(report, ProbeReport) and report.accuracy else 0.0


class Covers:
    """Forty works of four performances; MAP of the mean feature."""

    measure = "MAP"

    def __init__(self, work: Path) -> None:
        self.recordings, self.works = cover_recordings(work / "works", 40, 4, 1, SAMPLE_RATE)

    def score(self, encoder: torch.nn.Module, config: Config, _: int) -> float:
        """Rank all recordings by the cosine of their mean features, centred over the set."""
        settle_norms(encoder, self.recordings, config, MACHINE)
        features = np.array([mean_feature(encoder, r, config) for r in self.recordings])
        features -= features.mean(axis=0)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        works = np.array(self.works)
        ranks = rank_relevant(features @ features.T, works[:, None] == works, np.arange(len(works)))
        return float(average_precision(ranks).mean())


def mean_feature(encoder: torch.nn.Module, recording: Prepared, config: Config) -> np.ndarray:
    """Average the features of a recording's pieces."""
    with torch.no_grad():
        return encoder(pieces(np.load(recording.cached), config.front_end)).mean(dim=0).numpy()


def table_of(scores: Scores, measure: str, asked: argparse.Namespace) -> str:
    """Return mean and standard deviation of each arm, and its paired difference from PEMR."""
    found = {
        arm: np.array([scores[f"{arm}/{seed}"][measure] for seed in asked.seeds])
        for arm in asked.arms
    }
    lines = [f"| {measure} of | mean | deviation | minus PEMR, by seed |", "|---|---|---|---|"]
    for arm, values in found.items():
        differences = ", ".join(f"{d:+.3f}" for d in values - found["PEMR"])
        deviation = values.std(ddof=min(1, len(values) - 1))
        lines.append(f"| {arm} | {values.mean():.3f} | {deviation:.3f} | {differences} |")
    return "\n".join(lines)


def write(stem: Path, asked: argparse.Namespace, scores: Scores, table: str) -> None:
    """Write the table and what it takes to make it again."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    command = f"scripts/bench/mask_ablation.py {shlex.join(sys.argv[1:])}"
    facts = {
        "benchmark": "mask ablation",
        "command": command,
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": f"{platform.machine()}, one thread",
        "versions": {name: version(name) for name in ("torch", "numpy")},
        "steps": asked.steps,
        "batch_size": small().pretrain.batch_size,
        "data": WHAT,
        "scores": scores,
    }
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    told = "\n".join(f"- {k}: {v}" for k, v in facts.items() if k not in {"scores", "versions"})
    stem.with_suffix(".md").write_text(f"# Mask ablation\n\n{told}\n\n{table}\n")


if __name__ == "__main__":
    main()
