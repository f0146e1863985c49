"""Melodies read as music: in which key, of which parts, by which line of a texture.

Pitch classes count semitones from C; times are in beats.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pemr.corpus.scores import Mode, Note, monophonic

# Temperley's revision of the Krumhansl-Kessler profiles: how often each degree
# of a major or minor key sounds.
PROFILES: dict[Mode, tuple[float, ...]] = {
    "major": (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
    "minor": (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
}


def pitch_class_weights(notes: Iterable[Note]) -> NDArray[np.float64]:
    """Sum the sounding time of each pitch class.

    Returns
    -------
    float64 array, shape (12,)
        In beats, long notes counted as two beats at most.
    """
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += min(note.duration, 2.0)
    return weights


def find_key(notes: Sequence[Note], among: Iterable[tuple[int, Mode]] = ()) -> tuple[int, Mode]:
    """Find the key whose profile fits the notes best.

    The last note counts for two beats more: a melody ends on its tonic more
    often than not.

    Parameters
    ----------
    notes : sequence of Note
        A melody or a whole texture, sorted.
    among : iterable of (pitch class, mode), optional
        The keys that come into question, for example those of a key
        signature; all 24 when empty.

    Returns
    -------
    tonic : int
        Pitch class.
    mode : {"major", "minor"}

    References
    ----------
    .. [1] Temperley, "What's key for key? The Krumhansl-Schmuckler
       key-finding algorithm reconsidered", Music Perception 17 (1), 1999.
    """
    weights = pitch_class_weights(notes)
    if notes:
        weights[notes[-1].pitch % 12] += 2.0
    keys = list(among) or [(tonic, mode) for mode in PROFILES for tonic in range(12)]

    def fit(key: tuple[int, Mode]) -> float:
        profile = np.roll(PROFILES[key[1]], key[0])
        return float(np.corrcoef(weights, profile)[0, 1]) if weights.any() else 0.0

    return max(keys, key=fit)


def keys_of_signature(n_sharps: int) -> tuple[tuple[int, Mode], tuple[int, Mode]]:
    """Name the major and the minor key that share a key signature.

    Examples
    --------
    >>> keys_of_signature(-1)
    ((5, 'major'), (2, 'minor'))
    """
    tonic = 7 * n_sharps % 12
    return (tonic, "major"), ((tonic + 9) % 12, "minor")


def skyline(texture: Iterable[Note]) -> tuple[Note, ...]:
    """Take the melody from a keyboard texture: the highest line, without what fills its gaps.

    Of the notes that start together the highest counts. It is left out while
    a higher note of the melody still sounds, and when it lies more than an
    octave below what the melody has recently reached: both are accompaniment.

    Parameters
    ----------
    texture : iterable of Note
        In any order, onsets rounded so that notes of one chord start together.

    Returns
    -------
    tuple of Note
        Sorted; notes may overlap.
    """
    tops: dict[float, Note] = {}
    for note in texture:
        if note.start not in tops or tops[note.start].pitch < note.pitch:
            tops[note.start] = note
    line: list[Note] = []
    level = float(np.median([note.pitch for note in tops.values()])) if tops else 0.0
    for start in sorted(tops):
        note = tops[start]
        covered = line and line[-1].pitch > note.pitch and line[-1].end > note.start
        if covered or note.pitch < level - 7:
            continue
        line.append(note)
        level += 0.2 * (note.pitch - level)
    return tuple(line)


def split_voices(notes: Iterable[Note]) -> tuple[tuple[Note, ...], tuple[Note, ...]]:
    """Part two voices that share a staff.

    Of notes that start together the highest is the upper voice and the lowest
    the lower one. A note alone belongs to the voice that is free, or to both.

    Returns
    -------
    upper, lower : tuple of Note
        Each sorted, one note at a time.
    """
    onsets: dict[float, list[Note]] = {}
    for note in sorted(set(notes)):
        onsets.setdefault(note.start, []).append(note)
    upper: list[Note] = []
    lower: list[Note] = []
    for start, together in onsets.items():
        highest, lowest = together[-1], together[0]
        upper_sounds = bool(upper) and upper[-1].end > start
        lower_sounds = bool(lower) and lower[-1].end > start
        alone = len(together) == 1
        if not (alone and upper_sounds and highest.pitch <= upper[-1].pitch):
            upper.append(highest)
        if not (alone and lower_sounds and lowest.pitch >= lower[-1].pitch):
            lower.append(lowest)
    return monophonic(upper), monophonic(lower)
