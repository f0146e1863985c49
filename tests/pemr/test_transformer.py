"""The frame transformer against attention written out in loops."""

import math

import numpy as np
import pytest
import torch

from pemr.config import MaskConfig
from pemr.model.transformer import FrameNorm, FrameTransformer, sinusoids
from pemr.presets import paper

N_BINS, N_FRAMES = 6, 5
CONFIG = MaskConfig(n_layers=2, n_heads=3, d_key=4, d_feedforward=7)


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    made = FrameTransformer(N_BINS, N_FRAMES, CONFIG).double().eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if "norm" in name or "bias" in name:
                value.add_(0.1 * torch.randn_like(value))
    return made


def slow_norm(x, scale, shift):
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / (len(x) - 1))
    return np.array(
        [s * (v - mean) / (deviation + 1e-6) + b for v, s, b in zip(x, scale, shift, strict=True)]
    )


def softmax(x):
    e = np.exp(np.asarray(x) - max(x))
    return e / e.sum()


def slow_layer(weights, hidden):
    """One post-norm layer, token by token and head by head."""
    n, h, d = len(hidden), CONFIG.n_heads, CONFIG.d_key
    q, k, v = (hidden @ weights[f"{name}.weight"].T for name in ("query", "key", "value"))
    out = []
    for t in range(n):
        joined = []
        for head in range(h):
            part = slice(head * d, (head + 1) * d)
            share = softmax([q[t, part] @ k[u, part] / math.sqrt(d) for u in range(n)])
            joined.extend(sum(share[u] * v[u, part] for u in range(n)))
        token = hidden[t] + weights["joined.weight"] @ np.array(joined)
        token = slow_norm(token, weights["attention_norm.scale"], weights["attention_norm.shift"])
        inner = weights["feed_forward.widen.weight"] @ token + weights["feed_forward.widen.bias"]
        inner = np.maximum(inner, 0)
        outer = weights["feed_forward.narrow.weight"] @ inner + weights["feed_forward.narrow.bias"]
        scale, shift = weights["feed_forward.norm.scale"], weights["feed_forward.norm.shift"]
        out.append(slow_norm(token + outer, scale, shift))
    return np.array(out)


def test_layers_are_post_norm_attention_and_feed_forward(transformer):
    rng = np.random.default_rng(1)
    hidden = rng.standard_normal((N_FRAMES + 1, N_BINS))
    expected = hidden
    for layer in transformer.layers:
        expected = slow_layer({k: v.numpy() for k, v in layer.state_dict().items()}, expected)
    with torch.no_grad():
        ours = transformer(torch.from_numpy(hidden)[None])[0].numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_a_sequence_is_cls_then_frames_plus_positions(transformer):
    spectrogram = torch.randn(2, N_BINS, N_FRAMES, dtype=torch.float64)
    sequence = transformer.sequence(spectrogram)
    assert sequence.shape == (2, N_FRAMES + 1, N_BINS)
    torch.testing.assert_close(sequence[1, 0], transformer.cls + transformer.positions[0])
    torch.testing.assert_close(
        sequence[1, 3], spectrogram[1, :, 2] + transformer.positions[3].double()
    )


def test_positions_are_sines_and_cosines():
    table = sinusoids(9, 6)
    for position in range(9):
        for i in range(6):
            angle = position / 10_000 ** ((i - i % 2) / 6)
            expected = math.sin(angle) if i % 2 == 0 else math.cos(angle)
            assert float(table[position, i]) == pytest.approx(expected, abs=1e-6)


def test_the_norm_divides_by_the_sample_deviation_plus_epsilon():
    x = torch.tensor([1e-6, -1e-6, 0.0, 0.0])
    deviation = math.sqrt(2e-12 / 3)
    expected = x / (deviation + 1e-6)
    torch.testing.assert_close(FrameNorm(4)(x), expected, atol=1e-5, rtol=1e-5)


def test_the_paper_s_transformer_has_the_paper_s_size():
    n_bins, n_frames = paper().front_end.shape
    layers = FrameTransformer(n_bins, n_frames, paper().mask).layers
    assert sum(p.numel() for p in layers.parameters()) == pytest.approx(2.17e6, rel=0.002)


def test_dropout_acts_only_in_training(transformer):
    sequence = torch.randn(1, N_FRAMES + 1, N_BINS, dtype=torch.float64)
    assert torch.equal(transformer(sequence), transformer(sequence))
    transformer.train()
    assert not torch.equal(transformer(sequence), transformer(sequence))
