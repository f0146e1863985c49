"""Waveform → another view of it.

First a recipe is drawn, a plain record of what will be done; then it is
applied. The same recipe always gives the same view.

Letters: L audio samples.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from pemr.config import WaveformViewConfig

_LOW_PASS_HZ = (2_200.0, 4_000.0)
_HIGH_PASS_HZ = (200.0, 1_200.0)
_GAIN_DB = (-20.0, -1.0)
_NOISE = (1e-4, 1e-2)  # standard deviation over the waveform's
_DELAYS_S = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
_DECAY_S = (0.1, 2.0)  # until a room's reverberation is 60 dB down
_WET = (0.1, 0.7)  # energy of the reverberation over the direct sound's
_MAX_SEMITONES = 7.0


@dataclass(frozen=True, kw_only=True)
class WaveformRecipe:
    """What turns a waveform into a view; zero leaves a step out."""

    is_inverted: bool = False
    noise: float = 0.0  # standard deviation over the waveform's
    gain_db: float = 0.0
    low_pass_hz: float = 0.0
    high_pass_hz: float = 0.0
    delay_s: float = 0.0
    decay_s: float = 0.0  # of the reverberation
    wet: float = 0.0
    semitones: float = 0.0
    seed: int = 0  # of noise and of the room


def draw_waveform_recipe(config: WaveformViewConfig, rng: np.random.Generator) -> WaveformRecipe:
    """Draw what to do with a waveform.

    Parameters
    ----------
    config : WaveformViewConfig
        Probability of each step.
    rng : Generator
        Decides.

    Returns
    -------
    WaveformRecipe
        Every number is drawn whether it is used or not, so that one
        probability does not shift the draws of the others.
    """
    chance = rng.random(7)
    is_low = bool(rng.random() < 0.5)
    noise, gain_db, low_pass_hz, high_pass_hz, decay_s, wet, semitones = (
        float(rng.uniform(*bounds))
        for bounds in (
            *(_NOISE, _GAIN_DB, _LOW_PASS_HZ, _HIGH_PASS_HZ, _DECAY_S, _WET),
            (-_MAX_SEMITONES, _MAX_SEMITONES),
        )
    )
    delay_s = float(rng.choice(_DELAYS_S))
    has_band, has_reverb = chance[3] < config.band, chance[5] < config.reverb
    return WaveformRecipe(
        is_inverted=bool(chance[0] < config.polarity),
        noise=noise * (chance[1] < config.noise),
        gain_db=gain_db * (chance[2] < config.gain),
        low_pass_hz=low_pass_hz * (has_band and is_low),
        high_pass_hz=high_pass_hz * (has_band and not is_low),
        delay_s=delay_s * (chance[4] < config.delay),
        decay_s=decay_s * has_reverb,
        wet=wet * has_reverb,
        semitones=semitones * (chance[6] < config.pitch),
        seed=int(rng.integers(2**62)),
    )


def alter_waveform(waveform: Tensor, recipe: WaveformRecipe, sample_rate: int) -> Tensor:
    """Apply a recipe, in the order of the authors' code.

    Parameters
    ----------
    waveform : float32 tensor, shape (L,)
        Mono.
    recipe : WaveformRecipe
        What to do.
    sample_rate : int
        In Hz.

    Returns
    -------
    float32 tensor, shape (L,)
        On the device of the waveform.
    """
    generator = Generator(waveform.device).manual_seed(recipe.seed)
    if recipe.is_inverted:
        waveform = -waveform
    if recipe.noise:
        level = recipe.noise * waveform.std()
        waveform = waveform + level * _noise(len(waveform), generator)
    waveform = waveform * 10 ** (recipe.gain_db / 20)
    if recipe.low_pass_hz or recipe.high_pass_hz:
        waveform = limit_band(waveform, recipe.low_pass_hz, recipe.high_pass_hz, sample_rate)
    if recipe.delay_s:
        waveform = delay(waveform, round(recipe.delay_s * sample_rate))
    if recipe.decay_s:
        decay_length = round(recipe.decay_s * sample_rate)
        waveform = reverberate(waveform, decay_length, recipe.wet, generator)
    if recipe.semitones:
        waveform = shift_pitch(waveform, recipe.semitones)
    return waveform


def limit_band(
    waveform: Tensor, low_pass_hz: float, high_pass_hz: float, sample_rate: int
) -> Tensor:
    """Filter with second-order Butterworth slopes and no change of phase.

    Parameters
    ----------
    waveform : float32 tensor, shape (L,)
        Mono.
    low_pass_hz, high_pass_hz : float
        3 dB points; 0 leaves that side open.
    sample_rate : int
        In Hz.

    Returns
    -------
    float32 tensor, shape (L,)
    """
    length = _fast_length(2 * len(waveform))
    spectrum = torch.fft.rfft(waveform, length)
    hz = torch.fft.rfftfreq(length, 1 / sample_rate, device=waveform.device)
    if low_pass_hz:
        spectrum = spectrum / (1 + (hz / low_pass_hz) ** 4).sqrt()
    if high_pass_hz:
        ratio = (hz / high_pass_hz) ** 4
        spectrum = spectrum * (ratio / (1 + ratio)).sqrt()
    filtered: Tensor = torch.fft.irfft(spectrum, length)
    return filtered[: len(waveform)]


def delay(waveform: Tensor, delay_length: int) -> Tensor:
    """Mix a waveform with its echo at half its level, and halve the sum.

    Parameters
    ----------
    waveform : float32 tensor, shape (L,)
        Mono.
    delay_length : int
        Samples until the echo.

    Returns
    -------
    float32 tensor, shape (L,)
    """
    mixed = waveform.clone()
    if delay_length < len(waveform):
        mixed[delay_length:] += 0.5 * waveform[: len(waveform) - delay_length]
    return mixed / 2


def reverberate(waveform: Tensor, decay_length: int, wet: float, generator: Generator) -> Tensor:
    """Play a waveform in a synthetic room: decaying noise is its impulse response.

    Parameters
    ----------
    waveform : float32 tensor, shape (L,)
        Mono.
    decay_length : int
        Samples until the room is 60 dB down.
    wet : float
        Energy of the room's response over that of the direct sound.
    generator : Generator
        On the waveform's device; draws the room.

    Returns
    -------
    float32 tensor, shape (L,)
        As loud as the waveform was.
    """
    time = torch.arange(decay_length, device=waveform.device) / decay_length
    room = _noise(decay_length, generator) * 10 ** (-3 * time)
    room = room * (wet**0.5 / room.norm().clamp(min=1e-12))
    room[0] += 1.0  # the direct sound
    length = _fast_length(len(waveform) + decay_length)
    product = torch.fft.rfft(waveform, length) * torch.fft.rfft(room, length)
    played: Tensor = torch.fft.irfft(product, length)[: len(waveform)]
    loudness: Tensor = waveform.norm() / played.norm().clamp(min=1e-12)
    return played * loudness


def shift_pitch(waveform: Tensor, semitones: float) -> Tensor:
    """Transpose without a change of tempo: stretch by phase vocoder, then resample.

    Parameters
    ----------
    waveform : float32 tensor, shape (L,)
        Mono.
    semitones : float
        Up.

    Returns
    -------
    float32 tensor, shape (L,)
    """
    from torchaudio.functional import phase_vocoder  # noqa: PLC0415 (slow import, rarely needed)

    n_fft, hop_length = 1024, 256
    window = torch.hann_window(n_fft, device=waveform.device)
    advance = torch.linspace(0, torch.pi * hop_length, n_fft // 2 + 1, device=waveform.device)
    transform = torch.stft(waveform, n_fft, hop_length, window=window, return_complex=True)
    rate = 2 ** (-semitones / 12)
    stretched = phase_vocoder(transform, rate, advance[:, None])
    longer = torch.istft(stretched, n_fft, hop_length, window=window)
    length = len(waveform)
    wanted = round(len(longer) * rate)
    resampled = torch.fft.irfft(torch.fft.rfft(longer), wanted) * (wanted / len(longer))
    return torch.nn.functional.pad(resampled, (0, max(0, length - wanted)))[:length]


def _noise(length: int, generator: Generator) -> Tensor:
    return torch.randn(length, generator=generator, device=generator.device)


def _fast_length(length: int) -> int:
    """Return the next power of two: FFTs of awkward lengths are slow."""
    return 1 << (length - 1).bit_length()
