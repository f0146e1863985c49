"""PEMR as a whole: its losses, and where gradients go."""

from dataclasses import replace

import pytest
import torch

from pemr.config import LossConfig
from pemr.model.loss import correlation, negative_loss, positive_loss
from pemr.model.pemr import Pemr
from pemr.presets import cover, paper, tiny


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Pemr(tiny())


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 6, *tiny().front_end.shape, generator=generator) * 10 - 40


def losses_of(model, views, seed=0):
    return model.losses(*model(*views, torch.Generator().manual_seed(seed)))


def reached(module):
    return {
        n for n, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_equation_11_weighs_the_three_losses(model, views):
    parts = losses_of(model, views)
    expected = parts.positive + 0.005 * parts.negative + 0.01 * parts.prediction
    torch.testing.assert_close(parts.total, expected)


def test_equation_6_shares_one_encoder_and_one_projector(model, views):
    model.eval()
    projections, prediction = model(*views, torch.Generator().manual_seed(0))
    positive, negative = model.masked_views(*views, torch.Generator())
    for ours, view in zip(projections, (views[0], positive, negative), strict=True):
        torch.testing.assert_close(ours, model.projector(model.encoder(view)))
    parts = model.losses(projections, prediction)
    z = projections
    torch.testing.assert_close(parts.positive, positive_loss(correlation(z[0], z[1]), 0.005))
    torch.testing.assert_close(parts.negative, negative_loss(correlation(z[0], z[2])))


def test_the_transformer_learns_from_prediction_alone(model, views):
    parts = losses_of(model, views)
    (parts.positive + parts.negative).backward()
    assert reached(model.transformer) == set()
    assert reached(model.predictor) == set()
    model.zero_grad()
    losses_of(model, views).prediction.backward()
    assert reached(model.transformer) == {n for n, _ in model.transformer.named_parameters()}
    assert reached(model.encoder) == reached(model.projector) == reached(model.mask) == set()


@pytest.mark.parametrize("part", ["positive", "negative"])
def test_the_mask_vector_learns_from_both_views(model, views, part):
    getattr(losses_of(model, views), part).backward()
    assert reached(model.mask) == {"filler"}
    assert "input_norm.weight" in reached(model.encoder)


def test_positive_and_negative_come_from_the_second_view(model, views):
    model.eval()
    positive, negative = model.masked_views(*views, torch.Generator())
    is_kept = (positive == views[1]).all(dim=1)
    n_inessential = int(0.1 * views.shape[-1])
    assert (~is_kept).sum(dim=1).tolist() == [n_inessential] * 6
    assert ((negative == views[1]).all(dim=1) == ~is_kept).all()


def test_a_random_mask_keeps_as_many_frames_but_other_ones(views):
    config = tiny()
    model = Pemr(replace(config, mask=replace(config.mask, kind="random"))).eval()
    drawn = [
        (model.masked_views(*views, torch.Generator().manual_seed(s))[0] == views[1]).all(dim=1)
        for s in (0, 1)
    ]
    assert drawn[0].sum() == drawn[1].sum()
    assert not torch.equal(*drawn)


def test_the_projector_has_the_paper_s_size():
    projector = Pemr(paper()).projector
    assert sum(p.numel() for p in projector.parameters()) == 512 * 512 + 512 * 256


def test_the_same_draws_give_the_same_loss(model, views):
    model.eval()
    assert torch.equal(losses_of(model, views, 3).total, losses_of(model, views, 3).total)


@pytest.mark.parametrize("weight", ["negative", "prediction"])
def test_a_weight_of_zero_removes_its_loss(views, weight):
    model = Pemr(
        replace(tiny(), loss=replace(LossConfig(d_hidden=8, d_projection=8), **{weight: 0.0}))
    )
    parts = losses_of(model, views)
    other = {"negative": 0.01 * parts.prediction, "prediction": 0.005 * parts.negative}[weight]
    torch.testing.assert_close(parts.total, parts.positive + other)


def test_a_few_steps_on_one_batch_lower_the_loss(model, views):
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    totals = []
    for _ in range(8):
        optimiser.zero_grad()
        total = losses_of(model, views).total
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < totals[0]


def test_the_cover_encoder_is_pretrained_by_the_same_machinery():
    torch.manual_seed(0)
    model = Pemr(cover())
    views = torch.rand(2, 4, *cover().front_end.shape) * 80 - 90
    parts = losses_of(model, views)
    parts.total.backward()
    assert parts.total.isfinite()
    untouched = {n for n, p in model.encoder.named_parameters() if p.grad is None}
    assert untouched == set()
