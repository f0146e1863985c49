"""Accompaniments: a grid of pulses and chords becomes parts for a band.

A style is a name for three layers (harmony, bass, drums) with the instruments
that may play them. Times are in beats, pitches are MIDI numbers, instruments
are General MIDI programs (0 to 127). Styles marked as held out play in the
split ``test`` only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from numpy.random import Generator

from pemr.corpus.notes.scores import Chord

Role = Literal["melody", "second", "harmony", "bass", "drums"]


class Hit(NamedTuple):
    """One note to be played: start and duration in beats, pitch, velocity 1 to 127."""

    start: float
    duration: float
    pitch: float
    velocity: int


@dataclass(frozen=True)
class Part:
    """What one player plays.

    Parameters
    ----------
    role : str
        What the player does in the band.
    program : int
        General MIDI program; drums ignore it.
    hits : tuple of Hit
        Sorted by start.
    gain_db : float
        Level in the mix.
    voice : str
        Name of a singing voice, or empty for an instrument.
    """

    role: Role
    program: int
    hits: tuple[Hit, ...]
    gain_db: float = 0.0
    voice: str = ""


class Pulse(NamedTuple):
    """One felt beat: start and length in beats, its place in the bar, the chord over it."""

    start: float
    length: float
    place: int
    chord: Chord
    is_change: bool


@dataclass(frozen=True)
class BeatGrid:
    """Where the pulses of a passage fall.

    Parameters
    ----------
    pulses : tuple of Pulse
        Only those with a chord over them.
    n_per_bar : int
        Pulses in a bar.
    swing : float
        Where the second half of a pulse begins, 0.5 straight to 0.67 triplet.
    density : float
        0 sparse to 1 busy.
    """

    pulses: tuple[Pulse, ...]
    n_per_bar: int
    swing: float = 0.5
    density: float = 0.5

    def at(self, pulse: Pulse, fraction: float) -> float:
        """Beat at a fraction of a pulse, the off-beat late by the swing."""
        if fraction <= 0.5:
            warped = fraction * 2 * self.swing
        else:
            warped = self.swing + (fraction - 0.5) * 2 * (1 - self.swing)
        return pulse.start + warped * pulse.length


Layer = Callable[[BeatGrid, Generator], list[Hit]]


def voicing(chord: Chord, centre: int, n_voices: int = 4) -> list[int]:
    """Spread the tones of a chord around a pitch, closest first.

    Parameters
    ----------
    chord : Chord
    centre : int
        MIDI pitch that the voicing gathers around.
    n_voices : int
        How many tones at most.

    Returns
    -------
    list of int
        MIDI pitches, rising.
    """
    tones = chord.pitch_classes[:n_voices]
    return sorted(centre - 6 + (tone - centre + 6) % 12 for tone in tones)


def _bass(chord: Chord, low: int = 33) -> int:
    return low + (chord.bass - low) % 12


def _spans(grid: BeatGrid) -> list[tuple[Pulse, float]]:
    """Pulses on which the harmony moves or a bar starts, and how long each lasts."""
    starts = [p for p in grid.pulses if p.is_change or p.place == 0]
    ends = [p.start for p in starts[1:]] + [grid.pulses[-1].start + grid.pulses[-1].length]
    return [
        (p, min(end - p.start, p.length * grid.n_per_bar))
        for p, end in zip(starts, ends, strict=True)
    ]


def sustained(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Hold each chord until the next."""
    centre = int(rng.integers(55, 66))
    return [
        Hit(p.start, d * 0.97, pitch, int(rng.integers(62, 84)))
        for p, d in _spans(grid)
        for pitch in voicing(p.chord, centre)
    ]


def block(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Strike the chord on each pulse."""
    centre, length = int(rng.integers(54, 66)), float(rng.uniform(0.4, 0.95))
    return [
        Hit(p.start, p.length * length, pitch, 80 if p.place == 0 else 66)
        for p in grid.pulses
        for pitch in voicing(p.chord, centre, 3)
    ]


def strum(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Strum down and up in a pattern that stays for the passage."""
    down = [0.0, *sorted(rng.choice([0.25, 0.5, 0.75], int(rng.integers(0, 3)), replace=False))]
    hits = []
    for p in grid.pulses:
        pitches = [_bass(p.chord, 40), *voicing(p.chord, 57, 4), *voicing(p.chord, 69, 2)]
        for i, fraction in enumerate(down):
            if i and rng.random() > 0.5 + grid.density / 2:
                continue
            order = pitches if i % 2 == 0 else pitches[::-1][:4]
            start = grid.at(p, float(fraction))
            hits += [
                Hit(start + 0.02 * k, p.length * 0.6, pitch, int(rng.integers(60, 92)))
                for k, pitch in enumerate(order)
            ]
    return hits


def arpeggio(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Break the chord into even notes, in a figure that stays for the passage."""
    n_sub = int(rng.choice([2, 2, 3, 4]))
    centre = int(rng.integers(52, 66))
    figure = rng.integers(0, 6, size=n_sub * grid.n_per_bar)
    figure[0] = 0
    hits = []
    for p in grid.pulses:
        tones = voicing(p.chord, centre, 4)
        ladder = [*tones, *(t + 12 for t in tones)]
        for k in range(n_sub):
            pitch = ladder[int(figure[p.place % grid.n_per_bar * n_sub + k]) % len(ladder)]
            start = grid.at(p, k / n_sub)
            hits.append(Hit(start, p.length / n_sub * 1.6, pitch, int(rng.integers(58, 84))))
    return hits


def alberti(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Play low, high, middle, high under the tune."""
    centre = int(rng.integers(50, 60))
    hits = []
    for p in grid.pulses:
        tones = voicing(p.chord, centre, 3)
        for k, index in enumerate((0, 2, 1, 2)):
            pitch = tones[index % len(tones)]
            hits.append(Hit(grid.at(p, k / 4), p.length / 4, pitch, 72 if k == 0 else 58))
    return hits


def stride(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Alternate a low bass and a chord, as a pianist's left hand does."""
    hits = []
    for p in grid.pulses:
        is_bass = p.place == 0 or (grid.n_per_bar == 4 and p.place == 2)
        if is_bass:
            low = _bass(p.chord, 31) + (7 if p.place == 2 and rng.random() < 0.6 else 0)
            hits.append(Hit(p.start, p.length * 0.9, low, 84))
        else:
            hits += [Hit(p.start, p.length * 0.5, q, 68) for q in voicing(p.chord, 57, 4)]
    return hits


def offbeat(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Chop the chord on the off-beats."""
    centre = int(rng.integers(57, 69))
    return [
        Hit(grid.at(p, 0.5), p.length * 0.25, q, int(rng.integers(70, 90)))
        for p in grid.pulses
        for q in voicing(p.chord, centre, 3)
    ]


def power(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Drive root and fifth in even notes."""
    n_sub = int(rng.choice([1, 2, 2, 4]))
    hits = []
    for p in grid.pulses:
        root = 40 + (p.chord.root - 40) % 12
        for k in range(n_sub):
            start = grid.at(p, k / n_sub)
            loud = 104 if k == 0 else 90
            length = p.length / n_sub * 0.95
            hits += [Hit(start, length, q, loud) for q in (root, root + 7, root + 12)]
    return hits


def drone(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Hold the tonic and its fifth, whatever the chords."""
    root = 48 + (grid.pulses[0].chord.root - 48) % 12
    step = grid.n_per_bar * int(rng.choice([1, 2, 4]))
    hits = []
    for p in grid.pulses[::step]:
        hits += [Hit(p.start, p.length * step, q, 76) for q in (root - 12, root, root + 7)]
    return hits


def stabs(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Punch the chord in a syncopated figure that stays for the passage."""
    n = grid.n_per_bar * 4
    figure = set(rng.choice(n, size=max(2, n // 5), replace=False).tolist())
    hits = []
    for p in grid.pulses:
        for k in range(4):
            if p.place % grid.n_per_bar * 4 + k in figure:
                start = grid.at(p, k / 4)
                hits += [Hit(start, p.length * 0.3, q, 96) for q in voicing(p.chord, 64, 4)]
    return hits


def tremolo(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Shake the chord in fast repeated notes, as mandolins and strings do."""
    centre = int(rng.integers(58, 70))
    hits = []
    for p in grid.pulses:
        for k in range(6):
            start = p.start + k / 6 * p.length
            hits += [Hit(start, p.length / 6, q, 64) for q in voicing(p.chord, centre, 3)]
    return hits


def root_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Hold the bass of each chord."""
    low = int(rng.choice([28, 33, 36]))
    return [Hit(p.start, d * 0.95, _bass(p.chord, low), 88) for p, d in _spans(grid)]


def eighth_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Repeat the root in even notes, sometimes an octave up."""
    leap = float(rng.choice([0.0, 0.0, 0.5]))
    return [
        Hit(grid.at(p, k / 2), p.length * 0.46, _bass(p.chord, 28) + 12 * (k * leap > 0.2), 90)
        for p in grid.pulses
        for k in (0, 1)
    ]


def walking_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Walk from chord to chord in steps, one note a pulse."""
    hits = []
    at = 40
    for p in grid.pulses:
        if p.is_change or p.place == 0:
            at = 33 + (p.chord.bass - 33) % 12
        else:
            tones = [at + d for d in (-2, -1, 1, 2, 3, 4) if 28 <= at + d <= 50]
            near = [t for t in tones if t % 12 in p.chord.pitch_classes] or tones
            at = int(rng.choice(near if rng.random() < 0.7 else tones))
        hits.append(Hit(p.start, p.length * 0.9, at, int(rng.integers(80, 96))))
    return hits


def fifth_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Alternate root and fifth."""
    low = int(rng.choice([28, 33]))
    hits = []
    for p in grid.pulses:
        if p.place == 0 or p.is_change:
            hits.append(Hit(p.start, p.length * 0.9, _bass(p.chord, low), 92))
        elif p.place * 2 == grid.n_per_bar:
            fifth = p.chord.pitch_classes[-1 if len(p.chord.pitch_classes) < 3 else 2]
            hits.append(Hit(p.start, p.length * 0.9, low + (fifth - low) % 12, 84))
    return hits


def riff_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Repeat one rhythmic figure of root, octave, fifth and seventh on every bar."""
    n = grid.n_per_bar * 4
    places = {0, *rng.choice(n, size=n // 4, replace=False).tolist()}
    steps = {k: int(rng.choice([0, 0, 0, 12, 7, 10, -2])) for k in places}
    steps[0] = 0
    return [
        Hit(grid.at(p, k / 4), p.length * 0.35, _bass(p.chord, 28) + steps[slot], 94)
        for p in grid.pulses
        for k in range(4)
        if (slot := p.place % grid.n_per_bar * 4 + k) in steps
    ]


def pedal_bass(grid: BeatGrid, rng: Generator) -> list[Hit]:
    """Stay on one note under all chords."""
    low = 28 + (grid.pulses[0].chord.root - 28) % 12
    step = int(rng.choice([1, grid.n_per_bar]))
    return [Hit(p.start, p.length * step * 0.95, low, 84) for p in grid.pulses[::step]]


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to accompany a tune.

    Parameters
    ----------
    name : str
    harmony : tuple of layer
        Each is played by one player.
    harmony_programs : tuple of tuple of int
        Programs to choose from, one tuple per layer.
    bass : tuple of layer
        One is chosen; empty for none.
    bass_programs : tuple of int
    drums : tuple of str
        Names of drum patterns, one is chosen; empty for none.
    loudness_db : tuple of float
        Range of the accompaniment's level against the tune.
    is_held_out : bool
        Whether the style plays in ``test`` only.
    """

    name: str
    harmony: tuple[Layer, ...] = ()
    harmony_programs: tuple[tuple[int, ...], ...] = ()
    bass: tuple[Layer, ...] = ()
    bass_programs: tuple[int, ...] = (32, 33, 34)
    drums: tuple[str, ...] = ()
    loudness_db: tuple[float, float] = field(default=(-9.0, 0.0))
    is_held_out: bool = False
