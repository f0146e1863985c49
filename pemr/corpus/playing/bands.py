"""Bands: drum patterns, and the table of styles that the arranger draws from.

Drum patterns are written as text, four characters a pulse: ``x`` a stroke,
``o`` a soft one. A bar of two pulses plays the first half of the pattern of
four, any other number repeats the pattern of three or of one pulse.
"""

import numpy as np
from numpy.random import Generator

from pemr.corpus.playing import styles as s
from pemr.corpus.playing.styles import BeatGrid, Hit, Style

KICK, RIM, SNARE, CLAP, SIDE = 36, 37, 38, 39, 37
HAT, OPEN_HAT, PEDAL_HAT, RIDE, CRASH = 42, 46, 44, 51, 49
TOMS = (50, 48, 47, 45, 43)
TAMBOURINE, SHAKER, CONGA, CLAVE = 54, 70, 63, 75

PATTERNS: dict[str, dict[int, dict[int, str]]] = {
    "rock": {
        4: {KICK: "x.....x.x...o...", SNARE: "....x.......x..o", HAT: "x.x.x.x.x.x.x.x."},
        3: {KICK: "x.......o...", SNARE: "....x...x...", HAT: "x.x.x.x.x.x."},
    },
    "four": {
        4: {KICK: "x...x...x...x...", CLAP: "....x.......x...", OPEN_HAT: "..x...x...x...x."},
        3: {KICK: "x...x...x...", CLAP: "....x.......", OPEN_HAT: "..x...x...x."},
    },
    "ballad": {
        4: {KICK: "x.........x.....", RIM: "........x.......", HAT: "x.o.x.o.x.o.x.o."},
        3: {KICK: "x...........", RIM: "....o...x...", HAT: "x.o.x.o.x.o."},
    },
    "half": {
        4: {KICK: "x.....x.....x...", SNARE: "........x.......", HAT: "x.x.x.x.x.x.xxx."},
        3: {KICK: "x.......x...", SNARE: "....x.......", HAT: "x.x.x.x.x.x."},
    },
    "swing": {
        4: {RIDE: "x...x.x.x...x.x.", PEDAL_HAT: "....x.......x...", KICK: "o.......o......."},
        3: {RIDE: "x...x.x.x...", PEDAL_HAT: "....x...x...", KICK: "o..........."},
    },
    "waltz": {
        4: {KICK: "x.......x.......", SNARE: "....o.o.....o.o."},
        3: {KICK: "x...........", SNARE: "....o...o...", HAT: "....x...x..."},
    },
    "march": {
        4: {KICK: "x.......x.......", SNARE: "x.oox.oox.ooxxxx", CRASH: "o..............."},
        3: {KICK: "x...........", SNARE: "x...xooox..."},
    },
    "train": {
        4: {SNARE: "oxoooxoooxoooxxo", KICK: "x...x...x...x..."},
        3: {SNARE: "ooxoooxoooxo", KICK: "x...x...x..."},
    },
    "bossa": {
        4: {RIM: "x..x..x...x..x..", KICK: "x..xx..xx..xx..x", SHAKER: "xoxoxoxoxoxoxoxo"},
        3: {RIM: "x..x..x...x.", SHAKER: "xoxoxoxoxoxo"},
    },
    "latin": {
        4: {CONGA: "x.ox..xxx.ox..xx", CLAVE: "x..x..x...x.x...", KICK: "...x..x....x..x."},
        3: {CONGA: "x.ox..xxx.ox", CLAVE: "x..x..x....."},
    },
    "onedrop": {
        4: {KICK: "........x.......", RIM: "........x.......", HAT: "x.o.x.o.x.o.x.oo"},
        3: {KICK: "....x.......", HAT: "x.o.x.o.x.o."},
    },
    "break": {
        4: {KICK: "x.x.......xx....", SNARE: "....x..o.o..x..o", HAT: "x.x.x.x.x.x.x.x."},
        3: {KICK: "x.x.......x.", SNARE: "....x..o....", HAT: "x.x.x.x.x.x."},
    },
    "trap": {
        4: {KICK: "x......x..x.....", CLAP: "........x.......", HAT: "xxxxxxxoxxxxxoxx"},
        3: {KICK: "x......x....", CLAP: "....x.......", HAT: "xxxxxoxxxxxx"},
    },
    "blast": {
        4: {KICK: "xxxxxxxxxxxxxxxx", SNARE: "..x...x...x...x.", CRASH: "x...x...x...x..."},
        3: {KICK: "xxxxxxxxxxxx", SNARE: "..x...x...x.", CRASH: "x...x...x..."},
    },
    "clap": {
        4: {CLAP: "....x.......x...", TAMBOURINE: "..x...x...x...x."},
        3: {CLAP: "....x...x...", TAMBOURINE: "..x...x...x."},
    },
}

_LOUD = {"x": 104, "o": 62}


def drums(grid: BeatGrid, name: str, rng: Generator) -> list[Hit]:
    """Play a drum pattern, with a fill at the end of every fourth bar.

    Parameters
    ----------
    grid : BeatGrid
    name : str
        A key of `PATTERNS`.
    rng : Generator

    Returns
    -------
    list of Hit
        Pitches are General MIDI drums.
    """
    pattern = PATTERNS[name][3 if grid.n_per_bar % 3 == 0 or grid.n_per_bar == 1 else 4]
    n_pulses = len(next(iter(pattern.values()))) // 4
    hits = []
    bar = -1
    for pulse in grid.pulses:
        bar += pulse.place == 0
        if bar % 4 == 3 and pulse.place == grid.n_per_bar - 1 and rng.random() < 0.7:
            hits += _fill(grid, pulse, rng)
            continue
        if bar % 8 == 0 and pulse.place == 0 and rng.random() < 0.6:
            hits.append(Hit(pulse.start, pulse.length, CRASH, 96))
        hits += _strokes(grid, pulse, pattern, pulse.place % n_pulses * 4, rng)
    return hits


def _strokes(
    grid: BeatGrid, pulse: s.Pulse, pattern: dict[int, str], first: int, rng: Generator
) -> list[Hit]:
    return [
        Hit(grid.at(pulse, k / 4), 0.2 * pulse.length, drum, loud + int(rng.integers(-10, 11)))
        for drum, line in pattern.items()
        for k in range(4)
        if (loud := _LOUD.get(line[first + k], 0))
    ]


def _fill(grid: BeatGrid, pulse: s.Pulse, rng: Generator) -> list[Hit]:
    drums_in = rng.choice([SNARE, *TOMS], size=4)
    return [
        Hit(grid.at(pulse, k / 4), 0.2 * pulse.length, int(drum), 80 + 8 * k)
        for k, drum in enumerate(drums_in)
        if rng.random() < 0.8
    ]


PIANOS = (0, 1, 2, 3)
E_PIANOS = (4, 5, 11)
GUITARS = (24, 25, 26, 27, 28)
ORGANS = (16, 17, 18, 19, 20)
STRINGS = (48, 49, 50, 51, 44)
PADS = (88, 89, 90, 91, 92, 94, 95, 52, 53, 54)
BRASS = (61, 62, 63, 56, 57, 60)
PLUCKED = (45, 46, 12, 13, 104, 105, 106, 107, 108, 15, 6, 7)
ROCK = (29, 30, 30, 27)

AS_WRITTEN = "as written"  # the score's own accompaniment
FOUR_PART = "four part"  # the score's own alto, tenor and bass

STYLES: tuple[Style, ...] = (
    Style(name="a cappella"),
    Style(name="solo"),
    Style(name=AS_WRITTEN, loudness_db=(-9.0, 3.0)),
    Style(name=FOUR_PART, loudness_db=(-6.0, 3.0)),
    Style(name="piano ballad", harmony=(s.arpeggio,),
          harmony_programs=(PIANOS + E_PIANOS,),
          bass=(s.root_bass,), bass_programs=(0, 32, 33)),
    Style(name="block piano", harmony=(s.block,),
          harmony_programs=(PIANOS + ORGANS,),
          bass=(s.root_bass, s.fifth_bass), bass_programs=(0, 32, 43)),
    Style(name="alberti", harmony=(s.alberti,),
          harmony_programs=((0, 6, 11, 24, 45, 46, 8, 71),)),
    Style(name="stride", harmony=(s.stride,),
          harmony_programs=((0, 3, 1, 21, 24),)),
    Style(name="strummed", harmony=(s.strum,),
          harmony_programs=((24, 25, 105, 26, 15),),
          bass=(s.root_bass, s.fifth_bass)),
    Style(name="campfire", harmony=(s.strum,),
          harmony_programs=((24, 25, 105, 21),),
          drums=("clap",)),
    Style(name="fingerpicked", harmony=(s.arpeggio,),
          harmony_programs=((24, 25, 46, 107, 108),),
          bass=(s.root_bass, s.fifth_bass), bass_programs=(24, 32, 43)),
    Style(name="folk drone", harmony=(s.drone,),
          harmony_programs=((21, 20, 109, 40, 42, 104, 23),)),
    Style(name="pads", harmony=(s.sustained,),
          harmony_programs=(PADS,),
          bass=(s.root_bass, s.pedal_bass), bass_programs=(38, 39, 33)),
    Style(name="orchestral", harmony=(s.sustained, s.arpeggio),
          harmony_programs=(STRINGS, (46, 45, 68, 71, 73)),
          bass=(s.root_bass,), bass_programs=(43, 42, 70), loudness_db=(-8.0, 1.0)),
    Style(name="brass band", harmony=(s.block, s.sustained),
          harmony_programs=(BRASS, BRASS),
          bass=(s.fifth_bass,), bass_programs=(58,), drums=("march",), loudness_db=(-6.0, 2.0)),
    Style(name="pop band", harmony=(s.strum, s.sustained),
          harmony_programs=(GUITARS, PADS + STRINGS + ORGANS),
          bass=(s.eighth_bass, s.root_bass, s.riff_bass), drums=("rock", "ballad", "half"),
          loudness_db=(-6.0, 6.0)),
    Style(name="pop piano band", harmony=(s.block, s.arpeggio),
          harmony_programs=(PIANOS + E_PIANOS, GUITARS + E_PIANOS),
          bass=(s.eighth_bass, s.riff_bass),
          drums=("rock", "break", "four"), loudness_db=(-6.0, 6.0)),
    Style(name="rock band", harmony=(s.power, s.power),
          harmony_programs=(ROCK, ROCK),
          bass=(s.eighth_bass, s.riff_bass), bass_programs=(33, 34, 36),
          drums=("rock", "half"), loudness_db=(-4.0, 8.0)),
    Style(name="metal", harmony=(s.power,),
          harmony_programs=((30,),), bass=(s.eighth_bass,),
          bass_programs=(34,), drums=("blast", "rock"), loudness_db=(0.0, 8.0)),
    Style(name="jazz trio", harmony=(s.stabs, s.sustained),
          harmony_programs=(PIANOS + GUITARS, (11, 4)),
          bass=(s.walking_bass,), bass_programs=(32,), drums=("swing",), loudness_db=(-7.0, 3.0)),
    Style(name="country", harmony=(s.offbeat, s.strum),
          harmony_programs=((25, 105, 27), (25, 24)),
          bass=(s.fifth_bass,), drums=("train", "rock"), loudness_db=(-6.0, 3.0)),
    Style(name="waltz", harmony=(s.stride,),
          harmony_programs=((21, 0, 24, 48, 23),),
          bass=(s.root_bass,), bass_programs=(43, 32), drums=("waltz",)),
    Style(name="disco", harmony=(s.offbeat, s.sustained),
          harmony_programs=((28, 27, 7), STRINGS),
          bass=(s.riff_bass, s.eighth_bass), bass_programs=(36, 38, 33), drums=("four",),
          loudness_db=(-3.0, 7.0)),
    Style(name="house", harmony=(s.stabs, s.sustained),
          harmony_programs=((0, 17, 81, 90), PADS),
          bass=(s.riff_bass,), bass_programs=(38, 39, 87), drums=("four",),
          loudness_db=(-2.0, 8.0)),
    Style(name="hip hop", harmony=(s.sustained,),
          harmony_programs=(E_PIANOS + PADS,),
          bass=(s.root_bass, s.riff_bass), bass_programs=(38, 39), drums=("trap", "break"),
          loudness_db=(-3.0, 7.0)),
    Style(name="bossa nova", harmony=(s.stabs,),
          harmony_programs=((24, 4, 26),),
          bass=(s.fifth_bass,), bass_programs=(32,), drums=("bossa",), loudness_db=(-6.0, 3.0)),
    Style(name="mandolins", harmony=(s.tremolo, s.strum),
          harmony_programs=((25, 105, 15, 44), (24, 25)),
          bass=(s.fifth_bass,)),
    Style(name="church organ", harmony=(s.sustained,),
          harmony_programs=((19, 16, 20),),
          bass=(s.root_bass,), bass_programs=(19,), loudness_db=(-5.0, 4.0)),
    Style(name="reggae", harmony=(s.offbeat, s.sustained),
          harmony_programs=((27, 28, 0), ORGANS),
          bass=(s.riff_bass,), bass_programs=(33, 38), drums=("onedrop",), loudness_db=(-3.0, 6.0),
          is_held_out=True),
    Style(name="salsa", harmony=(s.stabs, s.block),
          harmony_programs=((0, 1), BRASS),
          bass=(s.riff_bass, s.fifth_bass), bass_programs=(32, 33), drums=("latin",),
          loudness_db=(-4.0, 5.0), is_held_out=True),
    Style(name="plucked ensemble", harmony=(s.arpeggio, s.alberti),
          harmony_programs=(PLUCKED, PLUCKED),
          bass=(s.pedal_bass,), bass_programs=(45, 46), is_held_out=True),
    Style(name="synth wave", harmony=(s.arpeggio, s.sustained),
          harmony_programs=((81, 80, 84), PADS),
          bass=(s.eighth_bass,), bass_programs=(38, 39), drums=("four", "half"),
          loudness_db=(-3.0, 7.0), is_held_out=True),
)  # fmt: skip


def accompany(style: Style, grid: BeatGrid, rng: Generator) -> list[s.Part]:
    """Let a band play over a grid.

    Parameters
    ----------
    style : Style
    grid : BeatGrid
    rng : Generator
        The same generator state gives the same notes.

    Returns
    -------
    list of Part
        Without gains; a grid without chords gives none.
    """
    if not grid.pulses:
        return []
    # chosen first, so that every passage with this generator's seed has the same players
    programs = [int(rng.choice(np.array(choice))) for choice in style.harmony_programs]
    low = int(rng.choice(np.array(style.bass_programs)))
    bass = style.bass[int(rng.integers(len(style.bass)))] if style.bass else None
    pattern = style.drums[int(rng.integers(len(style.drums)))] if style.drums else ""
    seeds = rng.integers(2**32, size=len(programs) + 2)
    rngs = [np.random.default_rng(seed) for seed in seeds]
    parts = [
        s.Part("harmony", program, tuple(sorted(layer(grid, layer_rng))))
        for layer, program, layer_rng in zip(style.harmony, programs, rngs[2:], strict=True)
    ]
    if bass:
        parts.append(s.Part("bass", low, tuple(sorted(bass(grid, rngs[0])))))
    if pattern:
        parts.append(s.Part("drums", 0, tuple(sorted(drums(grid, pattern, rngs[1])))))
    return parts
