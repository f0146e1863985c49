from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.config import CoverConfig
from pemr.model.cover import CircleBlock, CoverEncoder, build_model, contrast
from pemr.model.encoder import build_encoder
from pemr.presets import cover
from pemr.signal.disguise import add_power, disguise, roll, turn

SMALL = CoverConfig(n_stem=4, n_narrow=8, n_wide=12, dilations=(1, 2), dim=16, n_dims=8)


@pytest.fixture
def segments(rng):
    """Notes with overtones, well inside the range, over a quiet floor: (B, 84, 100) in dB."""
    shown = np.full((3, 84, 100), -80.0, np.float32)
    for segment in shown:
        for start in range(0, 100, 5):
            for overtone, level in ((0, -20.0), (12, -28.0), (19, -34.0)):
                segment[rng.integers(24, 40) + overtone, start : start + 5] = level
    return torch.from_numpy(shown)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model(replace(cover(), encoder=SMALL)).eval()


def test_a_block_is_equivariant_to_turns_of_the_circle(rng):
    torch.manual_seed(0)
    block = CircleBlock(6, 6, dilation=2).eval()
    x = torch.tensor(rng.normal(size=(2, 6, 12, 20)), dtype=torch.float32)
    for by in (1, 5, 11):
        torch.testing.assert_close(block(x.roll(by, 2)), block(x).roll(by, 2))


def test_a_block_equals_sums_over_the_circle_and_the_taps(rng):
    torch.manual_seed(0)
    block = CircleBlock(2, 3, n_taps=3).eval()
    x = torch.tensor(rng.normal(size=(1, 2, 12, 6)), dtype=torch.float32)
    around, along = (w.detach().numpy() for w in (block.around.weight, block.along.weight))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 0), (1, 1)))
    expected = np.zeros((3, 12, 6))
    for out in range(3):
        for p in range(12):
            for t in range(6):
                expected[out, p, t] = sum(
                    along[out, k, 0, tap] * around[k, c, q, 0] * padded[0, c, (p + q) % 12, t + tap]
                    for k in range(3)
                    for c in range(2)
                    for q in range(12)
                    for tap in range(3)
                )
    found = block(x).detach().numpy()[0]
    np.testing.assert_allclose(found, np.maximum(expected / np.sqrt(1 + 1e-5), 0), atol=1e-5)


def test_contrast_ignores_level_and_dynamic_range(segments):
    same = contrast(0.8 * segments - 7.0)
    torch.testing.assert_close(same, contrast(segments), atol=0.02, rtol=0.02)


def test_contrast_ignores_a_gentle_equaliser_away_from_the_edges(segments):
    tilted = segments + torch.linspace(-4, 4, 84)[None, :, None]
    difference = (contrast(tilted) - contrast(segments))[:, :, 8:-8].abs().mean()
    assert difference < 0.15 * contrast(segments).abs().mean()


def test_the_encoder_takes_any_number_of_frames(model, segments):
    assert model.encoder(segments[:, :, :37]).shape == (3, 16)
    assert model.encoder(torch.cat([segments, segments], 2)).shape == (3, 16)


def test_embeddings_are_unit_vectors(model, segments):
    embedded = model(segments)
    assert embedded.shape == (3, 8)
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))


def test_a_segment_is_embedded_the_same_in_any_batch(model, segments):
    together = model(segments)
    alone = torch.cat([model(segment[None]) for segment in segments])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_silence_and_noise_have_finite_embeddings(model, rng):
    noise = torch.tensor(rng.normal(-50, 5, (1, 84, 100)), dtype=torch.float32)
    assert torch.isfinite(model(torch.cat([torch.full((1, 84, 100), -100.0), noise]))).all()


def test_the_preset_is_small_enough_to_ship():
    n_parameters = sum(p.numel() for p in build_model(cover()).parameters())
    assert n_parameters < 5e6


def test_the_encoder_of_the_preset_is_the_one_that_is_pretrained():
    encoder = build_encoder(cover())
    assert isinstance(encoder, CoverEncoder)
    assert encoder.dim == cover().encoder.dim


def test_rolling_moves_bins_and_fills_with_the_edge(segments):
    moved = roll(segments, torch.tensor([3, 0, -5]))
    assert torch.equal(moved[0, 3:], segments[0, :-3])
    assert torch.equal(moved[0, 0], segments[0, 0])
    assert torch.equal(moved[1], segments[1])
    assert torch.equal(moved[2, :-5], segments[2, 5:])


def test_powers_are_summed_not_decibels():
    ten = torch.tensor([10.0])
    assert add_power(ten, ten).item() == pytest.approx(10 + 10 * np.log10(2), abs=1e-4)


def test_a_disguise_is_a_function_of_its_seed(segments):
    config = cover().disguise
    first, again, other = (
        disguise(segments, config, 1.0, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.isfinite(first).all()


def test_no_strength_leaves_key_and_a_faint_floor_alone(segments):
    config = replace(cover().disguise, max_roll=0)
    seen = disguise(segments, config, 0.0, torch.Generator().manual_seed(0))
    loud = segments > -40
    assert (seen - segments)[loud].abs().max() < 1.0


def test_a_full_disguise_hides_stretches_of_time_and_bins(segments):
    config = replace(cover().disguise, max_roll=0, mask=1.0, mix=0.0)
    seen = disguise(segments, config, 1.0, torch.Generator().manual_seed(0))
    is_hidden = seen == seen.amin((1, 2), keepdim=True)
    assert is_hidden.all(1).any()
    assert is_hidden.all(2).any()


HARMONIC = replace(SMALL, n_harmony=3)


@pytest.fixture
def harmony(rng):
    """What a chord network says: (B, 36, 100) in 0..1."""
    return torch.tensor(rng.random((3, 36, 100)), dtype=torch.float32)


@pytest.fixture
def harmonic():
    torch.manual_seed(0)
    model = build_model(replace(cover(), encoder=HARMONIC)).eval()
    norm = model.encoder.harmony_norm
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.bias.data.uniform_(-0.5, 0.5)
    return model


def test_harmony_is_read_where_the_encoder_has_channels_for_it(segments, harmony, model, harmonic):
    shown = torch.cat([segments, harmony], 1)
    assert not torch.allclose(harmonic(shown), harmonic(segments), atol=1e-3)
    torch.testing.assert_close(model(shown), model(segments))


def test_no_harmony_is_as_if_no_chord_sounded(segments, harmony, harmonic):
    silent = torch.cat([segments, torch.zeros_like(harmony)], 1)
    torch.testing.assert_close(harmonic(segments), harmonic(silent))


@pytest.mark.parametrize("semitones", [-5, 3, 7])
def test_a_transposition_changes_nothing_with_harmony_either(
    segments, harmony, harmonic, semitones
):
    by = torch.full((3,), semitones)
    moved = torch.cat([roll(segments, by), turn(harmony, by)], 1)
    here = harmonic.encoder(torch.cat([segments, harmony], 1))
    torch.testing.assert_close(harmonic.encoder(moved), here, rtol=0.05, atol=0.05)


def test_harmony_turns_as_far_as_the_spectrogram_rolls(harmony):
    by = torch.tensor([0, 5, -2])
    turned = turn(harmony, by)
    for place, semitones in enumerate(by.tolist()):
        for picture in (slice(0, 12), slice(12, 24), slice(24, 36)):
            expected = harmony[place, picture].roll(semitones, 0)
            assert torch.equal(turned[place, picture], expected)


def test_a_disguise_leaves_some_without_harmony_and_some_with_nothing_else(segments, harmony):
    shown = torch.cat([segments, harmony], 1).repeat(40, 1, 1)
    config = cover().disguise
    seen = disguise(shown, config, 1.0, torch.Generator().manual_seed(0))
    assert seen.shape == shown.shape
    assert torch.isfinite(seen).all()
    is_deaf = (seen[:, 84:] == 0).all((1, 2))
    is_blind = (seen[:, :84].mean((1, 2)) + 60).abs() < 0.2
    assert 10 < is_deaf.sum() < 40
    assert 3 < is_blind.sum() < 25
    assert not (is_deaf & is_blind).any()
    plain = disguise(segments.repeat(40, 1, 1), config, 1.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen[~is_blind, :84], plain[~is_blind])
