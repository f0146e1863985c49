"""The positive-negative frame mask against loops, and what must hold of any mask."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.config import MaskConfig
from pemr.model.mask import FrameMask, attention, crucial_frames, importance
from pemr.model.pemr import Pemr
from pemr.model.transformer import FrameTransformer
from pemr.presets import cover
from pemr.signal.disguise import disguise, roll


def slow_attention(first_query, second_query, keys):
    """Equations 2 and 3 for one item: a softmax for each query and head, then sums."""
    n_heads, n_frames, d = keys.shape
    scores = np.zeros(n_frames)
    for query in (first_query, second_query):
        for h in range(n_heads):
            logits = [float(query[h] @ keys[h, t]) / math.sqrt(d) for t in range(n_frames)]
            total = sum(math.exp(x - max(logits)) for x in logits)
            for t in range(n_frames):
                scores[t] += math.exp(logits[t] - max(logits)) / total / n_heads
    return scores


def slow_views(spectrogram, scores, filler, k):
    """Equations 4 and 5 for one item, frame by frame."""
    order = sorted(range(len(scores)), key=lambda t: scores[t])
    inessential = set(order[:k])
    positive, negative = spectrogram.copy(), spectrogram.copy()
    for t in range(len(scores)):
        (positive if t in inessential else negative)[:, t] = filler
    return positive, negative


@pytest.mark.parametrize("seed", range(4))
def test_equations_2_and_3_add_the_attention_of_both_queries(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, 3, 2, 4))
    keys = 2 * rng.standard_normal((3, 2, 7, 4))
    ours = attention(*(torch.from_numpy(x) for x in (first, second, keys))).numpy()
    for item in range(3):
        expected = slow_attention(first[item], second[item], keys[item])
        np.testing.assert_allclose(ours[item], expected, atol=1e-6)


def test_equation_1_projects_the_last_layer_s_input():
    torch.manual_seed(0)
    config = MaskConfig(n_layers=3, n_heads=2, d_key=5, d_feedforward=8)
    transformer = FrameTransformer(6, 4, config).eval()
    first, second = torch.randn(2, 2, 6, 4)
    hidden = []
    for view in (first, second):
        state = transformer.sequence(view)
        for layer in list(transformer.layers)[:2]:
            state = layer(state)
        hidden.append(state.detach().numpy())
    last = transformer.layers[2]
    w_q, w_k = last.query.weight.detach().numpy(), last.key.weight.detach().numpy()
    expected = np.zeros((2, 4))
    for item in range(2):
        queries = [(w_q @ hidden[v][item, 0]).reshape(2, 5) for v in range(2)]
        keys = np.stack([(w_k @ hidden[1][item, t]).reshape(2, 5) for t in range(1, 5)], axis=1)
        expected[item] = slow_attention(queries[0], queries[1], keys)
    ours = importance(transformer, first, second).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5])
def test_equations_4_and_5_replace_the_least_attended_frames(ratio):
    rng = np.random.default_rng(3)
    spectrogram = rng.standard_normal((3, 5, 20)).astype(np.float32)
    scores = rng.random((3, 20)).astype(np.float32)
    mask = FrameMask(5)
    is_crucial = crucial_frames(torch.from_numpy(scores), ratio)
    positive, negative = mask(torch.from_numpy(spectrogram), is_crucial)
    for item in range(3):
        expected = slow_views(
            spectrogram[item], scores[item], mask.filler.detach().numpy(), math.floor(ratio * 20)
        )
        np.testing.assert_array_equal(positive[item].detach().numpy(), expected[0])
        np.testing.assert_array_equal(negative[item].detach().numpy(), expected[1])


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        (torch.zeros(4, 462), "equal scores"),
        (torch.rand(4, 462, generator=torch.Generator().manual_seed(0)), "random scores"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_exactly_46_of_the_paper_s_462_frames_are_inessential(scores, name):
    is_crucial = crucial_frames(scores, 0.1)
    assert (~is_crucial).sum(dim=1).tolist() == [46] * 4


def test_positive_and_negative_are_complementary():
    spectrogram = torch.randn(2, 4, 10)
    mask = FrameMask(4)
    is_crucial = crucial_frames(torch.rand(2, 10), 0.3)
    positive, negative = mask(spectrogram, is_crucial)
    filler = mask.filler[:, None].expand(4, 10)
    torch.testing.assert_close(positive + negative, spectrogram + filler)
    for item in range(2):
        for t in range(10):
            kept = positive if is_crucial[item, t] else negative
            assert torch.equal(kept[item, :, t], spectrogram[item, :, t])


def test_importance_sums_to_two_and_gives_no_gradient():
    transformer = FrameTransformer(
        6, 4, MaskConfig(n_layers=2, n_heads=2, d_key=5, d_feedforward=8)
    )
    scores = importance(transformer, *torch.randn(2, 3, 6, 4))
    torch.testing.assert_close(scores.sum(dim=1), torch.full((3,), 2.0))
    assert not scores.requires_grad


def test_a_permuted_batch_permutes_the_mask():
    torch.manual_seed(0)
    config = MaskConfig(n_layers=2, n_heads=2, d_key=5, d_feedforward=8)
    transformer = FrameTransformer(6, 4, config).eval()
    first, second = torch.randn(2, 3, 6, 4)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        importance(transformer, first[order], second[order]),
        importance(transformer, first, second)[order],
    )


def test_the_filler_starts_about_its_level():
    filler = FrameMask(2000, level_db=-50.0).filler.detach()
    assert float(filler.mean()) == pytest.approx(-50.0, abs=0.2)
    assert float(filler.std()) == pytest.approx(1.0, abs=0.1)
    assert float(Pemr(cover()).mask.filler.detach().mean()) < -45.0


def test_the_number_of_inessential_frames_is_rounded_down():
    is_crucial = crucial_frames(torch.rand(3, 65), 0.15)  # 9.75 of 65
    assert (~is_crucial).sum(1).tolist() == [9, 9, 9]


def music(generator, n_items=32):
    """Notes of one to eight frames in a quiet room, in dB, with loud and faint ones."""
    crops = torch.full((n_items, 84, 100), -80.0)
    for crop in crops:
        start = 0
        while start < 100:
            draws = torch.rand(3, generator=generator).tolist()
            length = 1 + int(8 * draws[0])
            crop[20 + int(40 * draws[1]), start : start + length] = -60 + 55 * draws[2]
            start += length
    return crops


def test_profiles_do_not_hear_key_position_or_dropout():
    torch.manual_seed(0)
    config = MaskConfig(tokens="profile", n_layers=2, d_key=4, d_feedforward=8)
    transformer = FrameTransformer(84, 100, config).train()
    crops = music(torch.Generator().manual_seed(0), 2)
    scores = importance(transformer, crops, crops)
    assert torch.equal(scores, importance(transformer, crops, crops))
    assert transformer.training
    raised = roll(crops, torch.tensor([5, -4]))
    torch.testing.assert_close(scores, importance(transformer, raised, raised))
    order = torch.arange(100).roll(50)  # edges apart, a profile moves with its moment
    moved = importance(transformer, crops[:, :, order], crops[:, :, order])
    inner = torch.arange(6, 44)
    torch.testing.assert_close(moved[:, inner + 50], scores[:, inner], rtol=0.05, atol=1e-3)


def test_two_disguises_of_one_moment_hide_the_same_frames():
    generator = torch.Generator().manual_seed(0)
    crops = music(generator)
    plain = replace(cover().disguise, mix=0.0)
    first, second = (disguise(crops, plain, 1.0, generator) for _ in range(2))
    torch.manual_seed(0)
    config = cover().mask
    transformer = FrameTransformer(84, 100, config)
    is_first, is_second = (
        ~crucial_frames(importance(transformer, *views), config.ratio)
        for views in ((second, first), (first, second))
    )
    same = (is_first & is_second).sum() / is_first.sum()
    other = (is_first & is_second.roll(1, 0)).sum() / is_first.sum()
    assert float(same) > 3 * float(other)
