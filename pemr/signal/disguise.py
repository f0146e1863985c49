"""Crops of spectrograms → how other recordings would show them.

A whole batch at a time, and on its device. Every crop draws its own key,
equaliser, dynamics, noise and gaps.

Letters: B batch, F frequency bins, T frames.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from pemr.config import DisguiseConfig
from pemr.signal.frontend import N_BINS

_DB_PER_NEPER = 10 / math.log(10)  # of power
_MIX_DB = (-18.0, -3.0)  # the other work, against this one
_LONGEST_GAP = (20, 14)  # frames and bins that a mask may hide
_BLANK_DB, _BLANK_SPREAD_DB = -60.0, 4.0  # noise in place of a spectrogram

N_PITCH_CLASSES = 12
_BLUR = 5  # frames
_FAINT = 1e-4  # the least that is told of a pitch class
_MISTAKEN = 0.15  # the most that is told of one that does not sound
_DEAF_GAP = 30  # the most frames without harmony


def disguise(
    crops: Tensor, config: DisguiseConfig, strength: float, generator: Generator
) -> Tensor:
    """Make every crop look like another recording of what it holds.

    Parameters
    ----------
    crops : float32 tensor, shape (B, 84 or 120, T)
        84 semitones in dB; 36 rows of harmony in 0..1 may follow.
    config : DisguiseConfig
        How far to go.
    strength : float
        In 0..1: how much of it is applied. Another work is mixed in at 1 only.
    generator : Generator
        Decides; on the crops' device.

    Returns
    -------
    float32 tensor, shape (B, F, T)
    """
    n_crops, _, n_frames = crops.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=crops.device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=crops.device)

    semitones = _integers(uniform(n_crops), -config.max_roll, config.max_roll)
    crops, harmony = roll(crops[:, :N_BINS], semitones), crops[:, N_BINS:]
    n_bins = crops.shape[1]
    if strength >= 1.0 and config.mix:
        crops = _mixed(crops, uniform(n_crops) < config.mix, uniform(n_crops, 1, 1))
    depth = config.max_eq_db * strength * uniform(2, n_crops, 1, 1)
    eq = functional.interpolate(normal(n_crops, 1, 7), size=n_bins, mode="linear")[:, 0, :, None]
    gain = functional.interpolate(normal(n_crops, 1, 10), size=n_frames, mode="linear")
    crops = crops + depth[0] * eq + depth[1] * gain
    crops = crops + config.max_noise_db * strength * uniform(n_crops, 1, 1) * normal(*crops.shape)
    nearest, farthest = config.floor_db
    below = nearest + 35 * (1 - strength) + (farthest - nearest) * uniform(n_crops, 1, 1)
    floor = crops.amax((1, 2), keepdim=True) - below
    crops = add_power(crops, floor + 2 * normal(*crops.shape))
    crops = crops * (1 + config.max_gamma * strength * (2 * uniform(n_crops, 1, 1) - 1))
    for axis, longest in ((2, _LONGEST_GAP[0]), (1, _LONGEST_GAP[1])):
        is_hit = uniform(n_crops) < config.mask * strength
        crops = _hidden(crops, axis, is_hit, uniform(n_crops), longest * uniform(n_crops))
    if not harmony.shape[1]:
        return crops
    harmony = _misheard(turn(harmony, semitones), strength, generator)
    draws = uniform(n_crops, 1, 1)
    harmony = harmony * (draws >= config.deaf)
    blank = _BLANK_DB + _BLANK_SPREAD_DB * normal(*crops.shape)
    return torch.cat([torch.where(draws > 1 - config.blind, blank, crops), harmony], dim=1)


def roll(crops: Tensor, semitones: Tensor) -> Tensor:
    """Transpose, the edges filled with the outermost bin.

    Parameters
    ----------
    crops : float32 tensor, shape (B, F, T)
        In dB.
    semitones : int64 tensor, shape (B,)
        Upwards.

    Returns
    -------
    float32 tensor, shape (B, F, T)
    """
    bins = torch.arange(crops.shape[1], device=crops.device) - semitones[:, None]
    bins = bins.clamp(0, crops.shape[1] - 1)
    return crops.gather(1, bins[:, :, None].expand_as(crops))


def turn(harmony: Tensor, semitones: Tensor) -> Tensor:
    """Transpose harmony: each of its pictures is a circle of pitch classes.

    Parameters
    ----------
    harmony : float32 tensor, shape (B, 36, T)
    semitones : int64 tensor, shape (B,)
        Upwards.

    Returns
    -------
    float32 tensor, shape (B, 36, T)
    """
    n_crops, n_rows, n_frames = harmony.shape
    circles = harmony.reshape(n_crops, n_rows // N_PITCH_CLASSES, N_PITCH_CLASSES, n_frames)
    from_ = torch.arange(N_PITCH_CLASSES, device=harmony.device) - semitones[:, None]
    from_ = (from_ % N_PITCH_CLASSES)[:, None, :, None].expand_as(circles)
    return circles.gather(2, from_).reshape(harmony.shape)


def _misheard(harmony: Tensor, strength: float, generator: Generator) -> Tensor:
    """Blur, flatten, weaken and interrupt harmony, as another recording would change it."""
    n_crops, _, n_frames = harmony.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=harmony.device)

    blurred = functional.avg_pool1d(harmony, _BLUR, 1, _BLUR // 2)
    harmony = torch.where(uniform(n_crops, 1, 1) < 0.5, blurred, harmony)
    powers = torch.randn((n_crops, 1, 1), generator=generator, device=harmony.device) / 2
    harmony = harmony.clamp(min=_FAINT) ** powers.exp()
    harmony = harmony * (1 - strength / 2 * uniform(n_crops, 1, 1))
    noise = _MISTAKEN * strength * uniform(n_crops, 1, 1)
    harmony = harmony + noise * uniform(*harmony.shape)
    places = torch.arange(n_frames, device=harmony.device) - n_frames * uniform(n_crops, 1)
    is_gap = (places >= 0) & (places < _DEAF_GAP * uniform(n_crops, 1))
    return harmony.masked_fill(is_gap[:, None], 0.0)


def add_power(one: Tensor, other: Tensor) -> Tensor:
    """Sum the powers of two spectrograms in dB."""
    return torch.logaddexp(one / _DB_PER_NEPER, other / _DB_PER_NEPER) * _DB_PER_NEPER


def _integers(draws: Tensor, least: int, most: int) -> Tensor:
    return (least + draws * (most - least + 1)).floor().long()


def _mixed(crops: Tensor, is_hit: Tensor, draws: Tensor) -> Tensor:
    """Put the crop half a batch further on underneath those that are hit."""
    others = crops.roll(len(crops) // 2, 0)
    louder = crops.amax((1, 2), keepdim=True) - others.amax((1, 2), keepdim=True)
    level = louder + _MIX_DB[0] + (_MIX_DB[1] - _MIX_DB[0]) * draws
    return torch.where(is_hit[:, None, None], add_power(crops, others + level), crops)


def _hidden(crops: Tensor, axis: int, is_hit: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Hide a stretch of one axis from those that are hit."""
    n_places = crops.shape[axis]
    places = torch.arange(n_places, device=crops.device)[None]
    first = start[:, None] * n_places
    is_hidden = is_hit[:, None] & (places >= first) & (places < first + length[:, None])
    silence = crops.amin((1, 2), keepdim=True)
    return torch.where(is_hidden.unsqueeze(3 - axis), silence, crops)
