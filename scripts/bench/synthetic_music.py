"""Music made from a seed, for experiments that must fit a few minutes: classes and covers.

Classes differ in how notes sound and follow each other, never in which notes they are: attack
(struck or bowed), partials (all or odd ones), and rhythm (even or dotted). Pitch, tempo, spectral
tilt, echo and noise vary within a class. A work is a melody over chords; its covers differ in
tempo, sound, noise and where they start, and share their key, since log-mel knows no transposition.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pemr.training.data import Recording

Waveform = NDArray[np.float64]


@dataclass(frozen=True)
class Sound:
    """How notes are played."""

    is_struck: bool
    has_odd_partials: bool
    is_dotted: bool
    tilt_db: float  # an octave
    echo: float
    noise_db: float


def play(
    notes: list[tuple[float, float, float]],
    sound: Sound,
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> Waveform:
    """Add up the partials of notes (start s, length s, Hz), then echo and noise."""
    waveform = np.zeros(round(duration_s * sample_rate))
    for start_s, length_s, hz in notes:
        first = round(start_s * sample_rate)
        time = np.arange(min(round(length_s * sample_rate), len(waveform) - first)) / sample_rate
        if first < 0 or len(time) < 8:
            continue
        waveform[first : first + len(time)] += _note(time, hz, sound, sample_rate)
    lag = round(0.11 * sample_rate)
    waveform[lag:] += sound.echo * waveform[:-lag]
    waveform /= waveform.std() + 1e-9
    waveform += 10 ** (sound.noise_db / 20) * rng.standard_normal(len(waveform))
    return 0.1 * waveform / waveform.std()


def _note(time: Waveform, hz: float, sound: Sound, sample_rate: int) -> Waveform:
    partials = np.arange(1, 13, 2 if sound.has_odd_partials else 1)
    partials = partials[partials * hz < 0.45 * sample_rate]
    levels = 10 ** (sound.tilt_db * np.log2(np.maximum(partials, 1)) / 20)
    tone = (levels[:, None] * np.sin(2 * np.pi * hz * partials[:, None] * time)).sum(0)
    if sound.is_struck:
        return tone * np.exp(-6 * time)
    return tone * np.minimum(1, time / 0.06) * np.minimum(1, (time[-1] - time) / 0.04)


def class_recordings(
    folder: Path, n_recordings: int, seed: int, sample_rate: int, duration_s: float = 7.0
) -> tuple[list[Recording], list[int]]:
    """Write recordings of eight classes in turn; give them and their classes."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = []
    for index in range(n_recordings):
        rng = np.random.default_rng((seed, index))
        label = index % 8
        sound = Sound(
            bool(label & 1), bool(label & 2), bool(label & 4),
            rng.uniform(-9, -4), rng.uniform(0, 0.4), rng.uniform(-30, -10),
        )  # fmt: skip
        beat_s, notes = rng.uniform(0.2, 0.5), []
        for beat in range(int(duration_s / beat_s)):
            parts = (0.0, 0.75) if sound.is_dotted else (0.0, 0.5)
            for part, length in zip(parts, np.diff([*parts, 1.0]), strict=True):
                hz = 80 * 2 ** (rng.integers(0, 20) / 12)
                notes.append(((beat + part) * beat_s, length * beat_s, hz))
        waveform = play(notes, sound, duration_s, sample_rate, rng)
        recordings.append(_written(folder / f"{index}.npy", waveform))
    return recordings, [index % 8 for index in range(n_recordings)]


def cover_recordings(
    folder: Path, n_works: int, n_performances: int, seed: int, sample_rate: int
) -> tuple[list[Recording], list[int]]:
    """Write covers, all in their work's key; give them and their works."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings, works = [], []
    for work in range(n_works):
        rng = np.random.default_rng((seed, work))
        degrees, roots = _work(rng)
        key_hz = 110 * 2 ** (rng.integers(-6, 6) / 12)
        for performance in range(n_performances):
            rng = np.random.default_rng((seed, work, performance))
            waveform = _performance(degrees, roots, key_hz, sample_rate, rng)
            recordings.append(_written(folder / f"{work}-{performance}.npy", waveform))
            works.append(work)
    return recordings, works


def _written(file: Path, waveform: Waveform) -> Recording:
    np.save(file, np.clip(32767 * waveform, -32767, 32767).astype(np.int16))
    return Recording(file, file, len(waveform))


def _work(rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """A melody of 32 beats within a major scale, moving mostly by step, and a chord every four."""
    scale = [0, 2, 4, 5, 7, 9, 11]
    place, degrees = int(rng.integers(0, 7)), []
    for _ in range(32):
        place = int(np.clip(place + rng.choice([-2, -1, -1, 0, 1, 1, 2, 4, -4]), -2, 12))
        degrees.append(12 * (place // 7) + scale[place % 7])
    return degrees, [int(r) for r in rng.choice([0, 5, 7, 9, 2, 4], 8)]


def _performance(
    degrees: list[int], roots: list[int], key_hz: float, sample_rate: int, rng: np.random.Generator
) -> Waveform:
    sound = Sound(
        bool(rng.random() < 0.5), bool(rng.random() < 0.5), bool(rng.random() < 0.5),
        rng.uniform(-10, -3), rng.uniform(0, 0.5), rng.uniform(-25, -5),
    )  # fmt: skip
    beat_s = rng.uniform(0.3, 0.55)
    first = int(rng.integers(0, 8)) * 4
    duration_s, notes = 12.0, []
    for beat in range(int(duration_s / beat_s)):
        at = (first + beat) % len(degrees)
        notes.append((beat * beat_s, beat_s, key_hz * 2 ** (degrees[at] / 12 + 1)))
        for third in (0, 4, 7) if rng.random() < 0.8 else (0,):
            notes.append((beat * beat_s, beat_s, key_hz * 2 ** ((roots[at // 4] + third) / 12)))
    return play(notes, sound, duration_s, sample_rate, rng)
