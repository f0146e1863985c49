"""Frame prediction against loops, and how frames are corrupted."""

import numpy as np
import pytest
import torch

from pemr.config import MaskConfig, PredictorConfig
from pemr.model import predictor as module
from pemr.model.predictor import Predictor, corrupt, corrupt_each, standing_out
from pemr.model.transformer import FrameTransformer


class Always:
    """Makes `torch.rand` and `torch.randint` of the module under test give known values."""

    def __init__(self, way, position=0):
        self.way, self.position = way, position

    def rand(self, *_, **__):
        return torch.tensor(self.way)

    def randint(self, *_, **__):
        return torch.tensor(self.position)


@pytest.fixture
def selected():
    chosen = torch.zeros(2, 5, 1, dtype=torch.bool)
    chosen[0, 1] = chosen[1, 4] = True
    return chosen


@pytest.mark.parametrize(
    ("way", "expected"),
    [(0.0, "zero"), (0.79, "zero"), (0.81, "copy"), (0.89, "copy"), (0.91, "same")],
)
def test_one_way_of_corruption_serves_the_whole_batch(monkeypatch, selected, way, expected):
    fake = Always(way, position=3)
    monkeypatch.setattr(module.torch, "rand", fake.rand)
    monkeypatch.setattr(module.torch, "randint", fake.randint)
    sequence = torch.arange(30.0).reshape(2, 5, 3) + 1
    spoilt = corrupt(sequence, selected, torch.Generator())
    for item in range(2):
        for t in range(5):
            if not selected[item, t]:
                assert torch.equal(spoilt[item, t], sequence[item, t])
            elif expected == "zero":
                assert torch.equal(spoilt[item, t], torch.zeros(3))
            else:
                source = 3 if expected == "copy" else t
                assert torch.equal(spoilt[item, t], sequence[item, source])


def test_ways_are_drawn_eight_one_one():
    sequence, chosen = torch.ones(1, 4, 1), torch.ones(1, 4, 1, dtype=torch.bool)
    sequence[0, :, 0] = torch.arange(1.0, 5.0)
    generator = torch.Generator().manual_seed(0)
    drawn = [corrupt(sequence, chosen, generator)[0, :, 0].tolist() for _ in range(2000)]
    zeroed = sum(d == [0.0] * 4 for d in drawn)
    same = sum(d == [1.0, 2.0, 3.0, 4.0] for d in drawn)
    assert zeroed / 2000 == pytest.approx(0.8, abs=0.03)
    assert same / 2000 == pytest.approx(0.1, abs=0.03)


def test_equation_10_means_over_all_values_and_counts_the_selected():
    """Half of the equation, value by value, from the same draws."""
    torch.manual_seed(0)
    config = PredictorConfig(select=0.4, d_hidden=8)
    transformer = FrameTransformer(6, 9, MaskConfig(n_layers=2, d_key=4, d_feedforward=8)).eval()
    predictor = Predictor(6, 0.1, config).eval()
    view = torch.randn(3, 6, 9)
    ours = predictor(transformer, view, torch.Generator().manual_seed(7))

    replay = torch.Generator().manual_seed(7)
    chosen = (torch.rand(3, 10, generator=replay) < 0.4).numpy()
    with torch.no_grad():
        sequence = transformer.sequence(view)
        spoilt = corrupt(sequence, torch.from_numpy(chosen)[..., None], replay)
        restored = predictor.layer(transformer(spoilt)).numpy()
    total = 0.0
    for item in range(3):
        for t in range(10):
            for f in range(6):
                u = chosen[item, t] * (float(sequence.detach()[item, t, f]) - restored[item, t, f])
                total += u**2 / 2 if abs(u) < 0.1 else 0.1 * abs(u) - 0.1**2 / 2
    assert float(ours.detach()) == pytest.approx(total / (3 * 10 * 6), rel=1e-5)


def test_about_the_asked_share_of_positions_counts(monkeypatch):
    """With every error 1, the mean is the share of selected positions times huber(1)."""
    monkeypatch.setattr(module, "corrupt", lambda sequence, *_: sequence)
    transformer = FrameTransformer(
        4, 999, MaskConfig(n_layers=1, n_heads=1, d_key=2, d_feedforward=2)
    )
    monkeypatch.setattr(FrameTransformer, "forward", lambda _, sequence: sequence)
    predictor = Predictor(4, 0.0, PredictorConfig(select=0.15, d_hidden=2))
    monkeypatch.setattr(type(predictor.layer), "forward", lambda _, hidden: hidden - 1)
    loss = predictor(transformer, torch.randn(8, 4, 999), torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(0.15 * (0.1 - 0.005), rel=0.05)


def test_the_target_is_not_detached():
    """[CLS] gets a gradient from being a target (paper.md §8)."""
    transformer = FrameTransformer(
        4, 20, MaskConfig(n_layers=1, n_heads=1, d_key=2, d_feedforward=2)
    )
    predictor = Predictor(4, 0.0, PredictorConfig(select=0.99, d_hidden=2))
    with_target = predictor(transformer, torch.randn(2, 4, 20), torch.Generator().manual_seed(0))
    with_target.backward()
    assert np.abs(transformer.cls.grad.numpy()).sum() > 0


def alone(select=0.4):
    torch.manual_seed(0)
    sizes = MaskConfig(n_layers=1, n_heads=1, d_key=2, d_feedforward=4, tokens="profile")
    config = PredictorConfig(kind="token", select=select, d_hidden=4)
    return FrameTransformer(6, 9, sizes).eval(), Predictor(6, 0.1, config).eval()


def test_each_position_is_spoilt_in_a_way_of_its_own():
    sequence = torch.arange(1.0, 4001.0).reshape(1, 4000, 1)
    chosen = torch.ones(1, 4000, 1, dtype=torch.bool)
    chosen[0, ::2] = False
    spoilt = corrupt_each(sequence, chosen, torch.Generator().manual_seed(0))
    assert torch.equal(spoilt[0, ::2], sequence[0, ::2])
    odd, was = spoilt[0, 1::2], sequence[0, 1::2]
    assert float((odd == 0).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((odd == was).float().mean()) == pytest.approx(0.1, abs=0.03)
    copied = odd[(odd != 0) & (odd != was)]
    assert len(copied.unique()) > 0.9 * len(copied)  # not one position for all


def test_of_positions_spoilt_alone_the_selected_count_and_cls_always_does(monkeypatch):
    """With every error 1, the mean is huber(1), whatever the share of selected positions."""
    transformer, predictor = alone(select=0.01)
    monkeypatch.setattr(module, "corrupt_each", lambda sequence, *_: sequence)
    wanted = {}

    def forward(_, sequence):
        wanted["target"] = standing_out(sequence, transformer.positions)
        return wanted["target"]

    monkeypatch.setattr(FrameTransformer, "forward", forward)
    monkeypatch.setattr(type(predictor.layer), "forward", lambda _, hidden: hidden - 1)
    loss = predictor(transformer, torch.randn(8, 6, 9), torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(0.1 - 0.005, rel=1e-4)


def test_what_is_restored_alone_learns_nothing_by_being_a_target():
    transformer, predictor = alone()
    sequence = transformer.sequence(torch.randn(2, 6, 9))
    target = standing_out(sequence, transformer.positions)
    assert not target.requires_grad
    assert torch.equal(target[:, 1:], sequence[:, 1:])
    frames = sequence.detach()[:, 1:] - transformer.positions[1:]
    assert torch.equal(target[:, 0], frames.amax(1))
    predictor(transformer, torch.randn(2, 6, 9), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None for p in transformer.parameters())
