#!/usr/bin/env python
"""Measure what PEMR gives the cover encoder, by an ablation on sets of real and played music.

    scripts/bench/pretraining_gain.py --corpus MANIFEST --music FOLDER --sets FOLDER...
        --work FOLDER [--sound FOLDER] [--steps 1000] [--pretrain-steps 200] [--cliques 12]
        [--recordings 32] [--seeds 3] [--arms NAME...] [--table STEM [--against FOLDER]]

Every arm is an encoder of a sixth of the size of the preset's, tuned on the cliques of
--corpus with the same steps, batches and seeds; for each seed PEMR is pretrained once on
--music, or on --sound. --sets are folders of packed recordings with `cliques.csv`; the last
weights are judged on them, with the batch statistics of --music. What is finished is kept in
--work, so a run that was stopped goes on; --table makes the table of what is there, without
training anything. Differences are to the first arm of the same labels, of another --work where
--against names it: the mean over queries and seeds, with the 95 % interval of a bootstrap over
works and seeds, paired query by query.
"""

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pemr.config import Config, CoverConfig
from pemr.embed import Embedder
from pemr.presets import cover_beside
from pemr.training.cliques import Member, read_manifest, usable
from pemr.training.data import Prepared, prepare
from pemr.training.finetune import Finetuning, tuning
from pemr.training.loop import Step, train
from pemr.training.machine import find_machine
from pemr.training.pretrain import Pretraining
from retrieval import load_benchmark, trace, write_rows
from retrieval.benchmarks.packed import read_parts
from retrieval.measuring.metrics import score_queries
from retrieval.measuring.summary import clique_draws
from retrieval.ranking.nearest import track_scores

ENCODER = CoverConfig(n_stem=6, n_narrow=16, n_wide=32, dim=96, n_dims=64)
WARM_UP = 50  # steps of pretraining
EASY = 200  # steps of tuning
FEW = 0.1  # of the labelled works
HIDDEN = 0.1  # of the frames of a third of the crops
REAL = ("pop-dev", "real-dev")
N_DRAWS = 2_000

Judged = dict[str, list[tuple[str, float]]]
"""Work and average precision of each query, for each set."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """How an encoder comes about."""

    source: str = ""  # what PEMR is pretrained on, if on anything
    mask: str = ""  # in place of the preset's
    has_negative: bool = True
    is_beside: bool = False  # PEMR on real music beside tuning
    is_hidden: bool = False  # frames of some crops, while tuning
    is_longer: bool = False  # by the time that a pretraining takes
    share: float = 1.0  # of the labelled works


FIRST, PRETRAINED = "random weights", "PEMR on real music"
FEW_LABELS = "random weights, a tenth of the works"
PHASES: tuple[dict[str, Arm], ...] = (
    {
        FIRST: Arm(),
        PRETRAINED: Arm(source="music"),
        "PEMR beside tuning": Arm(is_beside=True),
    },
    {"PEMR with a random mask": Arm(source="music", mask="random")},
    {"PEMR without the negative view": Arm(source="music", has_negative=False)},
    {"random weights, with the time of pretraining": Arm(is_longer=True)},
    {"PEMR on the corpus's sound": Arm(source="sound")},
    {"PEMR on real music and beside tuning": Arm(source="music", is_beside=True)},
    {"random weights, a tenth of the frames hidden": Arm(is_hidden=True)},
    {
        FEW_LABELS: Arm(share=FEW),
        "PEMR on real music, a tenth of the works": Arm(source="music", share=FEW),
    },
)
ARMS = {name: arm for phase in PHASES for name, arm in phase.items()}


class Ablation:
    """All arms, and where they are kept."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.machine = find_machine(n_workers=1)
        self.labelled = read_manifest(options.corpus)
        self.unlabelled = {"music": self._prepared(options.music)}
        if options.sound:
            self.unlabelled["sound"] = self._prepared(options.sound)
        self.score = partial(judge, [load_benchmark("packed", folder) for folder in options.sets])

    def run(self) -> None:
        """Train and judge every arm and seed that is not finished yet."""
        for phase in PHASES:
            for seed in range(self.options.seeds):
                for name, arm in phase.items():
                    out = kept(self.options.work, name, seed)
                    is_asked = not self.options.arms or name in self.options.arms
                    is_possible = arm.source in ("", *self.unlabelled)
                    if is_asked and is_possible and not out.is_file():
                        self._tune(arm, seed, out)
                        print(f"{name}, seed {seed}: {told(out)}", flush=True)

    def _prepared(self, folder: Path) -> list[Prepared]:
        cache = self.options.work / "decoded"
        found = prepare(folder, cover_beside().front_end, cache)
        return [one for one in found if isinstance(one, Prepared)]

    def _tune(self, arm: Arm, seed: int, out: Path) -> None:
        init, spent_s = self._pretrain(arm, seed) if arm.source else (None, 0.0)
        config = recipe(self.options, arm, seed)
        if arm.is_longer:
            config = self._longer(config, seed)
        judged: Judged = {}

        def score(embedder: Embedder) -> float:
            judged.update(self.score(embedder))
            return float(np.mean([ap for found in judged.values() for _, ap in found]))

        task = Finetuning(
            cliques=usable(some(self.labelled, arm.share, seed)),
            config=config,
            score=score,
            init=init,
            unlabelled=self.unlabelled["music"],
            augment=some_hidden if arm.is_hidden else None,
        )
        steps_s = timed(train(tuning(task), None, self.machine))
        n_steps = config.finetune.n_steps
        found = {"judged": judged, "steps": n_steps, "pretraining_s": spent_s, "steps_s": steps_s}
        out.write_text(json.dumps(found), encoding="utf-8")

    def _pretrain(self, arm: Arm, seed: int) -> tuple[Path, float]:
        name = "-".join((arm.source, arm.mask or "mask", str(arm.has_negative), str(seed)))
        folder, spent = self.options.work / name, self.options.work / f"{name}.json"
        if not spent.is_file():
            config = recipe(self.options, replace(arm, is_beside=False), seed)
            task = Pretraining(self.unlabelled[arm.source], config)
            spent.write_text(json.dumps(timed(train(task, folder, self.machine))), encoding="utf-8")
        return folder, float(json.loads(spent.read_text(encoding="utf-8")))

    def _longer(self, config: Config, seed: int) -> Config:
        """Add the steps that take as long as the pretraining of this seed did."""
        first = json.loads(kept(self.options.work, FIRST, seed).read_text(encoding="utf-8"))
        _, spent_s = self._pretrain(ARMS[PRETRAINED], seed)
        n_more = round(spent_s / first["steps_s"] * first["steps"])
        n_steps = config.finetune.n_steps + n_more
        tuned = replace(config.finetune, n_steps=n_steps, score_every=n_steps)
        return replace(config, finetune=tuned)


def recipe(options: argparse.Namespace, arm: Arm, seed: int) -> Config:
    """Return the preset with this experiment's size, lengths and seed, as an arm wants it."""
    base = cover_beside()
    tuned = replace(
        base.finetune,
        n_steps=options.steps,
        score_every=options.steps,
        easy=EASY,
        n_cliques=options.cliques,
        beside=base.finetune.beside if arm.is_beside else 0.0,
        seed=seed,
    )
    pretrained = replace(
        base.pretrain,
        n_steps=options.pretrain_steps,
        warm_up=WARM_UP,
        batch_size=options.recordings // 2 if arm.is_beside else options.recordings,
        seed=seed,
    )
    mask = replace(base.mask, kind="random") if arm.mask == "random" else base.mask
    loss = base.loss if arm.has_negative else replace(base.loss, negative=0.0)
    return replace(base, encoder=ENCODER, finetune=tuned, pretrain=pretrained, mask=mask, loss=loss)


def some(performances: list[Member], share: float, seed: int) -> list[Member]:
    """Keep a share of the works, another for each seed."""
    works = sorted({performance.clique for performance in performances})
    order = np.random.default_rng(seed).permutation(len(works))
    chosen = {works[i] for i in order[: round(share * len(works))]}
    return [performance for performance in performances if performance.clique in chosen]


def some_hidden(crops: Tensor, generator: Generator) -> Tensor:
    """Silence a tenth of the frames of one crop in three, (B, F, T) in dB."""
    draws = torch.rand(len(crops), crops.shape[2], generator=generator)
    is_hit = torch.rand(len(crops), 1, 1, generator=generator) < 1 / 3
    is_hidden = is_hit & (draws < HIDDEN)[:, None]
    return torch.where(is_hidden, crops.amin((1, 2), keepdim=True), crops)


def timed(events: Iterator[Any]) -> float:
    """Run a training to its end; return the seconds of processor time that it took."""
    began = time.process_time()
    for event in events:
        if isinstance(event, Step) and event.step % 100 == 0:
            print(f"step {event.step}: {event}", flush=True)
    return time.process_time() - began


def judge(sets: list[Any], embedder: Embedder) -> Judged:
    """Rank all recordings of each set for each query, as the encoder alone would."""
    found: Judged = {}
    for benchmark in sets:
        present = [one for one in benchmark.performances if one.path is not None]
        works = np.array([one.work for one in present])
        recordings = [embedder.restore(read_parts(one.path)) for one in present]
        embeddings = embedder.embed(recordings)
        counts = Counter(works.tolist())
        queries = np.flatnonzero([counts[work] > 1 for work in works.tolist()])
        scores = np.stack([track_scores(embeddings[q], embeddings) for q in queries.tolist()])
        relevant = works[queries][:, None] == works[None]
        relevant[np.arange(len(queries)), queries] = False
        precisions = score_queries(scores, relevant, queries).average_precision
        pairs = zip(works[queries].tolist(), precisions.tolist(), strict=True)
        found[benchmark.root.name] = list(pairs)
    return found


def kept(work: Path, name: str, seed: int) -> Path:
    """Name the file of a finished arm."""
    return work / f"{name}, seed {seed}.json"


def told(out: Path) -> str:
    """Say the MAP of a finished arm on each set."""
    judged = json.loads(out.read_text(encoding="utf-8"))["judged"]
    return ", ".join(f"{s} {np.mean([ap for _, ap in found]):.4f}" for s, found in judged.items())


def rows_of(work: Path, n_seeds: int, against: Path) -> Iterator[dict[str, str]]:
    """Make a row of each arm, on every set and on the mean of the real ones."""
    for name, arm in ARMS.items():
        own = read_arm(work, name, n_seeds)
        first = read_arm(against, FIRST if arm.share == 1 else FEW_LABELS, n_seeds)
        shared = sorted(own.keys() & first.keys())
        if not shared:
            continue
        sets = own[shared[0]]["judged"]
        gains = {one: gain_on(one, [(own[s], first[s]) for s in shared]) for one in sets}
        real = [gain for one, gain in gains.items() if one.startswith(REAL)]
        gains |= {"mean of the real": joined(real)} if real else {}
        steps = "/".join(sorted({str(own[s]["steps"]) for s in shared}))
        for one, (levels, differences, draws) in gains.items():
            low, high = np.percentile(draws, [2.5, 97.5])
            yield {
                "arm": name,
                "steps": steps,
                "set": one,
                "MAP": f"{np.mean(levels):.4f}",
                "difference": f"{np.mean(differences):+.4f}",
                "95 % interval": f"{low:+.4f} to {high:+.4f}",
                "of each seed": " ".join(f"{gain:+.4f}" for gain in differences),
            }


Gain = tuple[list[float], list[float], NDArray[np.float64]]
"""MAP of each seed, its gain, and bootstrap draws of the mean gain."""


def read_arm(work: Path, name: str, n_seeds: int) -> dict[int, Any]:
    """Read the seeds of an arm that are finished."""
    paths = {seed: kept(work, name, seed) for seed in range(n_seeds)}
    return {s: json.loads(p.read_text(encoding="utf-8")) for s, p in paths.items() if p.is_file()}


def gain_on(one: str, pairs: list[tuple[Any, Any]]) -> Gain:
    """Pair an arm with the first one, query by query and seed by seed."""

    def precisions(found: Any) -> NDArray[np.float64]:  # noqa: ANN401 (what JSON holds)
        return np.array([ap for _, ap in found["judged"][one]])

    own = np.stack([precisions(found) for found, _ in pairs])  # (seeds, Q)
    gains = own - np.stack([precisions(first) for _, first in pairs])
    works = np.unique([work for work, _ in pairs[0][0]["judged"][one]], return_inverse=True)[1]
    seeds = np.random.default_rng(1).integers(0, len(gains), (N_DRAWS, len(gains)))
    draws = [
        float(w @ gains[drawn].mean(0) / w.sum())
        for w, drawn in zip(clique_draws(works, N_DRAWS, len(one)), seeds, strict=True)
    ]
    return own.mean(1).tolist(), gains.mean(1).tolist(), np.array(draws)


def joined(gains: list[Gain]) -> Gain:
    """Average sets so that each counts the same; works are drawn apart, seeds are the same."""
    levels, differences = (np.mean([g[i] for g in gains], 0).tolist() for i in (0, 1))
    return levels, differences, np.mean([g[2] for g in gains], 0)


def main() -> None:
    """Train what is left to train, or print the table of what is finished."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--corpus", "--music", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--sound", type=Path, help="folder of the corpus's own recordings")
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=1000, help="of tuning")
    parser.add_argument("--pretrain-steps", type=int, default=200)
    parser.add_argument("--cliques", type=int, default=12, help="a step")
    parser.add_argument(
        "--recordings",
        type=int,
        default=32,
        help="a step of pretraining; half of them beside tuning",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=ARMS)
    parser.add_argument("--table", type=Path, help="stem of a JSON file; nothing is trained")
    parser.add_argument("--against", type=Path, help="another --work, whose first arm is the first")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if not options.table:
        Ablation(options).run()
    rows = list(rows_of(options.work, options.seeds, options.against or options.work))
    for row in rows:
        print("  ".join(row.values()))
    if options.table:
        short = ["/".join(Path(word).parts[-2:]) for word in sys.argv[1:]]
        command = shlex.join(["scripts/bench/pretraining_gain.py", *short])
        write_rows(rows, "cover", trace(command), options.table.with_suffix(".json"))


if __name__ == "__main__":
    main()
