"""What tests of training share: a small recipe, and a tiny corpus."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pemr.config import CoverConfig
from pemr.presets import cover
from pemr.training.cliques import read_manifest, usable
from pemr.training.machine import Machine

MACHINE = Machine(n_workers=1)


def small(**changes):
    config = cover()
    encoder = CoverConfig(n_stem=4, n_narrow=8, n_wide=8, dilations=(1,), dim=16, n_dims=8)
    recipe = {"n_steps": 6, "n_cliques": 4, "n_crops": 3, "score_every": 3, "easy": 2}
    recipe["warm_up"] = 2
    return replace(config, encoder=encoder, finetune=replace(config.finetune, **recipe | changes))


def tune(rng, n_notes=40):
    return rng.integers(30, 60, n_notes)


def spectrogram(pitches, semitones=0, frames_a_note=5):
    """A melody as bars in a quiet room."""
    shown = np.full((84, len(pitches) * frames_a_note), 60, np.uint8)
    for place, pitch in enumerate(pitches):
        shown[pitch + semitones, place * frames_a_note : (place + 1) * frames_a_note] = 200
    return shown


def corpus(folder, rng, n_works=5, n_performances=2):
    lines = []
    for work in range(n_works):
        pitches = tune(rng)
        for index in range(n_performances):
            name = f"w{work}-{index}.npy"
            np.save(folder / name, spectrogram(pitches, semitones=3 * index))
            passage = {"kind": "tune", "start_s": 0, "end_s": 40, "start_beat": 0, "end_beat": 40}
            row = {"performance": name, "work": f"w{work}", "spectrogram": name, "source": "s"}
            row |= {"time_map": [[0, 0], [40, 40]], "passages": [passage | {"transposition": 0}]}
            lines.append(json.dumps(row))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "manifest.jsonl"


@pytest.fixture
def cliques(tmp_path, rng):
    (tmp_path / "corpus").mkdir()
    return usable(read_manifest(corpus(tmp_path / "corpus", rng)))
