"""Which scores set the same composition, whatever their key, tempo and book.

Melodies are compared as pitches and lengths, repeated notes tied since words
differ in syllables. Runs of intervals that two melodies share make them
candidates and vote for a transposition and a ratio of tempo; a local alignment
then decides. Letters: **N** notes of one melody, **M** of the other.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pemr.corpus.notes.scores import Note
from pemr.signal.kernels import compiled

RUN_LENGTH = 5  # intervals that must agree for two melodies to be compared
COMMON_RUN = 200  # a run in more melodies than this says nothing
# Share of the runs of the poorer that two melodies must have in common to be aligned:
# of pairs that then are one work, one in a hundred has less.
MIN_SHARE = 0.13
N_CANDIDATES = 30  # melodies that each is aligned with at most

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Line(NamedTuple):
    """A melody as it is compared: pitches and time to the next pitch in beats, shapes (N,)."""

    pitches: Ints
    lengths: Floats


class Match(NamedTuple):
    """How two melodies agree where they agree best."""

    agreement: float  # of the notes between first and last match, those that agree, in [0, 1]
    coverage: float  # share of the shorter melody between first and last match
    worth: float  # score of the alignment a note of the shorter: 1 when all agree in time as well
    n_notes: int  # notes that agree
    transposition: int  # semitones from the first to the second


def line_of(melody: Sequence[Note]) -> Line:
    """Tie repeated notes and drop rests.

    Parameters
    ----------
    melody : sequence of Note
        Sorted, one note at a time.
    """
    pitches: list[int] = []
    starts: list[float] = []
    for note in melody:
        if not pitches or pitches[-1] != note.pitch:
            pitches.append(note.pitch)
            starts.append(note.start)
    end = max((note.end for note in melody), default=0.0)
    lengths = np.diff(np.array([*starts, end], np.float32))
    # A rest of a whole phrase says nothing of the note before it.
    return Line(np.array(pitches, np.int32), np.clip(lengths, 1e-3, 8.0))


def candidates(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Propose the pairs of melodies that share unusual runs of intervals.

    Yields
    ------
    (int, int)
        Positions in the list, the smaller first, each pair once.
    """
    own_runs = [set(runs(line)) for line in lines]
    holders: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, own in enumerate(own_runs):
        for run in own:
            holders[run].append(index)
    seen: set[tuple[int, int]] = set()
    for index, own in enumerate(own_runs):
        shared: Counter[int] = Counter()
        for run in own:
            if len(holders[run]) <= COMMON_RUN:
                shared.update(holders[run])
        del shared[index]
        for other, n_shared in shared.most_common(N_CANDIDATES):
            if n_shared >= MIN_SHARE * min(len(own), len(own_runs[other])):
                seen.add((min(index, other), max(index, other)))
    yield from sorted(seen)


def runs(line: Line) -> Iterator[tuple[int, ...]]:
    """List the runs of intervals of a melody, from each of its notes on, in semitones."""
    intervals = np.diff(line.pitches).tolist()
    for start in range(len(intervals) - RUN_LENGTH + 1):
        yield tuple(intervals[start : start + RUN_LENGTH])


def compare(one: Line, other: Line) -> Match:
    """Align two melodies where they agree best.

    Parameters
    ----------
    one, other : Line
        Shapes (N,) and (M,).

    Returns
    -------
    Match
        Nothing agrees when they share no run of intervals.

    References
    ----------
    .. [1] Smith and Waterman, "Identification of common molecular
       subsequences", Journal of Molecular Biology 147, 1981.
    """
    best = Match(0.0, 0.0, 0.0, 0, 0)
    for transposition, ratio in _votes(one, other):
        score, n_agreeing, n_one, n_other = _align(*one, *other, transposition, ratio)
        worth = score / min(len(one.pitches), len(other.pitches))
        if worth > best.worth:
            span_one, span_other = n_one / len(one.pitches), n_other / len(other.pitches)
            best = Match(
                agreement=2 * n_agreeing / (n_one + n_other),
                coverage=span_one if len(one.pitches) <= len(other.pitches) else span_other,
                worth=float(worth),
                n_notes=int(n_agreeing),
                transposition=transposition,
            )
    return best


def _votes(one: Line, other: Line) -> list[tuple[int, float]]:
    """Let the shared runs vote for transpositions, each with a ratio of lengths."""
    where: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for start, run in enumerate(runs(one)):
        where[run].append(start)
    votes: Counter[int] = Counter()
    ratios: dict[int, list[float]] = defaultdict(list)
    for start, run in enumerate(runs(other)):
        for place in where.get(run, ()):
            transposition = int(other.pitches[start] - one.pitches[place])
            votes[transposition] += 1
            lengths = (other.lengths[start : start + RUN_LENGTH].sum(),
                       one.lengths[place : place + RUN_LENGTH].sum())  # fmt: skip
            ratios[transposition].append(math.log2(float(lengths[0] / lengths[1])))
    return [
        (transposition, 2.0 ** float(np.median(ratios[transposition])))
        for transposition, _ in votes.most_common(2)
    ]


_GAP = -0.6


@compiled
def _gain(agrees: bool, stretch: float) -> float:
    """Reward a pair of notes: most when lengths agree as well, none for another pitch."""
    if not agrees:
        return -0.8
    return 1.0 if 0.6 < stretch < 1.67 else 0.6


@compiled
def _align(
    pitches: Ints,
    lengths: Floats,
    other_pitches: Ints,
    other_lengths: Floats,
    transposition: int,
    ratio: float,
) -> tuple[float, int, int, int]:
    """Run the local alignment: its score, notes that agree, and notes it spans in either."""
    n, m = len(pitches), len(other_pitches)
    score = np.zeros((2, m + 1))
    # What the best path to each cell has: notes that agree, and the cell where it started.
    n_agreeing = np.zeros((2, m + 1), np.int32)
    origin = np.zeros((2, m + 1), np.int64)
    origin[0] = np.arange(m + 1)
    best, found = 0.0, (0, 1, 1)
    for i in range(1, n + 1):
        row, above = i % 2, (i - 1) % 2
        origin[row, 0] = i * (m + 1)
        for j in range(1, m + 1):
            agrees = other_pitches[j - 1] - pitches[i - 1] == transposition
            stretch = other_lengths[j - 1] / (lengths[i - 1] * ratio)
            diagonal = score[above, j - 1] + _gain(agrees, stretch)
            value = max(diagonal, score[above, j] + _GAP, score[row, j - 1] + _GAP, 0.0)
            score[row, j] = value
            if value == 0.0:
                n_agreeing[row, j], origin[row, j] = 0, i * (m + 1) + j
                continue
            before, k = (above, j - 1) if value == diagonal else (above, j)
            if value != diagonal and score[above, j] + _GAP < score[row, j - 1] + _GAP:
                before, k = row, j - 1
            n_agreeing[row, j] = n_agreeing[before, k] + (agrees and value == diagonal)
            origin[row, j] = origin[before, k]
            if value > best:
                start = origin[row, j]
                best, found = value, (n_agreeing[row, j], i - start // (m + 1), j - start % (m + 1))
    return best, found[0], found[1], found[2]
