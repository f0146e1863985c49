"""Mixes made from a seed: recordings one after another, as a DJ or a broadcast plays them.

Every second of a mix is known: which recording plays, from where to where. Recordings are played
faster or slower as a record player does it, pitch included, or by FFmpeg's `atempo`, which keeps
pitch; they fade into each other, or a voice talks between them.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from edits import filtered
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.playing.arrange import Event
from pemr.corpus.sounding.voice import sing, voice_names
from pemr.signal import audio

Waveform = NDArray[np.float32]

RATE = audio.SAMPLE_RATE
SPEEDS = (0.92, 1.08)
FADES_S = (3.0, 8.0)
TALK_S = (8.0, 25.0)
LEVEL = 0.08  # root mean square of everything that is played


@dataclass(frozen=True, kw_only=True)
class Played:
    """One recording in a mix: of which work, and when, between the middles of its fades."""

    work: str
    start_s: float
    end_s: float


def mix(recordings: Sequence[tuple[str, Path]], rng: Generator) -> tuple[Waveform, list[Played]]:
    """Play recordings one after another; a voice talks first, and between two of five.

    Parameters
    ----------
    recordings : sequence of (str, Path)
        Work and audio file of each, in the order in which they are played.
    rng : Generator
        For speeds, fades and talk.

    Returns
    -------
    float32 array, shape (L,)
        Mono at 16 kHz.
    list of Played
        In order of time.
    """
    mixed, starts, ends = talk(rng), [], []
    for _, path in recordings:
        waveform = levelled(at_speed(audio.load(path), rng))
        fade_length = 0
        if rng.random() < 0.4:
            mixed = np.concatenate([mixed, talk(rng)])
        elif starts:
            fade_length = min(int(rng.uniform(*FADES_S) * RATE), len(waveform) // 4)
        starts.append((len(mixed) - fade_length / 2) / RATE)
        mixed = joined(mixed, waveform, fade_length)
        ends.append(len(mixed) / RATE)
    until = [min(end, after) for end, after in zip(ends, [*starts[1:], ends[-1]], strict=True)]
    played = [
        Played(work=work, start_s=start_s, end_s=end_s)
        for (work, _), start_s, end_s in zip(recordings, starts, until, strict=True)
    ]
    return mixed, played


def joined(before: Waveform, after: Waveform, fade_length: int) -> Waveform:
    """Let one waveform fade into another."""
    if not fade_length:
        return np.concatenate([before, after])
    rising = np.sin(np.linspace(0, np.pi / 2, fade_length, dtype=np.float32))
    both = before[-fade_length:] * rising[::-1] + after[:fade_length] * rising
    return np.concatenate([before[:-fade_length], both, after[fade_length:]])


def at_speed(waveform: Waveform, rng: Generator) -> Waveform:
    """Play a waveform faster or slower; every second one keeps its pitch."""
    speed = float(rng.uniform(*SPEEDS))
    if rng.random() < 0.5:
        return filtered(waveform, ("atempo", f"{speed:.4f}"))
    places = np.arange(0, len(waveform) - 1, speed)
    return np.interp(places, np.arange(len(waveform)), waveform).astype(np.float32)


def levelled(waveform: Waveform) -> Waveform:
    """Play it as loud as everything else."""
    loudness = np.sqrt(np.mean(np.square(waveform), dtype=np.float64))
    return (waveform * (LEVEL / max(loudness, 1e-6))).astype(np.float32)


def talk(rng: Generator) -> Waveform:
    """Let a voice say syllables, four or five a second, that rise and fall as speech does."""
    duration_s = float(rng.uniform(*TALK_S))
    name = str(rng.choice(voice_names(held_out=False)))
    events, at_s, pitch = [], 0.3, 52.0
    while at_s < duration_s - 0.5:
        pitch = 52 + 0.8 * (pitch - 52) + float(rng.normal(0, 1.2))
        length_s = float(rng.uniform(0.1, 0.28))
        events.append(Event(at_s, length_s, pitch, int(rng.integers(60, 110))))
        at_s += length_s + (float(rng.uniform(0.3, 0.9)) if rng.random() < 0.12 else 0.02)
    return levelled(sing(events, name, int(duration_s * RATE), rng))


def write_wav(path: Path, waveform: Waveform) -> Path:
    """Write a mix as 16-bit WAV."""
    samples = (np.clip(waveform, -1, 1) * 32767).astype("<i2")
    with path.open("wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return path
