from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pemr.config import CoverConfig, ModelConfig, SemitoneConfig
from pemr.errors import TrainingError
from pemr.model.cover import build_model
from pemr.training.cliques import Batch
from pemr.training.joining import join, pair_of
from pemr.training.machine import Machine

MACHINE = Machine(n_workers=1)
NARROW = CoverConfig(n_stem=4, n_narrow=8, n_wide=8, dilations=(1,), dim=16, n_dims=8)
HARMONIC = CoverConfig(
    n_stem=4, n_narrow=8, n_wide=12, dilations=(1,), dim=20, n_dims=8, n_harmony=2
)


def model_of(encoder, seed):
    torch.manual_seed(seed)
    config = ModelConfig(preset="x", front_end=SemitoneConfig(), encoder=encoder)
    return config, build_model(config).eval()


def batches(rng, n=3):
    made = []
    for place in range(n):
        works = rng.normal(-50, 15, (6, 1, 84, 100))
        crops = np.concatenate(
            [works + rng.normal(0, 4, (6, 3, 84, 100)), rng.random((6, 3, 36, 100))], 2
        )
        cliques = torch.arange(6).repeat_interleave(3)
        paths = tuple(Path(f"{place}-{crop}") for crop in range(18))
        made.append(
            Batch(torch.tensor(crops.reshape(18, 120, 100), dtype=torch.float32), cliques, paths)
        )
    return made


def test_a_joined_model_reads_both_and_embeds_at_unit_length(rng):
    (first, one), (second, other) = model_of(NARROW, 0), model_of(HARMONIC, 1)
    config = pair_of(first, second)
    assert config.reads_harmony
    joined = join(config, (one, other), batches(rng), MACHINE)
    crops = batches(rng, 1)[0].crops
    with torch.no_grad():
        seen = joined(crops)
        features = joined.encoder(crops)
        apart = torch.cat([one.encoder(crops), other.encoder(crops)], 1)
    torch.testing.assert_close(features, apart)
    assert seen.shape == (18, 16)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(18))


def test_an_unwhitened_pair_is_both_embeddings_side_by_side(rng, monkeypatch):
    monkeypatch.setattr("pemr.training.joining.whiten", lambda *_: None)
    (first, one), (second, other) = model_of(NARROW, 0), model_of(HARMONIC, 1)
    for member in (one, other):
        member.head.embedding_norm.running_mean.uniform_(-0.1, 0.1)
        member.head.feature_norm.running_var.uniform_(0.5, 2)
    joined = join(pair_of(first, second), (one, other), [], MACHINE)
    crops = batches(rng, 1)[0].crops
    with torch.no_grad():
        seen = joined(crops)
        for half, member in ((seen[:, :8], one), (seen[:, 8:], other)):
            alone = torch.nn.functional.normalize(half, dim=1)
            torch.testing.assert_close(alone, member(crops), atol=1e-5, rtol=1e-4)


def test_what_cannot_be_joined_is_refused():
    first, second = model_of(NARROW, 0)[0], model_of(HARMONIC, 1)[0]
    pair = pair_of(first, second)
    with pytest.raises(TrainingError, match="neither of them a pair"):
        pair_of(pair, first)
    longer = replace(second, front_end=SemitoneConfig(n_frames=200))
    with pytest.raises(TrainingError, match="front end"):
        pair_of(first, longer)
