#!/usr/bin/env python
"""Write the frozen features of a pretrained encoder for a benchmark of covers.

    scripts/bench/frozen_features.py NAME --root DIR --checkpoint C --music DIR --out FILE.npz
        [--split SPLIT] [--subset S]

--music and --split say what the encoder was trained on. Its batch statistics, which are of altered
and masked views, are measured anew on that music as it is; nothing is learnt from the benchmark.
One vector a performance: the mean over its consecutive crops, less the mean over the music.
`pemr benchmark run NAME --root DIR --embeddings FILE.npz` scores them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from pemr.config import ModelConfig
from pemr.model.encoder import pretrained_encoder
from pemr.training.data import Prepared, prepare_files
from pemr.training.machine import Machine, find_machine
from pemr.training.norms import pieces_of, settle_norms
from pemr.training.probing.parts import training_files
from retrieval import load_benchmark

N_SETTLED = 512  # recordings


def main() -> None:
    """Decode, settle, encode, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark")
    for name in ("--root", "--checkpoint", "--music", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--subset")
    asked = parser.parse_args()
    performances = load_benchmark(asked.benchmark, asked.root, asked.subset).performances
    names = {p.path: p.name for p in performances if p.path is not None}
    encoder, config = pretrained_encoder(asked.checkpoint)
    machine = find_machine()
    encoder = encoder.to(machine.device)
    music = training_files(asked.music, config.front_end, asked.split)
    music = music[:: max(1, len(music) // N_SETTLED)]

    def decoded(paths: Sequence[Path], of: str) -> list[Prepared]:
        cache = asked.checkpoint.with_name(f"{asked.checkpoint.name}.{of}")
        told = prepare_files(paths, config.front_end, cache, machine.n_workers)
        events = list(tqdm(told, total=len(paths), unit=" files"))
        for event in events:
            if not isinstance(event, Prepared):
                print(f"skipped {event.path}: {event.reason}")
        return [event for event in events if isinstance(event, Prepared)]

    known = decoded(music, "cache")
    settle_norms(encoder, known, config, machine)
    middle = features_of(encoder, known, config, machine).mean(axis=0)
    found = decoded(list(names), asked.benchmark)
    embeddings = features_of(encoder, found, config, machine) - middle
    ids = np.array([names[one.path] for one in found])
    np.savez(asked.out, ids=ids, embeddings=embeddings.astype(np.float32))
    print(f"{len(ids)} of {len(performances)} performances in {asked.out}")


def features_of(
    encoder: nn.Module, recordings: Sequence[Prepared], config: ModelConfig, machine: Machine
) -> NDArray[np.float32]:
    """Average the feature over the crops of each recording, shape (N, D)."""
    with torch.no_grad():
        cut = (pieces_of(one, config).to(machine.device) for one in recordings)
        return np.stack([encoder(crops).mean(dim=0).cpu().numpy() for crops in cut])


if __name__ == "__main__":
    main()
