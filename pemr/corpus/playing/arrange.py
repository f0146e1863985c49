"""A score and a recipe become a performance: tracks of events in seconds.

The performance knows its time map (beat to second) and its passages, so that
spans can be checked later. Beats count from the performance's start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pemr.corpus.notes.scores import Chord, Note, Score
from pemr.corpus.playing import variation
from pemr.corpus.playing.bands import AS_WRITTEN, FOUR_PART, STYLES, accompany
from pemr.corpus.playing.recipe import Recipe
from pemr.corpus.playing.structure import Passage, change_metre, plan
from pemr.corpus.playing.styles import BeatGrid, Hit, Part, Pulse

LEAD_IN_S = 0.3  # silence before the first note
TAIL_S = 1.5  # time for the last note to die away
MAX_DURATION_S = 120.0
SPREAD_DB = 3.0  # how far players differ in level

Clock = Callable[[float], float]


class Event(NamedTuple):
    """One note in time: start and duration in seconds, pitch in semitones, velocity 1 to 127."""

    start_s: float
    duration_s: float
    pitch: float
    velocity: int


@dataclass(frozen=True)
class PlayedPart:
    """What one player plays, in seconds.

    Parameters
    ----------
    role : str
        ``melody``, ``second``, ``harmony``, ``bass`` or ``drums``.
    program : int
        General MIDI program.
    voice : str
        Name of a singing voice, or empty.
    gain_db : float
        Level in the mix.
    events : tuple of Event
    """

    role: str
    program: int
    voice: str
    gain_db: float
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Arrangement:
    """An arrangement ready to be rendered.

    Parameters
    ----------
    tracks : tuple of PlayedPart
    duration_s : float
    time_map : float64 array, shape (n, 2)
        Beat and second, both rising.
    passages : tuple of Passage
        Transpositions are against the score, the recipe's included.
    band_db : float
        Level of the accompaniment against the tune.
    """

    tracks: tuple[PlayedPart, ...]
    duration_s: float
    time_map: NDArray[np.float64]
    passages: tuple[Passage, ...]
    band_db: float


def arrange(score: Score, recipe: Recipe, other: Score | None = None) -> Arrangement:
    """Arrange a score.

    Parameters
    ----------
    score : Score
    recipe : Recipe
    other : Score or None
        What a medley turns to.

    Returns
    -------
    Arrangement
        At most two minutes long.
    """
    rng = np.random.default_rng(recipe.seed)
    varied = _varied(score, recipe, rng)
    passages = plan(varied, recipe.form, other, rng)
    parts = _merged([_parts(p, varied, other, recipe, i) for i, p in enumerate(passages)])
    time_map = _time_map(passages[-1].end, score.tempo_bpm * recipe.tempo, recipe.rubato, rng)
    time_map = time_map[time_map[:, 1] <= MAX_DURATION_S]
    tracks = tuple(_track(part, time_map, recipe, rng) for part in parts)
    end = min(passages[-1].end, time_map[-1, 0])
    moved = (replace(p, transposition=p.transposition + recipe.transposition) for p in passages)
    return Arrangement(
        tracks=tracks,
        duration_s=float(np.interp(end, *time_map.T)) + TAIL_S,
        time_map=time_map,
        passages=tuple(p for p in moved if p.start < end),
        band_db=recipe.band_db,
    )


def _varied(score: Score, recipe: Recipe, rng: Generator) -> Score:
    if recipe.changes_mode:
        score = variation.change_mode(score)
    if recipe.beats_per_bar != score.beats_per_bar:
        score = change_metre(score, recipe.beats_per_bar)
    chords: Sequence[Chord] = score.chords
    for name in recipe.reharmonisers:
        chords = variation.REHARMONISERS[name](chords, score, rng)
    return replace(score, chords=tuple(chords))


def _parts(
    passage: Passage, score: Score, other: Score | None, recipe: Recipe, index: int
) -> list[Part]:
    source = score if passage.kind != "medley" or other is None else other
    rng = np.random.default_rng([recipe.seed, index])
    shift = recipe.transposition + passage.transposition
    if source is not score:
        shift += (score.tonic - source.tonic + 6) % 12 - 6
    cut = _cut(source, passage)
    style = next(style for style in STYLES if style.name == recipe.style)
    # the same seed for every passage: a band keeps its players and its figures
    parts = accompany(style, grid(cut, recipe), np.random.default_rng(recipe.seed))
    if style.name in (AS_WRITTEN, FOUR_PART):
        parts = _written(cut, style.name, np.random.default_rng(recipe.seed))
    if passage.kind in ("tune", "medley", "solo") and recipe.has_melody:
        parts += _tune(cut, passage, recipe, index, rng)
    return [_moved(part, shift, passage.start) for part in parts]


def _cut(score: Score, passage: Passage) -> Score:
    low, high = passage.source_start, passage.source_end

    def notes(part: Sequence[Note]) -> tuple[Note, ...]:
        return tuple(
            n._replace(start=n.start - low, duration=min(n.duration, high - n.start))
            for n in part
            if low <= n.start < high
        )

    chords = tuple(
        c._replace(start=max(c.start, low) - low, duration=min(c.end, high) - max(c.start, low))
        for c in score.chords
        if c.start < high and c.end > low
    )
    return replace(
        score,
        melody=notes(score.melody),
        second_melody=notes(score.second_melody),
        accompaniment=notes(score.accompaniment),
        voices=tuple(notes(voice) for voice in score.voices),
        chords=chords,
        pickup=(score.pickup - low) % score.beats_per_bar,
        n_beats=high - low,
    )


def grid(score: Score, recipe: Recipe) -> BeatGrid:
    """Lay the pulses of a score and the chords over them.

    Parameters
    ----------
    score : Score
    recipe : Recipe
        Gives swing and density.

    Returns
    -------
    BeatGrid
        In a compound metre a pulse is three beats.
    """
    length = 3.0 if score.is_compound else 1.0
    n_per_bar = max(1, round(score.beats_per_bar / length))
    first = score.pickup % score.beats_per_bar
    pulses: list[Pulse] = []
    chords = list(score.chords)
    place, previous = 0, None
    for k in range(int((score.n_beats - first) / length + 1e-6)):
        start = first + k * length
        while place + 1 < len(chords) and chords[place + 1].start <= start + 1e-3:
            place += 1
        if not chords or not chords[place].start - 1e-3 <= start < chords[place].end:
            continue
        pulses.append(Pulse(start, length, k % n_per_bar, chords[place], place != previous))
        previous = place
    return BeatGrid(tuple(pulses), n_per_bar, recipe.swing, recipe.density)


def _written(cut: Score, style: str, rng: Generator) -> list[Part]:
    """Play what the score itself has under the tune."""
    choir = rng.random() < 0.3
    program = int(rng.choice([0, 0, 4, 16, 19, 24, 48, 52, 61, 71, 6, 46]))
    lines = cut.voices[1:] if style == FOUR_PART else (cut.accompaniment,)
    singers = ("alto", "tenor", "bass") if choir and style == FOUR_PART else ("", "", "")
    return [
        Part("harmony", program, _hits(line, rng), 0.0, singer)
        for line, singer in zip(lines, singers, strict=False)
        if line
    ]


def _tune(cut: Score, passage: Passage, recipe: Recipe, index: int, rng: Generator) -> list[Part]:
    player = recipe.players[index % len(recipe.players)]
    notes: Sequence[Note] = cut.melody
    if passage.kind == "solo":
        notes = variation.improvise(cut.chords, cut, 69, rng)
    for name in recipe.treatments:
        notes = variation.TREATMENTS[name](notes, cut, rng)
    voice, program = (player, 52) if isinstance(player, str) else ("", player)
    parts = [Part("melody", program, _hits(notes, rng), 0.0, voice)]
    if recipe.second_line and passage.kind == "tune":
        second = list(cut.second_melody) or variation.harmonise_thirds(
            notes, cut, recipe.second_line
        )
        parts.append(Part("second", program, _hits(second, rng), -5.0, voice))
    return parts


def _hits(notes: Sequence[Note], rng: Generator) -> tuple[Hit, ...]:
    arc = rng.uniform(0, 2 * np.pi)
    return tuple(
        Hit(n.start, n.duration, n.pitch, int(92 + 12 * np.sin(n.start / 5 + arc))) for n in notes
    )


def _moved(part: Part, semitones: int, beats: float) -> Part:
    if part.role == "drums":
        semitones = 0
    hits = tuple(h._replace(start=h.start + beats, pitch=h.pitch + semitones) for h in part.hits)
    return replace(part, hits=hits)


def _merged(passages: Sequence[Sequence[Part]]) -> list[Part]:
    players: dict[tuple[str, int, str, int], Part] = {}
    for parts in passages:
        seen: dict[tuple[str, int, str], int] = {}
        for part in parts:
            who = (part.role, part.program, part.voice)
            seen[who] = seen.get(who, -1) + 1
            key = (*who, seen[who])
            before = players[key].hits if key in players else ()
            players[key] = replace(part, hits=before + part.hits)
    return [part for part in players.values() if part.hits]


def _time_map(
    n_beats: float, tempo_bpm: float, rubato: float, rng: Generator
) -> NDArray[np.float64]:
    n = int(np.ceil(n_beats)) + 1
    wander = np.convolve(rng.standard_normal(n + 8), np.hanning(9) / 1.8, mode="valid")[:n]
    slow_down = np.ones(n)
    slow_down[-4:] += np.linspace(0, 6 * rubato, min(4, n))
    seconds = 60 / tempo_bpm * (1 + rubato * wander).clip(0.5, 2.0) * slow_down
    starts = LEAD_IN_S + np.concatenate([[0.0], np.cumsum(seconds[:-1])])
    return np.stack([np.arange(n, dtype=np.float64), starts], axis=1)


def _track(part: Part, time_map: NDArray[np.float64], recipe: Recipe, rng: Generator) -> PlayedPart:
    hits = [h for h in part.hits if h.start < time_map[-1, 0]]
    starts = np.interp([h.start for h in hits], *time_map.T)
    ends = np.interp([h.start + h.duration for h in hits], *time_map.T)
    late = rng.normal(0, recipe.jitter_s, size=len(hits))
    cents = np.zeros(len(hits)) if part.role == "drums" else _tuning(starts, recipe)
    octave = _octave(part, hits)
    events = tuple(
        Event(
            max(0.0, float(start + delay)),
            max(0.05, float(end - start)),
            h.pitch + octave + float(cent) / 100,
            int(np.clip(h.velocity + 4 * rng.standard_normal(), 20, 127)),
        )
        for h, start, end, delay, cent in zip(hits, starts, ends, late, cents, strict=True)
    )
    gain_db = part.gain_db + SPREAD_DB * float(rng.standard_normal())
    return PlayedPart(part.role, part.program, part.voice, gain_db, events)


def _tuning(starts: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    phase = recipe.seed % 7
    wander = recipe.drift_cents * np.sin(2 * np.pi * starts / 40 + phase)
    return np.asarray(np.clip(recipe.tuning_cents + wander, -49, 49))


_CENTRES = {32: 40, 33: 40, 42: 52, 43: 42, 57: 55, 58: 43, 60: 60, 67: 52, 70: 52, 72: 84, 40: 74,
            73: 76, 74: 78, 78: 80, 79: 78, 10: 79, 8: 79, 9: 82}  # fmt: skip


def _octave(part: Part, hits: Sequence[Hit]) -> int:
    """Octaves, in semitones, that bring a tune into its instrument's range."""
    if part.role not in ("melody", "second") or not hits or part.voice:
        return 0
    centre = _CENTRES.get(part.program, 67)
    mean = float(np.mean([h.pitch for h in hits]))
    return 12 * round((centre - mean) / 12)
