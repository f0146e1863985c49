#!/usr/bin/env python
"""Write the frozen features of a pretrained encoder for a benchmark of covers.

    scripts/bench/frozen_features.py NAME --root DIR --checkpoint C --out FILE.npz [--subset S]

One vector a performance: the mean over its consecutive crops, less the mean over all performances.
`pemr benchmark run NAME --root DIR --embeddings FILE.npz` scores them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pemr.model.encoder import pretrained_encoder
from pemr.signal.crops import pieces
from pemr.training.data import Prepared, prepare_files
from pemr.training.machine import find_machine
from retrieval import load_benchmark


def main() -> None:
    """Decode, encode, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subset")
    asked = parser.parse_args()
    performances = load_benchmark(asked.benchmark, asked.root, asked.subset).performances
    names = {p.path: p.name for p in performances if p.path is not None}
    encoder, config = pretrained_encoder(asked.checkpoint)
    machine = find_machine()
    encoder = encoder.eval().to(machine.device)
    cache = asked.checkpoint.with_name(f"{asked.checkpoint.name}.{asked.benchmark}")
    ids, features = [], []
    told = prepare_files(list(names), config.front_end, cache, machine.n_workers)
    for event in tqdm(told, total=len(names), unit=" files"):
        if not isinstance(event, Prepared):
            print(f"skipped {event.path}: {event.reason}")
            continue
        with torch.no_grad():
            cut = pieces(np.load(event.cached, mmap_mode="r"), config.front_end)
            features.append(encoder(cut.to(machine.device)).mean(dim=0).cpu().numpy())
        ids.append(names[event.path])
    centred = np.array(features) - np.mean(features, axis=0)
    np.savez(asked.out, ids=np.array(ids), embeddings=centred.astype(np.float32))
    print(f"{len(ids)} of {len(performances)} performances in {asked.out}")


if __name__ == "__main__":
    main()
