"""Notes of a performance → its harmony, as the chord network would tell it of a recording.

A sketch has no sound that the network could listen to. What it would say is guessed from the
notes: chords that fit them, in the measure in which they fit, with its usual mistakes.

Letters: T frames (5 a second), H chords that are considered.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.playing.arrange import Arrangement, Event
from pemr.signal.frontend import FRAME_RATE

Floats = NDArray[np.float64]

_QUALITIES: Final = (
    ((0, 4, 7), 0.0),
    ((0, 3, 7), 0.0),
    ((0, 4, 7, 10), -0.03),
    ((0, 4, 7, 11), -0.03),
    ((0, 3, 7, 10), -0.02),
    ((0, 3, 6), -0.08),
    ((0, 5, 7), -0.06),
    ((0, 7), -0.1),
)
"""Semitones over the root, and how much rarer than a triad, in cosines."""
_WEIGHTS: Final = {"second": 0.7, "bass": 1.3}
_NO_BASS = 200


def _templates() -> tuple[Floats, Floats]:
    members, rarity = [], []
    for semitones, penalty in _QUALITIES:
        for root in range(12):
            member = np.zeros(12)
            member[[(root + step) % 12 for step in semitones]] = 1
            members.append(member)
            rarity.append(penalty)
    return np.stack(members), np.array(rarity)


_MEMBERS, _RARITY = _templates()  # (H, 12), (H,)
_ROOTS = np.tile(np.eye(12), (len(_QUALITIES), 1))  # (H, 12)


def guess_harmony(performance: Arrangement, n_frames: int, rng: Generator) -> NDArray[np.uint8]:
    """Guess what the chord network would hear in a recording of a performance.

    Parameters
    ----------
    performance : Arrangement
        From `pemr.corpus.playing.arrange`.
    n_frames : int
        T, of its sketch.
    rng : Generator
        Decides how sure the network is, what it mistakes, and how much of the tune it hears.

    Returns
    -------
    uint8 array, shape (36, T)
        How likely each pitch class sounds, is the bass, is the root, times 255.
    """
    sounding, lowest = _notes(performance, n_frames, melody=rng.uniform(0.2, 1.0))
    width = np.hanning(2 * int(rng.integers(2, 7)) + 1)
    width /= width.sum()
    smooth = _along(np.sqrt(sounding), width)
    loudness = smooth.sum(0)
    likely = _likely_chords(smooth, rng)  # (H, T)
    typical = np.median(loudness[loudness > 0]) if (loudness > 0).any() else np.inf
    heard = np.clip(loudness / (0.25 * typical + 1e-6), 0, 1) * (1 - rng.uniform(0, 0.1))
    pitch = _MEMBERS.T @ likely * heard * rng.uniform(0.85, 1.0)
    root = _ROOTS.T @ likely * heard
    bass = _along((lowest % 12 == np.arange(12)[:, None]) & (lowest < _NO_BASS), width)
    share = rng.uniform(0.2, 0.7)
    mixed = share * bass / (bass.sum(0) + 1e-6) + (1 - share) * root / (root.sum(0) + 1e-6)
    told = np.concatenate([pitch, mixed * heard, root])
    return np.asarray(np.clip(np.rint(255 * told), 0, 255), dtype=np.uint8)


def _likely_chords(smooth: Floats, rng: Generator) -> Floats:
    """Compare pitch classes (12, T) with every chord; columns of (H, T) sum to 1."""
    unit = smooth / (np.linalg.norm(smooth, axis=0, keepdims=True) + 1e-6)
    templates = _MEMBERS / np.linalg.norm(_MEMBERS, axis=1, keepdims=True)
    fit = (templates @ unit + _RARITY[:, None]) * rng.uniform(12, 40)
    fit += rng.normal(0, rng.uniform(0, 1.2), (len(fit), 1))
    fit += rng.normal(0, rng.uniform(0, 1.5), fit.shape)
    fit = _along(fit, np.full(3, 1 / 3))
    likely: Floats = np.exp(fit - fit.max(0))
    return np.asarray(likely / likely.sum(0))


def _notes(
    performance: Arrangement, n_frames: int, melody: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Lay the notes out: how much of each pitch class sounds (12, T), and the lowest pitch (T,)."""
    sounding = np.zeros((12, n_frames))
    lowest = np.full(n_frames, _NO_BASS)
    weights = {"melody": melody, "second": melody * _WEIGHTS["second"], "bass": _WEIGHTS["bass"]}
    for track in performance.tracks:
        if track.role != "drums":
            _lay(track.events, weights.get(track.role, 1.0), sounding, lowest)
    return sounding, lowest


def _lay(
    events: Sequence[Event], weight: float, sounding: Floats, lowest: NDArray[np.int64]
) -> None:
    for event in events:
        first = max(0, int(event.start_s * FRAME_RATE))
        stop = math.ceil((event.start_s + event.duration_s) * FRAME_RATE)
        frames = slice(first, max(stop, first + 1))
        pitch = round(event.pitch)
        sounding[pitch % 12, frames] += weight
        lowest[frames] = np.minimum(lowest[frames], pitch)


def _along(rows: NDArray[np.generic], kernel: Floats) -> Floats:
    """Smooth rows (n, T) along time; shorter rows than the kernel keep their length."""
    if rows.shape[1] < len(kernel):
        return rows.astype(np.float64)
    return np.stack([np.convolve(row, kernel, "same") for row in rows.astype(np.float64)])
