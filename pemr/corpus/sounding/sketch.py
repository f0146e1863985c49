"""A performance becomes a compact spectrogram directly, without any sound in between.

Notes are drawn as partials where the constant-Q transform would show them, with
timbres, drums, room and recording drawn at random. It is thousands of times
faster than playing and transforming, so variety costs nothing; what it lacks in
likeness, rendered recordings of the same corpus make up for.

Letters: F frequency bins (84), T frames (5 a second).
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.playing.arrange import Arrangement, Event, PlayedPart
from pemr.signal.cqt import C1_HZ, SPECTRUM
from pemr.signal.frontend import FLOOR_DB, FRAME_RATE, N_BINS, pack
from pemr.signal.kernels import compiled

N_PARTIALS: Final = 16

Floats = NDArray[np.float64]

_BINS = np.arange(N_BINS)
_BANK = np.stack([C1_HZ * 2 ** (_BINS / 12), SPECTRUM.lengths_s[1::3]])  # Hz, s
_PLUCKED = frozenset({*range(16), *range(24, 40), *range(104, 120), 45, 46})  # MIDI programs
_KITS = ((36, 12.0, 9.0, 80.0), (40, 64.0, 40.0, 90.0), (128, 84.0, 20.0, 150.0))
# drums up to which pitch: centre and width in bins, decay in dB/s
_TUNE = frozenset({"melody", "second"})


class DrawnTimbre(NamedTuple):
    """How the notes of one player look.

    Parameters
    ----------
    partials_db : float64 array, shape (16,)
        Level of each partial.
    body_db : float64 array, shape (F,)
        Resonances that stay where they are when the pitch changes.
    shape : float64 array, shape (4,)
        Attack in s, decay in dB/s, release in s to −60 dB, and how much wider
        than a steady tone vibrato makes a partial.
    breath_db : float
        Level of the noise that starts each note.
    """

    partials_db: Floats
    body_db: Floats
    shape: Floats
    breath_db: float


def sketch(performance: Arrangement, rng: Generator) -> NDArray[np.uint8]:
    """Draw a performance as a recording of it would look.

    Parameters
    ----------
    performance : Arrangement
        From `pemr.corpus.playing.arrange`.
    rng : Generator
        Decides on timbres, balance, room and recording.

    Returns
    -------
    uint8 array, shape (84, T)
        The compact spectrogram.
    """
    n_frames = math.ceil(performance.duration_s * FRAME_RATE)
    power = np.zeros((N_BINS, n_frames))
    tuning = rng.normal(0, 0.12)
    for track in performance.tracks:
        if not track.events:
            continue
        part = np.zeros_like(power)
        if track.role == "drums":
            _draw_drums(part, track.events, rng)
        else:
            _draw_track(part, track, tuning, rng)
        level_db = rng.uniform(-9, 4) + (0 if track.role in _TUNE else performance.band_db)
        part /= part.sum(0)[part.sum(0) > 0].mean() + 1e-12 if part.any() else 1.0
        power += part * 10 ** (level_db / 10)
    if rng.random() < 0.8:
        _reverberate(power, *_room(rng))
    power *= 10 ** (rng.normal(0, rng.uniform(0.5, 2.5), power.shape) / 10)
    return pack(_recorded(power, rng).astype(np.float32))


def _draw_track(power: Floats, track: PlayedPart, tuning: float, rng: Generator) -> None:
    timbre = draw_timbre(track.program, is_voice=bool(track.voice), rng=rng)
    events = np.array([[e.start_s, e.duration_s, e.pitch, e.velocity] for e in track.events])
    wobble = 0.08 if track.voice else 0.02
    notes = np.stack(
        [
            events[:, 0],
            events[:, 0] + np.maximum(events[:, 1], 0.06),
            events[:, 2] + tuning + rng.normal(0, wobble, len(events)),
            (events[:, 3] - 90) / 5,
        ],
        axis=1,
    )
    _draw_notes(power, notes, timbre.partials_db, timbre.body_db, timbre.shape, _BANK)
    if timbre.breath_db > -60:
        hiss = 10 ** ((timbre.breath_db + 3 * np.clip((_BINS - 60) / 10, -3, 1.5)) / 10)
        frames = (notes[:, 0] * FRAME_RATE).astype(int)
        for frame in frames[(frames >= 0) & (frames < power.shape[1])]:
            power[:, frame] += hiss * rng.uniform(0, 1)


def draw_timbre(program: int, *, is_voice: bool, rng: Generator) -> DrawnTimbre:
    """Draw a timbre of the kind that a General MIDI program has.

    Parameters
    ----------
    program : int
        Tells plucked from sustained.
    is_voice : bool
        Whether somebody sings.
    rng : Generator

    Returns
    -------
    DrawnTimbre
    """
    order = np.arange(1, N_PARTIALS + 1)
    partials_db = -rng.uniform(1, 11) * np.log2(order) + rng.normal(0, rng.uniform(0, 4), 16)
    partials_db[1::2] -= rng.uniform(6, 25) * (rng.random() < 0.15)
    partials_db[0] -= rng.uniform(0, 15) * (rng.random() < 0.2)
    body_db = np.zeros(N_BINS)
    for _ in range(rng.integers(2, 5) if is_voice else rng.integers(0, 3)):
        centre, width = rng.uniform(38, 80), rng.uniform(2.5, 8)
        body_db += rng.uniform(4, 16) * np.exp(-0.5 * ((_BINS - centre) / width) ** 2)
    attack_s, decay, release_s = rng.uniform(0.02, 0.15), rng.uniform(0, 4), rng.uniform(0.08, 0.4)
    if program in _PLUCKED and not is_voice:
        attack_s, decay = 0.02, np.exp(rng.uniform(np.log(5), np.log(45)))
        release_s = rng.uniform(0.1, 0.8)
    spread = rng.uniform(0.2, 1.8) if is_voice else rng.uniform(0, 0.3)
    breath_db = rng.uniform(-30, -14) if is_voice and rng.random() < 0.7 else -100.0
    shape = np.array([attack_s, decay, release_s, spread])
    return DrawnTimbre(partials_db, body_db, shape, float(breath_db))


@compiled
def _draw_notes(
    power: Floats, notes: Floats, partials_db: Floats, body_db: Floats, shape: Floats, bank: Floats
) -> None:
    """Add notes, rows of start and stop in s, pitch and dB, to power (F, T)."""
    envelope = np.empty(power.shape[1])
    for start, stop, pitch, level in notes:
        first = max(0, int(start * 5.0))
        last = min(power.shape[1], int((stop + shape[2]) * 5.0) + 1)
        for frame in range(first, last):
            envelope[frame] = _loudness(frame, start, stop, shape)
        for order in range(len(partials_db)):
            frequency = 440 * 2 ** ((pitch - 69) / 12) * (order + 1)
            place = 12 * math.log2(frequency / bank[0, 0])
            if not -2 < place < len(bank[0]) + 0.5:
                continue
            nearest = min(max(round(place), 0), len(bank[0]) - 1)
            loud = 10 ** ((level + partials_db[order] + body_db[nearest]) / 10)
            for bin_ in range(max(0, nearest - 9), min(len(bank[0]), nearest + 10)):
                distance = abs(frequency - bank[0, bin_]) * bank[1, bin_] / (1 + shape[3])
                weight = loud * _leak(distance)
                if weight > 1e-12:
                    for frame in range(first, last):
                        power[bin_, frame] += weight * envelope[frame]


@compiled
def _loudness(frame: int, start: float, stop: float, shape: Floats) -> float:
    """Power of a note in a frame: the share of it that sounds, and how far it has decayed."""
    attack, decay, release = shape[0], shape[1], shape[2]
    begin, end = frame / 5.0, (frame + 1) / 5.0
    share = max(0.0, min(end, stop + release) - max(begin, start)) * 5.0
    age = max((begin + end) / 2 - start, 0.0)
    level = -decay * age
    if age < attack:
        level -= 12 * (1 - age / attack)
    level -= 60 * max(0.0, (begin + end) / 2 - stop) / release
    return float(share * 10 ** (level / 10))


@compiled
def _leak(distance: float) -> float:
    """Power spectrum of the Hann window, `distance` in inverse lengths from its centre."""
    if distance > 1.95:
        return 0.0
    if distance < 1e-3:
        return 1.0
    if abs(distance - 1) < 1e-3:
        return 0.25
    return float((math.sin(math.pi * distance) / (math.pi * distance) / (1 - distance**2)) ** 2)


def _draw_drums(power: Floats, events: Sequence[Event], rng: Generator) -> None:
    """Add broadband hits: skins below, snares in the middle, metal on top."""
    kits = []
    for _, centre, width, decay in _KITS:
        colour = (
            -3 * ((_BINS - centre * rng.uniform(0.8, 1.2)) / (width * rng.uniform(0.6, 1.5))) ** 2
        )
        level_db = rng.uniform(-10, 5) - 12 * (centre > 80)
        kits.append((colour + rng.normal(0, 3, N_BINS) + level_db, decay * rng.uniform(0.4, 1.8)))
    for event in events:
        colour, decay = next(k for k, kit in zip(kits, _KITS, strict=True) if event.pitch <= kit[0])
        begin = event.start_s * FRAME_RATE
        for frame in range(max(0, int(begin)), min(power.shape[1], int(begin) + 3)):
            age_s = max(0.0, frame + 0.5 - begin) / FRAME_RATE
            share = min(1.0, frame + 1 - begin)
            level = colour + (event.velocity - 90) / 5 - decay * age_s
            power[:, frame] += share * 10 ** (level / 10) * rng.uniform(0.6, 1.4, N_BINS)


def _room(rng: Generator) -> tuple[Floats, float]:
    """Draw seconds to −60 dB for each bin, and the reverberant over the direct power."""
    decay_s = np.exp(rng.uniform(np.log(0.3), np.log(3.5)))
    slope = np.linspace(rng.uniform(0.8, 1.6), rng.uniform(0.4, 1), N_BINS)
    return decay_s * slope, float(10 ** (rng.uniform(-12, 6) / 10))


@compiled
def _reverberate(power: Floats, decay_s: Floats, wet: float) -> None:
    for bin_ in range(power.shape[0]):
        kept = 10 ** (-6 / (decay_s[bin_] * 5.0))
        tail = 0.0
        for frame in range(power.shape[1]):
            dry = power[bin_, frame]
            power[bin_, frame] = dry + wet * tail
            tail = kept * (tail + dry * (1 - kept))


def _recorded(power: Floats, rng: Generator) -> Floats:
    """Equalise, limit the band, add noise, set the level, compress; power to dB."""
    knots = rng.normal(0, rng.uniform(1, 4.5), 8)
    eq_db = np.interp(np.linspace(0, 7, N_BINS), np.arange(8), knots)
    if rng.random() < 0.3:
        eq_db += np.minimum(0, _BINS - rng.uniform(0, 36)) * rng.uniform(0.3, 2)
    if rng.random() < 0.2:
        eq_db -= np.maximum(0, _BINS - rng.uniform(60, 82)) * rng.uniform(0.5, 3)
    power = power * 10 ** (eq_db / 10)[:, None]
    power *= 10 ** (rng.uniform(-38, -12) / 10) / (np.percentile(power, 99) + 1e-12)
    noise_db = rng.uniform(-85, -45) if rng.random() < 0.8 else rng.uniform(-45, -30)
    colour = noise_db + rng.uniform(-12, 6) * np.linspace(-1, 1, N_BINS)
    power += 10 ** ((colour[:, None] + rng.normal(0, 2, power.shape)) / 10)
    spectrogram = 10 * np.log10(np.maximum(power, 1e-10))
    if rng.random() < 0.3:
        level = 10 * np.log10(power.sum(0))
        level = np.convolve(np.pad(level, 2, mode="edge"), np.full(5, 0.2), "valid")
        spectrogram -= rng.uniform(0.2, 0.8) * (level - level.mean())
    if rng.random() < 0.15:  # what a codec throws away
        spectrogram[spectrogram < spectrogram.max(0) - rng.uniform(35, 60)] = FLOOR_DB
    return spectrogram
