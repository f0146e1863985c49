"""Melodies read as music: in which key, of which parts, by which line of a texture.

Pitch classes count semitones from C; times are in beats.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pemr.corpus.notes.scores import Mode, Note, Score, Section, monophonic

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
        highest = max(together, key=lambda note: note.pitch)
        lowest = min(together, key=lambda note: note.pitch)
        upper_sounds = bool(upper) and upper[-1].end > start
        lower_sounds = bool(lower) and lower[-1].end > start
        alone = len(together) == 1
        if not (alone and upper_sounds and highest.pitch <= upper[-1].pitch):
            upper.append(highest)
        if not (alone and lower_sounds and lowest.pitch >= lower[-1].pitch):
            lower.append(lowest)
    return monophonic(upper), monophonic(lower)


def find_sections(score: Score) -> tuple[Section, ...]:
    """Find the form of a score from what its melody repeats.

    The bars are taken four at a time, from wherever the most blocks recur;
    blocks with much the same melody share a letter. Pairs of letters that
    recur side by side are joined, most frequent first, to sections of up to
    sixteen bars, so that a tune in two parts, each played twice, comes out as
    A A B B.

    Returns
    -------
    tuple of Section
        From the first beat to the last, labelled ``A``, ``B`` and so on in
        the order of appearance; ``-`` where the melody is silent.
    """
    bars = _bars_of(score)
    blocks = max((_blocks(bars, first) for first in range(min(4, len(bars)))), key=_n_recurring)
    spans = _joined(blocks)
    names: dict[tuple[int, ...], str] = {}
    sections: list[Section] = []
    start, bar_number = 0.0, 0
    for labels, n_bars in spans:
        bar_number += n_bars
        end = min(score.pickup + bar_number * score.beats_per_bar, score.n_beats)
        silent = all(label < 0 for label in labels)
        name = "-" if silent else names.setdefault(labels, _letter(len(names)))
        sections.append(Section(start, end, name))
        start = end
    if sections:
        sections[-1] = sections[-1]._replace(end=score.n_beats)
    return tuple(section for section in sections if section.end > section.start)


_Bar = frozenset[tuple[int, int]]
_Span = tuple[tuple[int, ...], int]  # the kinds of its blocks, and its bars
_BLOCK_BARS = 4
_ALIKE = 0.4
_SECTION_BARS = 16


def _bars_of(score: Score) -> list[_Bar]:
    """List what starts in each bar: quarters of a beat from its line, and pitches."""
    n_bars = max(1, int(np.ceil((score.n_beats - score.pickup) / score.beats_per_bar - 1e-6)))
    bars: list[set[tuple[int, int]]] = [set() for _ in range(n_bars)]
    for note in score.melody:
        since = note.start - score.pickup + 1e-6
        if since >= 0:
            bar, beat = divmod(since, score.beats_per_bar)
            bars[min(int(bar), n_bars - 1)].add((round(4 * beat), note.pitch))
    return [frozenset(bar) for bar in bars]


def _blocks(bars: Sequence[_Bar], first: int) -> list[tuple[int, int]]:
    """Cut bars into blocks from the given one on; number those that are alike."""
    edges = [0, *range(first, len(bars), _BLOCK_BARS), len(bars)]
    kinds: list[Sequence[_Bar]] = []
    blocks = []
    for start, end in pairwise(sorted(set(edges))):
        block = bars[start:end]
        if not any(block):
            blocks.append((-1, end - start))
            continue
        alike = (kind for kind, known in enumerate(kinds) if _likeness(known, block) >= _ALIKE)
        kind = next(alike, len(kinds))
        if kind == len(kinds):
            kinds.append(block)
        blocks.append((kind, end - start))
    return blocks


def _likeness(one: Sequence[_Bar], other: Sequence[_Bar]) -> float:
    """Compare two blocks: the share of notes that both have in the same place."""
    if len(one) != len(other):
        return 0.0
    shared = sum(len(a & b) for a, b in zip(one, other, strict=True))
    return shared / max(sum(len(a | b) for a, b in zip(one, other, strict=True)), 1)


def _n_recurring(blocks: Sequence[tuple[int, int]]) -> int:
    counts = Counter(kind for kind, _ in blocks if kind >= 0)
    return sum(count - 1 for count in counts.values())


def _joined(blocks: Sequence[tuple[int, int]]) -> list[_Span]:
    """Join neighbours that recur side by side, until no pair does, then those that never recur."""
    spans: list[_Span] = [((kind,), n_bars) for kind, n_bars in blocks]
    while True:
        pairs = Counter(
            (one[0], two[0])
            for one, two in pairwise(spans)
            if one[0] != two[0] and one[1] + two[1] <= _SECTION_BARS
        )
        pair, count = max(pairs.items(), key=lambda item: item[1], default=(None, 0))
        if pair is None or count < 2:
            return _with_lone_joined(spans)
        spans = _with_pair_joined(spans, pair)


def _with_lone_joined(spans: Sequence[_Span]) -> list[_Span]:
    counts = Counter(labels for labels, _ in spans)
    joined: list[_Span] = []
    for labels, n_bars in spans:
        before, n_before = joined[-1] if joined else ((), 0)
        both_silent = bool(before) and before[-1] < 0 and labels[0] < 0
        both_lone = all(counts[ls] == 1 and ls[0] >= 0 for ls in (before, labels))
        if both_silent or (both_lone and n_before + n_bars <= 2 * _BLOCK_BARS):
            joined[-1] = before + labels, n_before + n_bars
        else:
            joined.append((labels, n_bars))
    return joined


def _with_pair_joined(
    spans: Sequence[_Span], pair: tuple[tuple[int, ...], tuple[int, ...]]
) -> list[_Span]:
    joined: list[_Span] = []
    for labels, n_bars in spans:
        if joined and (joined[-1][0], labels) == pair:
            before = joined.pop()
            joined.append((before[0] + labels, before[1] + n_bars))
        else:
            joined.append((labels, n_bars))
    return joined


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"Z{index - 25}"
