"""Chords for scores that name none: from the melody alone, or from all that sounds.

The bars are cut into slots. Each slot is explained by one chord; a Viterbi
search weighs how well chords fit the notes against how chords follow one
another. Letters: **S** slots, **C** chords.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pemr.corpus.notes.scores import QUALITIES, Chord, Mode, Note, Score

Floats = NDArray[np.float64]

# Roots in semitones above the tonic, quality, and what it costs to use the chord
# in an accompaniment: the three principal triads are nearly free.
_HARMONY: dict[Mode, tuple[tuple[int, str, float], ...]] = {
    "major": (
        (0, "maj", 0.0), (7, "maj", 0.1), (7, "7", 0.15), (5, "maj", 0.1), (2, "min", 0.3),
        (9, "min", 0.3), (4, "min", 0.5), (2, "7", 0.5), (9, "7", 0.6), (4, "7", 0.6),
        (0, "7", 0.6), (10, "maj", 0.6), (5, "min", 0.8),
    ),
    "minor": (
        (0, "min", 0.0), (7, "7", 0.15), (7, "min", 0.25), (5, "min", 0.15), (10, "maj", 0.2),
        (3, "maj", 0.25), (8, "maj", 0.3), (5, "maj", 0.5), (2, "m7b5", 0.6), (0, "7", 0.7),
    ),
}  # fmt: skip
# Cost of moving the root up by so many semitones: fifths down are the strongest.
_MOTION = (0.0, 0.5, 0.25, 0.35, 0.4, 0.0, 0.8, 0.1, 0.4, 0.2, 0.3, 0.5)
_TEXTURE_QUALITIES = {"maj": 0.0, "min": 0.0, "7": 0.1, "min7": 0.2, "dim": 0.2, "m7b5": 0.3,
                      "maj7": 0.3, "sus4": 0.4, "aug": 0.5}  # fmt: skip
_OUTSIDE_NOTE = -0.7  # what a note outside the chord counts, against 1 inside
_SCALES: dict[Mode, frozenset[int]] = {
    "major": frozenset({0, 2, 4, 5, 7, 9, 11}),
    "minor": frozenset({0, 2, 3, 5, 7, 8, 10, 11}),
}


class _Palette(NamedTuple):
    """The chords in question."""

    chords: tuple[tuple[int, str], ...]  # root, quality
    tones: Floats  # (C, 12), 1 where the chord has the pitch class
    costs: Floats  # (C,)


def infer_chords(score: Score) -> tuple[Chord, ...]:
    """Find chords for a score, from its voices or accompaniment where it has them.

    A melody alone is harmonised by bars or half bars with the chords of its
    key and the dominants that lead to them, closing on the tonic. A texture
    is read beat by beat with any chord, the bass as it sounds.

    Parameters
    ----------
    score : Score
        Its own chords are ignored.

    Returns
    -------
    tuple of Chord
        They cover the score from the first beat to the last.
    """
    texture = [note for voice in score.voices for note in voice] or list(score.accompaniment)
    if texture:
        return _from_texture(score, [*score.melody, *texture])
    return _from_melody(score)


def _from_melody(score: Score) -> tuple[Chord, ...]:
    edges = _slots(score, _half_bar(score))
    rows = _HARMONY[score.mode]
    palette = _palette(
        [((score.tonic + root) % 12, quality) for root, quality, _ in rows],
        np.array([cost for _, _, cost in rows]),
    )
    fit = _fit(_slot_weights(score.melody, edges), palette)
    # A melody closes on its tonic, which is the first chord of either row.
    fit[-1, 1:] -= 2.0
    path = _viterbi(fit, _motion_costs(palette), _change_costs(score, edges))
    return _merged(edges, [(*palette.chords[c], palette.chords[c][0]) for c in path])


def _from_texture(score: Score, texture: Sequence[Note]) -> tuple[Chord, ...]:
    edges = _slots(score, 3.0 if score.is_compound else 1.0)
    chords = [(root, quality) for root in range(12) for quality in _TEXTURE_QUALITIES]
    scale = {(score.tonic + degree) % 12 for degree in _SCALES[score.mode]}
    tones = [{(root + i) % 12 for i in QUALITIES[quality]} for root, quality in chords]
    costs = [
        _TEXTURE_QUALITIES[quality] + 0.2 * len(own - scale)
        for (_, quality), own in zip(chords, tones, strict=True)
    ]
    palette = _palette(chords, np.array(costs))
    basses = _basses(texture, edges)
    fit = 3.0 * _fit(_slot_weights(texture, edges), palette)
    for slot, bass in enumerate(basses):
        if bass is not None:
            fit[slot] += [0.6 if root == bass else -0.3 * (bass not in own)
                          for (root, _), own in zip(chords, tones, strict=True)]  # fmt: skip
    path = _viterbi(fit, 0.5 * _motion_costs(palette), _change_costs(score, edges))
    sounding = []
    for slot, c in enumerate(path):
        bass = basses[slot]
        sounding.append((*chords[c], bass if bass in tones[c] else chords[c][0]))
    return _merged(edges, sounding)


def _palette(chords: Sequence[tuple[int, str]], costs: Floats) -> _Palette:
    tones = np.zeros((len(chords), 12))
    for row, (root, quality) in enumerate(chords):
        tones[row, [(root + interval) % 12 for interval in QUALITIES[quality]]] = 1.0
    return _Palette(tuple(chords), tones, costs)


def _half_bar(score: Score) -> float:
    """Tell how long one chord of an accompaniment lasts at least, in beats."""
    bar = score.beats_per_bar
    return bar / 2 if bar % 2 == 0 and bar > 3 else float(bar)


def _slots(score: Score, length: float) -> Floats:
    """Cut the score into slots from its pickup on: their edges in beats, shape (S + 1,)."""
    edges = np.arange(score.pickup, score.n_beats + length - 1e-6, length)
    return np.concatenate([[0.0], edges]) if score.pickup > 0 else edges


def _slot_weights(notes: Sequence[Note], edges: Floats) -> Floats:
    """Sum how long each pitch class sounds in each slot, onsets counting more: shape (S, 12)."""
    weights = np.zeros((len(edges) - 1, 12))
    for note in notes:
        first = max(int(np.searchsorted(edges, note.start + 1e-6, side="right")) - 1, 0)
        for slot in range(first, len(edges) - 1):
            inside = min(note.end, edges[slot + 1]) - max(note.start, edges[slot])
            if inside <= 0:
                break
            on_edge = abs(note.start - edges[slot]) < 0.05
            weights[slot, note.pitch % 12] += inside * (1.5 if on_edge else 1.0)
    return weights


def _fit(weights: Floats, palette: _Palette) -> Floats:
    """Say how well each chord explains each slot: shape (S, C), at most 1 less its cost."""
    inside = weights @ palette.tones.T
    total = weights.sum(axis=1, keepdims=True)
    outside = total - inside
    fit = (inside + _OUTSIDE_NOTE * outside) / np.maximum(total, 1e-9)
    # Of chords that hold all the notes, the one with the fewest others is the plainest.
    heard = (weights > 0).astype(float) @ palette.tones.T
    missing = 1.0 - heard / palette.tones.sum(axis=1)
    return np.asarray(np.where(total > 0, fit - 0.3 * missing, 0.0) - palette.costs)


def _motion_costs(palette: _Palette) -> Floats:
    """List what each step from chord to chord costs: shape (C, C)."""
    roots = np.array([root for root, _ in palette.chords])
    costs: Floats = np.array(_MOTION)[(roots[None, :] - roots[:, None]) % 12]
    return costs


def _change_costs(score: Score, edges: Floats) -> Floats:
    """List what a change costs at the start of each slot: shape (S,), less on a bar line."""
    since = (edges[:-1] - score.pickup) % score.beats_per_bar
    return np.where(since < 1e-6, 0.2, 0.7)


def _viterbi(fit: Floats, motion: Floats, change: Floats) -> list[int]:
    """Find the best path through the slots: S chord numbers."""
    moved = 1.0 - np.eye(len(motion))
    best = fit[0]
    origins = []
    for slot in range(1, len(fit)):
        reached = best[:, None] - motion - moved * change[slot]  # (C before, C)
        origins.append(reached.argmax(axis=0))
        best = reached.max(axis=0) + fit[slot]
    path = [int(best.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]


def _basses(texture: Sequence[Note], edges: Floats) -> list[int | None]:
    """Find the lowest pitch class that sounds at the start of each slot, or soon after."""
    lowest: list[Note | None] = [None] * (len(edges) - 1)
    for note in texture:
        first = max(int(np.searchsorted(edges, note.start + 1e-6, side="right")) - 1, 0)
        for slot in range(first, len(edges) - 1):
            if edges[slot] >= note.end - 0.05:
                break
            in_first_half = note.start < (edges[slot] + edges[slot + 1]) / 2
            current = lowest[slot]
            if in_first_half and (current is None or note.pitch < current.pitch):
                lowest[slot] = note
    return [None if note is None else note.pitch % 12 for note in lowest]


def _merged(edges: Floats, sounding: Sequence[tuple[int, str, int]]) -> tuple[Chord, ...]:
    """Join equal chords of neighbouring slots."""
    chords: list[Chord] = []
    for slot, (root, quality, bass) in enumerate(sounding):
        start, end = float(edges[slot]), float(edges[slot + 1])
        if chords and chords[-1][2:] == (root, quality, bass):
            chords[-1] = chords[-1]._replace(duration=end - chords[-1].start)
        else:
            chords.append(Chord(start, end - start, root, quality, bass))
    return tuple(chords)
