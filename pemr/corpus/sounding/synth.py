"""The built-in synthesiser: events become a waveform with NumPy alone.

It needs no SoundFont. Each General MIDI family has a timbre of its own: a
table of harmonics that darkens as the note decays, an envelope, vibrato. Drums
are shaped noise and falling sines.

Letters: L samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.playing.arrange import Event

Waveform = NDArray[np.float32]

TABLE_LENGTH = 2048


@dataclass(frozen=True)
class Timbre:
    """How a family of instruments sounds.

    Parameters
    ----------
    slope : float
        Fall of the harmonics: the k-th has amplitude ``k ** -slope``.
    odd : float
        Level of the even harmonics against the odd ones.
    attack_s, decay_s, release_s : float
        Envelope; ``decay_s`` is the time to fall to 1/e, infinite for a held tone.
    darkening : float
        Harmonics lost as the note decays, 0 none to 1 all but the first.
    vibrato : float
        Depth in semitones.
    drive : float
        Distortion, 0 none.
    """

    slope: float
    odd: float = 1.0
    attack_s: float = 0.005
    decay_s: float = np.inf
    release_s: float = 0.08
    darkening: float = 0.0
    vibrato: float = 0.0
    drive: float = 0.0


FAMILIES: tuple[Timbre, ...] = (
    Timbre(1.3, decay_s=0.9, darkening=0.7, release_s=0.15),  # pianos
    Timbre(1.8, odd=0.3, attack_s=0.001, decay_s=0.6, darkening=0.9, release_s=0.3),  # bells
    Timbre(1.0, odd=0.6, attack_s=0.01, release_s=0.04),  # organs
    Timbre(1.2, decay_s=0.6, darkening=0.8, release_s=0.1),  # guitars
    Timbre(1.5, decay_s=0.8, darkening=0.6),  # basses
    Timbre(1.0, attack_s=0.06, release_s=0.15, vibrato=0.15),  # bowed strings
    Timbre(1.2, attack_s=0.1, release_s=0.3, vibrato=0.08),  # ensembles
    Timbre(0.8, attack_s=0.04, release_s=0.08, vibrato=0.08),  # brass
    Timbre(1.0, odd=0.35, attack_s=0.04, release_s=0.06, vibrato=0.12),  # reeds
    Timbre(2.2, odd=0.5, attack_s=0.05, release_s=0.08, vibrato=0.15),  # pipes
    Timbre(0.9, attack_s=0.005, release_s=0.06, drive=0.6),  # leads
    Timbre(1.6, attack_s=0.3, release_s=0.6, vibrato=0.05),  # pads
    Timbre(1.3, attack_s=0.05, decay_s=2.0, release_s=0.4),  # effects
    Timbre(0.9, decay_s=0.4, darkening=0.9),  # plucked of the world
    Timbre(2.0, odd=0.2, attack_s=0.001, decay_s=0.3, darkening=0.9),  # percussive
    Timbre(1.0, attack_s=0.05, release_s=0.2),  # sound effects
)


@lru_cache(maxsize=512)
def _table(family: int, n_harmonics: int, is_dark: bool) -> Waveform:
    timbre = FAMILIES[family]
    k = np.arange(1, n_harmonics + 1)
    amplitude = k ** -(timbre.slope + (1.5 * timbre.darkening if is_dark else 0.0))
    amplitude = np.where(k % 2 == 0, amplitude * timbre.odd, amplitude)
    phase = np.random.default_rng(family).uniform(0, 2 * np.pi, n_harmonics)
    t = 2 * np.pi * np.arange(TABLE_LENGTH) / TABLE_LENGTH
    wave = (amplitude[:, None] * np.sin(k[:, None] * t + phase[:, None])).sum(0)
    wave /= np.sqrt((wave**2).mean())
    if timbre.drive:
        wave = np.tanh(wave * (1 + 4 * timbre.drive))
    return np.asarray(wave, dtype=np.float32)


def _envelope(timbre: Timbre, length: int, held: int, sample_rate: int) -> Waveform:
    t = np.arange(length, dtype=np.float32) / sample_rate
    envelope = np.minimum(t / timbre.attack_s, 1.0)
    if np.isfinite(timbre.decay_s):
        envelope *= np.exp(-t / timbre.decay_s)
    tail = length - held
    envelope[held:] *= np.linspace(1, 0, tail, dtype=np.float32) ** 2
    return np.asarray(envelope, dtype=np.float32)


@lru_cache(maxsize=2048)
def _note(program: int, pitch: float, held: int, sample_rate: int) -> Waveform:
    family = program // 8
    timbre = FAMILIES[family]
    hz = 440.0 * 2 ** ((pitch - 69) / 12)
    n_harmonics = int(np.clip(0.45 * sample_rate / hz, 1, 40))
    length = held + int(timbre.release_s * sample_rate)
    t = np.arange(length, dtype=np.float32) / sample_rate
    phase = np.asarray(hz * t, dtype=np.float64)
    if timbre.vibrato:
        depth = timbre.vibrato * np.log(2) / 12 * hz / (2 * np.pi * 5.5)
        phase = phase + depth * np.sin(2 * np.pi * 5.5 * t) * np.minimum(t / 0.3, 1)
    index = (phase * TABLE_LENGTH).astype(np.int64) % TABLE_LENGTH
    bright = _table(family, n_harmonics, False)[index]
    if timbre.darkening:
        keep = np.exp(-t / (0.5 * timbre.decay_s))
        dark = _table(family, n_harmonics, True)[index]
        bright = dark + keep.astype(np.float32) * (bright - dark)
    # a low and a high note of one level sound alike loud when the low one is stronger
    level = 0.1 * (220 / hz) ** 0.25
    return np.float32(level) * bright * _envelope(timbre, length, held, sample_rate)


@lru_cache(maxsize=128)
def _drum(pitch: int, sample_rate: int) -> Waveform:
    rng = np.random.default_rng(pitch)
    if pitch in (35, 36):
        return _sweep(150.0, 48.0, 0.25, sample_rate) * np.float32(0.7)
    if pitch in (41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64):
        return _sweep(2.4 * pitch, 1.8 * pitch, 0.3, sample_rate) * np.float32(0.4)
    decay_s = {49: 0.8, 57: 0.8, 51: 0.35, 46: 0.25, 38: 0.12, 40: 0.12, 39: 0.1}.get(pitch, 0.04)
    length = int(5 * decay_s * sample_rate)
    t = np.arange(length) / sample_rate
    hiss = rng.standard_normal(length)
    if pitch in (38, 39, 40):
        hiss += 2 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.05)
    else:
        hiss = np.diff(hiss, prepend=0.0)
    return np.asarray(0.12 * hiss * np.exp(-t / decay_s), dtype=np.float32)


def _sweep(high_hz: float, low_hz: float, decay_s: float, sample_rate: int) -> Waveform:
    t = np.arange(int(4 * decay_s * sample_rate)) / sample_rate
    hz = low_hz + (high_hz - low_hz) * np.exp(-t / 0.04)
    wave = np.sin(2 * np.pi * np.cumsum(hz) / sample_rate) * np.exp(-t / decay_s)
    return wave.astype(np.float32)


def play(
    events: Sequence[Event], program: int, length: int, sample_rate: int, *, is_drums: bool = False
) -> Waveform:
    """Play one part.

    Parameters
    ----------
    events : sequence of Event
    program : int
        General MIDI program, 0 to 127; its family of eight decides the timbre.
    length : int
        Samples to return; what sounds longer is cut.
    sample_rate : int
        Hz.
    is_drums : bool
        Whether pitches name General MIDI drums.

    Returns
    -------
    float32 array, shape (L,)
    """
    out = np.zeros(length, dtype=np.float32)
    for event in events:
        first = int(event.start_s * sample_rate)
        if not 0 <= first < length:
            continue
        if is_drums:
            note = _drum(round(event.pitch), sample_rate)
        else:
            held = max(1, round(event.duration_s * 25)) * sample_rate // 25
            note = _note(program, round(event.pitch, 2), held, sample_rate)
        note = note[: length - first]
        out[first : first + len(note)] += note * np.float32((event.velocity / 100) ** 1.5)
    return out


def noise(length: int, rng: Generator) -> Waveform:
    """White noise of unit power.

    Parameters
    ----------
    length : int
        Samples.
    rng : Generator

    Returns
    -------
    float32 array, shape (L,)
    """
    return rng.standard_normal(length, dtype=np.float32)
