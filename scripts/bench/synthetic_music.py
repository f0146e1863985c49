"""Music made from a seed, for experiments that must fit a few minutes: classes and covers.

Classes differ in how notes sound and follow each other, never in which notes they are: attack
(struck or bowed), partials (all or odd ones), and rhythm (even or dotted). Pitch, tempo, spectral
tilt, echo and noise vary within a class, and from section to section of a recording, as what is
played and how it is mixed changes within a song while its genre stays. A work is a melody over
chords; its covers differ in tempo, sound, noise and where they start, and share their key, since
log-mel knows no transposition.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pemr.training.data import Prepared

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
    folder: Path, n_recordings: int, seed: int, sample_rate: int
) -> tuple[list[Prepared], list[int]]:
    """Write recordings of eight classes in turn; give them and their classes."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = []
    for index in range(n_recordings):
        rng = np.random.default_rng((seed, index))
        file = folder / f"{seed}-{index}.npy"
        recordings.append(_kept(file, partial(_of_class, index % 8, sample_rate, rng)))
    return recordings, [index % 8 for index in range(n_recordings)]


def cover_recordings(
    folder: Path, n_works: int, n_performances: int, seed: int, sample_rate: int
) -> tuple[list[Prepared], list[int]]:
    """Write covers, all in their work's key; give them and their works."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings, works = [], []
    for work in range(n_works):
        composition = _work(np.random.default_rng((seed, work)))
        for performance in range(n_performances):
            rng = np.random.default_rng((seed, work, performance))
            file = folder / f"{seed}-{work}-{performance}.npy"
            recordings.append(_kept(file, partial(_performance, composition, sample_rate, rng)))
            works.append(work)
    return recordings, works


def _kept(file: Path, make: Callable[[], Waveform]) -> Prepared:
    """Write a recording as a training cache holds it, unless it is there already."""
    if not file.is_file():
        waveform = make()
        written = file.with_suffix(f".{os.getpid()}")
        with written.open("wb") as stream:
            np.save(stream, np.clip(32767 * waveform, -32767, 32767).astype(np.int16))
        written.replace(file)
    return Prepared(file, file, len(np.load(file, mmap_mode="r")))


def _of_class(label: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Play four sections: the class stays, while tempo, tilt, echo and noise change."""
    sections = []
    for _ in range(4):
        sound = Sound(
            bool(label & 1), bool(label & 2), bool(label & 4),
            rng.uniform(-12, -3), rng.uniform(0, 0.7), rng.uniform(-25, -5),
        )  # fmt: skip
        duration_s, beat_s, notes = 2.5, rng.uniform(0.2, 0.5), []
        for beat in range(int(duration_s / beat_s)):
            parts = (0.0, 0.75) if sound.is_dotted else (0.0, 0.5)
            for part, length in zip(parts, np.diff([*parts, 1.0]), strict=True):
                hz = 80 * 2 ** (rng.integers(0, 20) / 12)
                notes.append(((beat + part) * beat_s, length * beat_s, hz))
        sections.append(play(notes, sound, duration_s, sample_rate, rng))
    return np.concatenate(sections)


@dataclass(frozen=True)
class Composition:
    """What the covers of a work share."""

    degrees: list[int]  # of the melody, a beat each, in semitones over the key
    roots: list[int]  # of the chords, four beats each
    key_hz: float


def _work(rng: np.random.Generator) -> Composition:
    """Draw 32 beats of melody within a major scale, mostly by step, a chord every four, a key."""
    scale = [0, 2, 4, 5, 7, 9, 11]
    place, degrees = int(rng.integers(0, 7)), []
    for _ in range(32):
        place = int(np.clip(place + rng.choice([-2, -1, -1, 0, 1, 1, 2, 4, -4]), -2, 12))
        degrees.append(12 * (place // 7) + scale[place % 7])
    roots = [int(root) for root in rng.choice([0, 5, 7, 9, 2, 4], 8)]
    return Composition(degrees, roots, 110 * 2 ** (rng.integers(-6, 6) / 12))


def _performance(composition: Composition, sample_rate: int, rng: np.random.Generator) -> Waveform:
    sound = Sound(
        bool(rng.random() < 0.5), bool(rng.random() < 0.5), bool(rng.random() < 0.5),
        rng.uniform(-10, -3), rng.uniform(0, 0.5), rng.uniform(-25, -5),
    )  # fmt: skip
    duration_s, beat_s, notes = 12.0, rng.uniform(0.3, 0.55), []
    first = int(rng.integers(0, 8)) * 4
    for beat in range(int(duration_s / beat_s)):
        at = (first + beat) % len(composition.degrees)
        pitches = [composition.degrees[at] + 12]
        chord = (0, 4, 7) if rng.random() < 0.8 else (0,)
        pitches += [composition.roots[at // 4] + third for third in chord]
        for pitch in pitches:
            notes.append((beat * beat_s, beat_s, composition.key_hz * 2 ** (pitch / 12)))
    return play(notes, sound, duration_s, sample_rate, rng)
