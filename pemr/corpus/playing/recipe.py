"""Recipes: everything that makes one performance differ from the score, drawn from a seed.

A recipe is plain data and goes into the manifest as it is, so that errors of
an encoder can be studied by what was changed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pemr.corpus.notes.scores import Score
from pemr.corpus.playing.bands import AS_WRITTEN, FOUR_PART, STYLES
from pemr.corpus.playing.structure import METRE_WARPS, Form
from pemr.corpus.playing.styles import Style
from pemr.corpus.playing.variation import HELD_OUT_REHARMONISERS, REHARMONISERS, TREATMENTS

MELODY_PROGRAMS = (
    0, 1, 3, 4, 5, 11, 12, 13, 16, 19, 21, 22, 24, 25, 26, 27, 28, 30, 40, 41, 42, 44, 48, 52, 53,
    56, 57, 59, 60, 61, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 78, 79, 80, 81, 85, 104,
    105, 107, 109, 110, 10, 15, 46, 6,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """How far performances stray from their score; each field is a probability unless said.

    Parameters
    ----------
    name : str
    tempo_spread : float
        Standard deviation of the tempo's change, in octaves.
    treatment, reharmonisation, restructure, metre, mode, solo, step_up, medley : float
        Of one such change; the first three are tried twice.
    second_line : float
        Of a harmony line or the score's own second melody.
    loud_band : float
        Of a band at the loud end of its style.
    band_db : float
        Added to the level that the style gives the band.
    no_melody : float
        Of a performance without the tune.
    rough_chain : float
        Of each effect of the recording chain.
    length_s : float
        Length to reach.
    """

    name: str
    tempo_spread: float
    treatment: float
    reharmonisation: float
    restructure: float
    metre: float
    mode: float
    solo: float
    step_up: float
    medley: float
    second_line: float
    loud_band: float
    band_db: float
    no_melody: float
    rough_chain: float
    length_s: float = 76.0


STANDARD = Difficulty(
    name="standard", tempo_spread=0.1, treatment=0.05, reharmonisation=0.05, restructure=0.08,
    metre=0.02, mode=0.0, solo=0.05, step_up=0.05, medley=0.01, second_line=0.25, loud_band=0.08,
    band_db=-5.0, no_melody=0.0, rough_chain=0.25,
)  # fmt: skip
BRUTAL = Difficulty(
    name="brutal", tempo_spread=0.18, treatment=0.35, reharmonisation=0.35, restructure=0.26,
    metre=0.08, mode=0.02, solo=0.18, step_up=0.17, medley=0.06, second_line=0.3, loud_band=0.3,
    band_db=-2.5, no_melody=0.01, rough_chain=0.35,
)  # fmt: skip
DIFFICULTIES = {d.name: d for d in (STANDARD, BRUTAL)}
MIXED = "mixed"  # half standard, half brutal: what an encoder is trained on


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one performance does to its score.

    Parameters
    ----------
    transposition : int
        Semitones.
    tempo : float
        Factor on the score's tempo.
    rubato : float
        Relative depth of slow changes of tempo.
    swing : float
        Place of the off-beat, 0.5 straight.
    beats_per_bar : int
        The metre; the score's own where it is kept.
    changes_mode : bool
        Major becomes minor or the reverse.
    style : str
        Name of the accompaniment.
    density : float
        0 sparse to 1 busy.
    players : tuple of int or str
        Who has the tune, in turn: General MIDI programs, or names of voices.
    treatments, reharmonisers : tuple of str
        Applied in order.
    second_line : int
        Steps of the scale between the tune and a second voice; 0 for none.
    form : Form
    band_db : float
        Level of the accompaniment against the tune.
    has_melody : bool
    tuning_cents, drift_cents : float
        Detuning of the whole, and how far it wanders.
    jitter_s : float
        Standard deviation of the players' timing.
    seed : int
        Of everything drawn later.
    """

    transposition: int
    tempo: float
    rubato: float
    swing: float
    beats_per_bar: int
    changes_mode: bool
    style: str
    density: float
    players: tuple[int | str, ...]
    treatments: tuple[str, ...]
    reharmonisers: tuple[str, ...]
    second_line: int
    form: Form
    band_db: float
    has_melody: bool
    tuning_cents: float
    drift_cents: float
    jitter_s: float
    seed: int


def chance(rng: Generator, probability: float) -> bool:
    """Whether something of this probability happens."""
    return bool(rng.random() < probability)


def draw(
    score: Score,
    difficulty: Difficulty,
    rng: Generator,
    *,
    voices: tuple[str, ...] = (),
    held_out: bool = False,
) -> Recipe:
    """Draw a recipe.

    Parameters
    ----------
    score : Score
    difficulty : Difficulty
    rng : Generator
    voices : tuple of str
        Singing voices that may be used.
    held_out : bool
        Whether what is held out for ``test`` may occur; it then does in about half the draws.

    Returns
    -------
    Recipe
    """
    style = _style(score, rng, held_out)
    low, high = style.loudness_db
    loud = chance(rng, difficulty.loud_band)
    tempo = _tempo(score, difficulty, rng)
    return Recipe(
        transposition=int(rng.integers(-6, 6)),
        tempo=tempo,
        rubato=float(rng.choice([0.0, 0.01, 0.03, 0.06])),
        swing=float(rng.choice([0.5, 0.5, 0.5, 0.58, 0.66])),
        beats_per_bar=_metre(score, difficulty, rng),
        changes_mode=chance(rng, difficulty.mode),
        style=style.name,
        density=float(rng.uniform()),
        players=_players(style, rng, voices),
        treatments=_pick(tuple(TREATMENTS), difficulty.treatment, rng),
        reharmonisers=_pick(_reharmonisers(held_out), difficulty.reharmonisation, rng),
        second_line=int(rng.choice([-2, 2, -5])) if chance(rng, difficulty.second_line) else 0,
        form=_form(score, difficulty, tempo, rng),
        band_db=difficulty.band_db + float(rng.uniform((low + high) / 2 if loud else low, high)),
        has_melody=not chance(rng, difficulty.no_melody),
        tuning_cents=float(np.clip(rng.normal(0, 18), -50, 50)),
        drift_cents=float(rng.choice([0.0, 0.0, 5.0, 15.0])),
        jitter_s=float(rng.uniform(0.0, 0.02)),
        seed=int(rng.integers(2**31)),
    )


def _style(score: Score, rng: Generator, held_out: bool) -> Style:
    if held_out and chance(rng, 0.4):
        own = [style for style in STYLES if style.is_held_out]
        return own[int(rng.integers(len(own)))]
    written = {AS_WRITTEN: bool(score.accompaniment), FOUR_PART: bool(score.voices)}
    known = [s for s in STYLES if not s.is_held_out and written.get(s.name, True)]
    return known[int(rng.integers(len(known)))]


def _reharmonisers(held_out: bool) -> tuple[str, ...]:
    if held_out:
        return (*REHARMONISERS, *HELD_OUT_REHARMONISERS)
    return tuple(name for name in REHARMONISERS if name not in HELD_OUT_REHARMONISERS)


def _pick(names: tuple[str, ...], probability: float, rng: Generator) -> tuple[str, ...]:
    n = int(chance(rng, probability)) + int(chance(rng, probability / 2))
    return tuple(str(name) for name in rng.choice(names, size=n, replace=False))


def _tempo(score: Score, difficulty: Difficulty, rng: Generator) -> float:
    factor = 2.0 ** float(rng.normal(0, difficulty.tempo_spread))
    pulse = score.tempo_bpm / (3 if score.is_compound else 1)
    return float(np.clip(factor, 45 / pulse, 210 / pulse))


def _metre(score: Score, difficulty: Difficulty, rng: Generator) -> int:
    known = [new for old, new in METRE_WARPS if old == score.beats_per_bar]
    if known and chance(rng, difficulty.metre):
        return int(rng.choice(known))
    return score.beats_per_bar


def _players(style: Style, rng: Generator, voices: tuple[str, ...]) -> tuple[int | str, ...]:
    share = 0.85 if style.name == "a cappella" else 0.4
    n = int(rng.choice([1, 1, 2]))
    if voices and chance(rng, share):
        singer: tuple[int | str, ...] = (str(rng.choice(voices)),)
        return singer if n == 1 else (*singer, int(rng.choice(MELODY_PROGRAMS)))
    return tuple(int(program) for program in rng.choice(MELODY_PROGRAMS, size=n, replace=False))


def _form(score: Score, difficulty: Difficulty, tempo: float, rng: Generator) -> Form:
    p = difficulty.restructure
    length_s = difficulty.length_s * float(rng.uniform(0.8, 1.1))
    orders = ("from a later section", "shuffled", "reversed")
    return Form(
        n_beats=length_s * score.tempo_bpm * tempo / 60,
        intro_bars=int(rng.choice([1, 2, 4])) if chance(rng, 0.5) else 0,
        outro_bars=int(rng.choice([1, 2])) if chance(rng, 0.4) else 0,
        order=str(rng.choice(orders)) if chance(rng, p) else "as written",
        n_cut=int(chance(rng, p)) + int(chance(rng, p / 3)),
        repeats=chance(rng, p),
        solo=chance(rng, difficulty.solo),
        step_up=int(rng.choice([1, 2])) if chance(rng, difficulty.step_up) else 0,
        medley=chance(rng, difficulty.medley),
    )
