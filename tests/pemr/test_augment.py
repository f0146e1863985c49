"""Views of waveforms and spectrograms, on signals whose answer is known."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from pemr.config import WaveformViewConfig
from pemr.signal.augment import (
    WaveformRecipe,
    alter_waveform,
    delay,
    draw_waveform_recipe,
    limit_band,
    reverberate,
    shift_pitch,
)

RATE = 16_000


def sine(hz, seconds=1.0):
    return torch.sin(2 * torch.pi * hz * torch.arange(int(RATE * seconds)) / RATE)


def db_over(part, whole):
    return 20 * float(torch.log10(part[2000:-2000].std() / whole[2000:-2000].std()))


def peak_hz(waveform):
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()
    return float(spectrum.argmax()) * RATE / len(waveform)


def test_a_recipe_of_nothing_changes_nothing():
    waveform = sine(440)
    assert torch.equal(alter_waveform(waveform, WaveformRecipe(), RATE), waveform)


@pytest.mark.parametrize(
    ("recipe", "change_db"),
    [(WaveformRecipe(gain_db=-6.0), -6.0), (WaveformRecipe(is_inverted=True), 0.0)],
    ids=["gain", "polarity"],
)
def test_gain_and_polarity_are_exact(recipe, change_db):
    waveform = sine(440)
    view = alter_waveform(waveform, recipe, RATE)
    sign = -1 if recipe.is_inverted else 1
    torch.testing.assert_close(view, sign * 10 ** (change_db / 20) * waveform)


@pytest.mark.parametrize(
    ("hz", "low_pass_hz", "high_pass_hz", "change_db"),
    [
        (1000, 1000, 0, -3.01),
        (4000, 1000, 0, -24.1),
        (100, 1000, 0, 0.0),
        (1000, 0, 1000, -3.01),
        (250, 0, 1000, -24.1),
        (7000, 0, 1000, 0.0),
    ],
)
def test_filters_have_butterworth_slopes(hz, low_pass_hz, high_pass_hz, change_db):
    waveform = sine(hz)
    filtered = limit_band(waveform, low_pass_hz, high_pass_hz, RATE)
    assert db_over(filtered, waveform) == pytest.approx(change_db, abs=0.1)


def test_a_delay_is_an_echo_at_half_level():
    impulse = torch.zeros(100)
    impulse[10] = 1.0
    echoed = delay(impulse, 30)
    assert echoed[10] == 0.5
    assert echoed[40] == 0.25
    assert echoed.count_nonzero() == 2


def test_an_echo_after_the_end_is_not_heard():
    assert torch.equal(delay(torch.ones(10), 20), torch.full((10,), 0.5))


def test_reverberation_keeps_loudness_and_rings_after_the_sound():
    waveform = torch.zeros(RATE)
    waveform[:1000] = sine(440)[:1000]
    wet = reverberate(waveform, RATE // 2, 0.5, torch.Generator().manual_seed(0))
    assert float(wet.norm()) == pytest.approx(float(waveform.norm()), rel=1e-5)
    assert wet[2000:4000].norm() > 10 * wet[10_000:12_000].norm() > 0


@pytest.mark.parametrize("semitones", [-7.0, -1.0, 4.0, 7.0])
def test_a_shifted_sine_is_the_transposed_sine(semitones):
    shifted = shift_pitch(sine(440, 2.0), semitones)
    assert len(shifted) == 2 * RATE
    assert peak_hz(shifted[4000:20_000]) == pytest.approx(440 * 2 ** (semitones / 12), abs=3)


def test_noise_has_the_asked_level():
    waveform = sine(440)
    view = alter_waveform(waveform, WaveformRecipe(noise=0.01), RATE)
    assert float((view - waveform).std() / waveform.std()) == pytest.approx(0.01, rel=0.05)


def test_steps_come_as_often_as_asked():
    config = WaveformViewConfig(pitch=0.5)
    recipes = [draw_waveform_recipe(config, np.random.default_rng(i)) for i in range(4000)]
    shares = {
        "polarity": np.mean([r.is_inverted for r in recipes]),
        "noise": np.mean([r.noise > 0 for r in recipes]),
        "gain": np.mean([r.gain_db < 0 for r in recipes]),
        "band": np.mean([r.low_pass_hz + r.high_pass_hz > 0 for r in recipes]),
        "delay": np.mean([r.delay_s > 0 for r in recipes]),
        "reverb": np.mean([r.decay_s > 0 for r in recipes]),
        "pitch": np.mean([r.semitones != 0 for r in recipes]),
    }
    for field in fields(config)[1:]:
        assert shares[field.name] == pytest.approx(getattr(config, field.name), abs=0.03)
    assert not any(r.low_pass_hz and r.high_pass_hz for r in recipes)


def test_one_probability_does_not_shift_the_others():
    a, b = (
        draw_waveform_recipe(WaveformViewConfig(gain=gain), np.random.default_rng(5))
        for gain in (0.0, 1.0)
    )
    assert replace(a, gain_db=0.0) == replace(b, gain_db=0.0)


def test_the_same_recipe_gives_the_same_view():
    waveform = sine(300)
    recipe = WaveformRecipe(noise=0.01, decay_s=0.3, wet=0.5, seed=9)
    assert torch.equal(
        alter_waveform(waveform, recipe, RATE), alter_waveform(waveform, recipe, RATE)
    )


def test_silence_stays_finite():
    recipe = WaveformRecipe(noise=0.01, decay_s=0.3, wet=0.5, low_pass_hz=2000.0, delay_s=0.2)
    assert alter_waveform(torch.zeros(RATE), recipe, RATE).isfinite().all()
