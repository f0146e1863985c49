"""PEMR beside tuning: one encoder learns from both kinds of batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.config import CoverConfig
from pemr.errors import LossNotFiniteError, TrainingError
from pemr.model.checkpoint import load
from pemr.model.cover import load_model
from pemr.presets import cover_beside
from pemr.training.cliques import Member
from pemr.training.data import Prepared
from pemr.training.finetune import BEST, Finetuning, FinetuningBeside, tuning
from pemr.training.loop import train
from pemr.training.machine import Machine

MACHINE = Machine(n_workers=1)


@pytest.fixture
def cliques(tmp_path, rng):
    def member(work, index):
        path = tmp_path / f"{work}-{index}.npy"
        np.save(path, rng.integers(60, 200, (84, 200), np.uint8))
        return Member(Prepared(path, path, 200), f"w{work}")

    return {f"w{work}": [member(work, index) for index in range(2)] for work in range(5)}


def beside(share=0.5, **changes):
    config = cover_beside()
    recipe = {"n_steps": 2, "n_cliques": 4, "n_crops": 3, "score_every": 2, "beside": share}
    return replace(
        config,
        encoder=CoverConfig(n_stem=4, n_narrow=8, n_wide=8, dilations=(1,), dim=16, n_dims=8),
        finetune=replace(config.finetune, **recipe | changes),
        pretrain=replace(config.pretrain, batch_size=4),
        loss=replace(config.loss, d_hidden=16, d_projection=8),
        mask=replace(config.mask, n_layers=1, n_heads=1, d_key=8, d_feedforward=8),
        predictor=replace(config.predictor, d_hidden=8),
    )


def task_of(cliques, config):
    unlabelled = [members[0].recording for members in cliques.values()]
    return tuning(Finetuning(cliques=cliques, config=config, unlabelled=unlabelled))


def test_both_losses_are_weighed_by_the_share_and_reach_the_encoder(cliques):
    for share in (0.25, 0.75):
        task = task_of(cliques, beside(share, easy=0))
        torch.manual_seed(0)
        model, _ = task.build(MACHINE)
        loss, parts = task.losses(model, task.batches(MACHINE)(0), 0, MACHINE)
        expected = (1 - share) * parts["cliques"] + share * parts["PEMR"]
        torch.testing.assert_close(loss, expected)
        for name in ("cliques", "PEMR"):
            (slope,) = torch.autograd.grad(
                parts[name], model.encoder.stem.weight, retain_graph=True
            )
            assert slope.any(), name


def test_what_is_kept_embeds_and_holds_nothing_of_pemr(cliques, tmp_path):
    list(train(task_of(cliques, beside()), tmp_path / "c", MACHINE))
    assert any(name.startswith("projector") for name in load(tmp_path / "c").weights)
    assert load_model(tmp_path / "c" / BEST).n_dims == 8


def test_without_a_share_nothing_is_beside(cliques):
    assert not isinstance(task_of(cliques, beside(0.0)), FinetuningBeside)


def test_unlabelled_music_is_needed(cliques):
    with pytest.raises(TrainingError, match="needs unlabelled music"):
        tuning(Finetuning(cliques=cliques, config=beside()))


def test_the_objective_that_is_not_finite_is_named(cliques, monkeypatch):
    broken = torch.tensor(float("nan"))
    monkeypatch.setattr("pemr.model.pemr.negative_loss", lambda _: broken)
    with pytest.raises(LossNotFiniteError, match=r"step 1 \(PEMR\) is not finite"):
        list(train(task_of(cliques, beside()), None, MACHINE))


def test_each_kind_of_batch_has_batch_statistics_of_its_own(cliques):
    task, seen = task_of(cliques, beside()), []
    model, _ = task.build(MACHINE)
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    task.losses(model, task.batches(MACHINE)(0), 0, MACHINE)
    assert sorted(seen) == [4, 4, 4, 12]  # three views of four recordings; crops of four cliques
