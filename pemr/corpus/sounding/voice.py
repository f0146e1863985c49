"""A singing voice: a glottal source shaped by formants, with syllables, vibrato and breath.

A melody becomes a continuous line of pitch with glides and vibrato. A pulse
wave follows it; its short-time spectrum is shaped by the formants of a vowel
per note, blended at the joints; consonants open most notes; breath fills rests.

Letters: L samples, F frequency bins, T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.playing.arrange import Event
from pemr.corpus.sounding.synth import Waveform, noise
from pemr.signal.audio import SAMPLE_RATE

N_FFT: Final = 1024
HOP_LENGTH: Final = 256

FORMANTS_HZ: dict[str, tuple[float, float, float, float]] = {
    "a": (730.0, 1090.0, 2440.0, 3400.0),
    "e": (530.0, 1840.0, 2480.0, 3500.0),
    "i": (290.0, 2250.0, 3000.0, 3600.0),
    "o": (480.0, 860.0, 2410.0, 3300.0),
    "u": (320.0, 800.0, 2240.0, 3200.0),
    "uh": (620.0, 1200.0, 2500.0, 3400.0),
    "m": (260.0, 1000.0, 2200.0, 3000.0),
}
_VOWELS = ("a", "e", "i", "o", "u", "uh")
_BANDWIDTHS_HZ = (80.0, 110.0, 170.0, 260.0)
_GAINS = (1.0, 0.55, 0.4, 0.3)


@dataclass(frozen=True)
class Voice:
    """A singer.

    Parameters
    ----------
    size : float
        Factor on the formants, 1 for a man's vocal tract.
    centre : int
        MIDI pitch in the middle of the range.
    slope : float
        Fall of the source's harmonics, the higher the softer.
    vibrato : float
        Depth in semitones.
    breathiness : float
        Level of breath against tone.
    glide_s : float
        Time to slide from note to note.
    is_held_out : bool
        Whether the voice sings in ``test`` only.
    """

    size: float
    centre: int
    slope: float
    vibrato: float
    breathiness: float
    glide_s: float
    is_held_out: bool = False


VOICES: dict[str, Voice] = {
    "tenor": Voice(1.0, 60, 1.3, 0.35, 0.03, 0.05),
    "baritone": Voice(0.94, 54, 1.5, 0.25, 0.04, 0.06),
    "bass": Voice(0.9, 48, 1.6, 0.2, 0.03, 0.07),
    "alto": Voice(1.14, 64, 1.5, 0.3, 0.05, 0.05),
    "soprano": Voice(1.18, 71, 1.4, 0.5, 0.03, 0.06),
    "pop singer": Voice(1.1, 63, 1.1, 0.15, 0.1, 0.09),
    "whisperer": Voice(1.08, 60, 1.9, 0.05, 0.35, 0.1),
    "shouter": Voice(1.0, 64, 0.8, 0.1, 0.06, 0.12),
    "child": Voice(1.3, 70, 1.6, 0.1, 0.06, 0.04, is_held_out=True),
}


def voice_names(*, held_out: bool) -> tuple[str, ...]:
    """Names of the voices that may sing.

    Parameters
    ----------
    held_out : bool
        Whether those kept for ``test`` are among them.
    """
    return tuple(name for name, voice in VOICES.items() if held_out or not voice.is_held_out)


def sing(events: Sequence[Event], name: str, length: int, rng: Generator) -> Waveform:
    """Sing a melody.

    Parameters
    ----------
    events : sequence of Event
        Sorted, one at a time.
    name : str
        A key of `VOICES`.
    length : int
        Samples to return.
    rng : Generator
        For syllables, breath and what no two takes share.

    Returns
    -------
    float32 array, shape (L,)
        Mono at 16 kHz.
    """
    voice = VOICES[name]
    events = [e for e in events if 0 < (e.start_s + 0.05) * SAMPLE_RATE < length]
    if not events:
        return np.zeros(length, np.float32)
    pitch, gain = _contours(events, voice, length // HOP_LENGTH + 1, rng)
    hz = 440 * 2 ** ((pitch - 69) / 12)
    source = _source(hz, voice, length, rng)
    loud = np.interp(np.arange(length), HOP_LENGTH * np.arange(len(gain)), gain)
    envelope = _formants(events, voice, len(gain), rng)
    shaped = _shape(source * loud.astype(np.float32), envelope)
    return shaped + _consonants(events, length, rng)


def _contours(
    events: Sequence[Event], voice: Voice, n_frames: int, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch in semitones and loudness of each frame."""
    mean = float(np.mean([e.pitch for e in events]))
    octave = 12 * round((voice.centre - mean) / 12)
    t = np.arange(n_frames) * HOP_LENGTH / SAMPLE_RATE
    starts = np.array([e.start_s for e in events])
    ends = np.array([e.start_s + e.duration_s for e in events])
    index = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, None)
    target = np.array([e.pitch for e in events])[index] + octave
    width = max(1, round(voice.glide_s * SAMPLE_RATE / HOP_LENGTH))
    kernel = np.hanning(2 * width + 1)
    pitch = np.convolve(np.pad(target, width, mode="edge"), kernel / kernel.sum(), mode="valid")
    since = np.clip(t - starts[index], 0, None)
    rate = float(rng.uniform(4.8, 6.4))
    vibrato = voice.vibrato * np.clip((since - 0.15) / 0.3, 0, 1)
    pitch = pitch + vibrato * np.sin(2 * np.pi * rate * t) + 0.04 * rng.standard_normal(n_frames)
    pitch = pitch + float(rng.normal(0, 0.06)) * np.sin(2 * np.pi * 0.3 * t)
    rise = np.clip(since / 0.04, 0, 1)
    fall = np.clip((ends[index] - t) / 0.05, 0, 1)
    velocity = np.array([e.velocity for e in events])[index] / 100
    return pitch, np.where(t >= starts[0], rise * fall, 0.0) * velocity


def _source(hz: NDArray[np.float64], voice: Voice, length: int, rng: Generator) -> Waveform:
    at = np.arange(length) / HOP_LENGTH
    cycles = np.cumsum(np.interp(at, np.arange(len(hz)), hz)) / SAMPLE_RATE
    n_harmonics = int(np.clip(0.45 * SAMPLE_RATE / np.percentile(hz, 98), 2, 60))
    table_length = 4096
    k = np.arange(1, n_harmonics + 1)
    turn = 2 * np.pi * np.arange(table_length) / table_length
    # phases that make a pulse, not a click: what closes the glottis excites the tract
    table = ((k**-voice.slope)[:, None] * np.cos(k[:, None] * (turn + 0.3))).sum(axis=0)
    table /= np.sqrt((table**2).mean())
    tone = table[(cycles * table_length).astype(np.int64) % table_length]
    return np.asarray(tone + 3 * voice.breathiness * noise(length, rng), dtype=np.float32)


def _formants(
    events: Sequence[Event], voice: Voice, n_frames: int, rng: Generator
) -> NDArray[np.float32]:
    """Gain of each frequency in each frame, shape (F, T)."""
    hz = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    shapes = np.stack([_vowel(hz, FORMANTS_HZ[name], voice.size) for name in FORMANTS_HZ])
    names = list(FORMANTS_HZ)
    weights = np.zeros((len(names), n_frames), dtype=np.float32)
    previous = -1
    for i, event in enumerate(events):
        first = int(event.start_s * SAMPLE_RATE / HOP_LENGTH)
        if previous < 0 or rng.random() < 0.8:
            previous = names.index(str(rng.choice(_VOWELS)))
        end = n_frames
        if i + 1 < len(events):
            end = int(events[i + 1].start_s * SAMPLE_RATE / HOP_LENGTH)
        weights[previous, first:end] = 1.0
        if rng.random() < 0.25:  # a nasal opens the note
            weights[:, first : first + 4] = 0.0
            weights[names.index("m"), first : first + 4] = 0.5
    kernel = np.ones(5, np.float32) / 5
    smooth = np.stack([np.convolve(row, kernel, mode="same") for row in weights])
    return np.asarray(shapes.T @ smooth, dtype=np.float32)


def _vowel(
    hz: NDArray[np.floating[Any]], formants: tuple[float, ...], size: float
) -> NDArray[np.float32]:
    gain = np.full(len(hz), 0.02)
    for centre, width, level in zip(formants, _BANDWIDTHS_HZ, _GAINS, strict=True):
        gain += level / np.sqrt(1 + ((hz - centre * size) / width) ** 2)
    return np.asarray(gain, dtype=np.float32)


def _shape(source: Waveform, gain: NDArray[np.float32]) -> Waveform:
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        torch.from_numpy(source), N_FFT, HOP_LENGTH, window=window, return_complex=True
    )
    n = min(spectrum.shape[1], gain.shape[1])
    spectrum[:, :n] *= torch.from_numpy(gain[:, :n])
    shaped = torch.istft(spectrum, N_FFT, HOP_LENGTH, window=window, length=len(source))
    return np.asarray(shaped.numpy(), dtype=np.float32)


def _consonants(events: Sequence[Event], length: int, rng: Generator) -> Waveform:
    """Bursts and hisses before the notes, breath before the phrases."""
    out = np.zeros(length, np.float32)
    end_before = 0.0
    for event in events:
        breath = event.start_s - end_before > 0.5
        end_before = event.start_s + event.duration_s
        if not breath and rng.random() < 0.4:
            continue
        duration_s = float(rng.uniform(0.15, 0.35)) if breath else float(rng.uniform(0.03, 0.09))
        n = int(duration_s * SAMPLE_RATE)
        first = int(event.start_s * SAMPLE_RATE) - n
        if first < 0 or first + n > length:
            continue
        soft = 4 if breath or rng.random() < 0.5 else 1
        hiss = np.convolve(np.diff(noise(n + 1, rng)), np.ones(soft) / soft, mode="same")
        level = 0.02 if breath else float(rng.uniform(0.02, 0.08))
        out[first : first + n] += np.float32(level) * (hiss * np.hanning(n)).astype(np.float32)
    return out
