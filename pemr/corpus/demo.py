"""The demo: a dozen old tunes, each in four performances, and unrelated distractors.

The tunes are in the public domain and transcribed here. A tune is written as
notes ``C4:1.5`` (name, octave, beats; one beat where none is written), a rest
as ``r``; its chords one a bar.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from pemr.corpus.notes.scores import Chord, Note, Score, pitch_class
from pemr.corpus.playing.arrange import arrange
from pemr.corpus.playing.recipe import STANDARD, Recipe, draw
from pemr.corpus.processes import processes
from pemr.corpus.sounding.render import BuiltIn, render, write_flac

N_PERFORMANCES = 4
N_DISTRACTORS = 12
TRANSPOSITIONS = (0, 5, -3, 2)
LENGTH_S = 36.0

BANDS = ("The Harbour Lights", "Willow and Reed", "Mill Lane Quartet", "The Paper Lanterns")


@dataclass(frozen=True)
class Tune:
    """A tune in text.

    Parameters
    ----------
    title : str
    metre : tuple of int
        Beats a bar, and the note value of a beat.
    key : str
        Tonic, with ``m`` for minor.
    tempo_bpm : float
    pickup : float
        Beats before the first bar.
    notes, chords : str
    """

    title: str
    metre: tuple[int, int]
    key: str
    tempo_bpm: float
    pickup: float
    notes: str
    chords: str


TUNES: tuple[Tune, ...] = (
    Tune("Twinkle, Twinkle, Little Star", (4, 4), "C", 110, 0,
         "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2 G4 G4 F4 F4 E4 E4 D4:2 G4 G4 F4 F4 E4 E4 "
         "D4:2 C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2",
         "C F C G C G C G C F C G"),
    Tune("Frère Jacques", (4, 4), "C", 120, 0,
         "C4 D4 E4 C4 C4 D4 E4 C4 E4 F4 G4:2 E4 F4 G4:2 G4:.5 A4:.5 G4:.5 F4:.5 E4 C4 "
         "G4:.5 A4:.5 G4:.5 F4:.5 E4 C4 C4 G3 C4:2 C4 G3 C4:2",
         "C C C C C C G C"),
    Tune("Greensleeves", (6, 8), "Am", 168, 1,
         "A4 C5:2 D5 E5:1.5 F5:.5 E5 D5:2 B4 G4:1.5 A4:.5 B4 C5:2 A4 A4:1.5 G#4:.5 A4 B4:2 G#4 "
         "E4:2 A4 C5:2 D5 E5:1.5 F5:.5 E5 D5:2 B4 G4:1.5 A4:.5 B4 C5:1.5 B4:.5 A4 G#4:1.5 F#4:.5 "
         "G#4 A4:3 A4:3 G5:3 G5:1.5 F#5:.5 E5 D5:2 B4 G4:1.5 A4:.5 B4 C5:2 A4 A4:1.5 G#4:.5 A4 "
         "B4:2 G#4 E4:3 G5:3 G5:1.5 F#5:.5 E5 D5:2 B4 G4:1.5 A4:.5 B4 C5:1.5 B4:.5 A4 G#4:1.5 "
         "F#4:.5 G#4 A4:5",
         "Am G Am E Am G E Am C G Am E C G E Am"),
    Tune("Scarborough Fair", (3, 4), "Dm", 126, 0,
         "D4:2 D4 A4:2 A4 E4:1.5 F4:.5 E4 D4:3 r A4 C5 D5:2 C5 A4 B4 G4 A4:3 r:2 D5 D5:2 D5 C5:2 "
         "A4 A4 G4 F4 E4 C4:2 D4:2 A4 G4:2 F4 E4 D4 C4 D4:3",
         "Dm Dm C Dm F Dm G Dm Dm Dm F C C Dm C C Dm"),
    Tune("Auld Lang Syne", (4, 4), "F", 100, 1,
         "C4 F4:1.5 E4:.5 F4 A4 G4:1.5 F4:.5 G4 A4 F4:1.5 F4:.5 A4 C5 D5:3 D5 C5:1.5 A4:.5 A4 F4 "
         "G4:1.5 F4:.5 G4 A4 F4:1.5 D4:.5 D4 C4 F4:3 D5 C5:1.5 A4:.5 A4 F4 G4:1.5 F4:.5 G4 D5 "
         "C5:1.5 A4:.5 A4 C5 D5:3 D5 C5:1.5 A4:.5 A4 F4 G4:1.5 F4:.5 G4 A4 F4:1.5 D4:.5 D4 C4 F4:3",
         "F C F Bb F C Bb F F C F Bb F C Bb F"),
    Tune("Amazing Grace", (3, 4), "G", 90, 1,
         "D4 G4:2 B4:.5 G4:.5 B4:2 A4 G4:2 E4 D4:2 D4 G4:2 B4:.5 G4:.5 B4:2 A4 D5:3 D5:2 B4 D5:2 "
         "B4:.5 G4:.5 B4:2 A4 G4:2 E4 D4:2 D4 G4:2 B4:.5 G4:.5 B4:2 A4 G4:5",
         "G G C G G G D D G G C G G D G G"),
    Tune("Oh! Susanna", (4, 4), "C", 132, 1,
         "C4:.5 D4:.5 E4 G4 G4:1.5 A4:.5 G4 E4 C4:1.5 D4:.5 E4 E4 D4 C4 D4:3 C4:.5 D4:.5 E4 G4 "
         "G4:1.5 A4:.5 G4 E4 C4:1.5 D4:.5 E4 E4 D4 D4 C4:4 F4:2 F4:2 A4 A4:2 A4 G4 G4 E4 C4 D4:3 "
         "C4:.5 D4:.5 E4 G4 G4:1.5 A4:.5 G4 E4 C4:1.5 D4:.5 E4 E4 D4 D4 C4:3",
         "C C C G C C G C F F C G C C G C"),
    Tune("When the Saints Go Marching In", (4, 4), "C", 140, 3,
         "C4 E4 F4 G4:4 r C4 E4 F4 G4:4 r C4 E4 F4 G4:2 E4:2 C4:2 E4:2 D4:4 r E4 E4 D4 C4:3 C4 "
         "E4:2 G4:2 G4 F4:3 r:2 E4 F4 G4:2 E4:2 C4:2 D4:2 C4:4",
         "C C C C C C G G C C F F C G C"),
    Tune("Jingle Bells", (4, 4), "C", 150, 0,
         "E4 E4 E4:2 E4 E4 E4:2 E4 G4 C4:1.5 D4:.5 E4:4 F4 F4 F4:1.5 F4:.5 F4 E4 E4 E4:.5 E4:.5 "
         "E4 D4 D4 E4 D4:2 G4:2 E4 E4 E4:2 E4 E4 E4:2 E4 G4 C4:1.5 D4:.5 E4:4 F4 F4 F4:1.5 F4:.5 "
         "F4 E4 E4 E4:.5 E4:.5 G4 G4 F4 D4 C4:4",
         "C C C C F C D G C C C C F C G C"),
    Tune("Silent Night", (3, 4), "C", 96, 0,
         "G4:1.5 A4:.5 G4 E4:3 G4:1.5 A4:.5 G4 E4:3 D5:2 D5 B4:3 C5:2 C5 G4:3 A4:2 A4 C5:1.5 "
         "B4:.5 A4 G4:1.5 A4:.5 G4 E4:3 A4:2 A4 C5:1.5 B4:.5 A4 G4:1.5 A4:.5 G4 E4:3 D5:2 D5 "
         "F5:1.5 D5:.5 B4 C5:3 E5:3 C5:1.5 G4:.5 E4 G4:1.5 F4:.5 D4 C4:6",
         "C C C C G G C C F F C C F F C C G G C C C G C C"),
    Tune("Londonderry Air", (4, 4), "C", 80, 1.5,
         "B3:.5 C4:.5 D4:.5 E4:1.5 D4:.5 E4:.5 A4:.5 G4:.5 E4:.5 D4:.5 C4:.5 A3:1.5 C4:.5 E4:.5 "
         "F4:.5 G4:1.5 A4:.5 G4:.5 E4:.5 C4:.5 E4:.5 D4:2.5 B3:.5 C4:.5 D4:.5 E4:1.5 D4:.5 E4:.5 "
         "A4:.5 G4:.5 E4:.5 D4:.5 C4:.5 A3:1.5 B3:.5 C4:.5 D4:.5 E4:1.5 F4:.5 E4:.5 D4:.5 C4:.5 "
         "D4:.5 C4:2.5 G4:.5 A4:.5 B4:.5 C5:1.5 B4:.5 B4:.5 A4:.5 G4:.5 A4:.5 G4:.5 E4:.5 C4:1.5 "
         "G4:.5 A4:.5 B4:.5 C5:1.5 B4:.5 B4:.5 A4:.5 G4:.5 E4:.5 D4:2.5 G4:.5 G4:.5 G4:.5 E5:1.5 "
         "D5:.5 D5:.5 C5:.5 A4:.5 C5:.5 G4:.5 E4:.5 C4:1.5 B3:.5 C4:.5 D4:.5 E4:.5 A4:.5 G4:.5 "
         "E4:.5 D4:.5 C4:.5 A3:.5 B3:.5 C4:3",
         "C F C G C F G C F C F G C F G C"),
    Tune("Au clair de la lune", (4, 4), "C", 112, 0,
         "C4 C4 C4 D4 E4:2 D4:2 C4 E4 D4 D4 C4:4 C4 C4 C4 D4 E4:2 D4:2 C4 E4 D4 D4 C4:4 D4 D4 D4 "
         "D4 A3:2 A3:2 D4 C4 B3 A3 G3:4 C4 C4 C4 D4 E4:2 D4:2 C4 E4 D4 D4 C4:4",
         "C C G C C C G C Dm Am Dm G C C G C"),
)  # fmt: skip

N_FILES = len(TUNES) * N_PERFORMANCES + N_DISTRACTORS

_TOKEN = re.compile(r"(r|[A-G][#b]?)(\d?)(?::([\d.]+))?")


def transcribe(tune: Tune) -> Score:
    """Read a tune's text as a score.

    Parameters
    ----------
    tune : Tune

    Returns
    -------
    Score
        One section that ends with the last note.
    """
    notes: list[Note] = []
    at = 0.0
    for name, octave, beats in (m.groups() for m in _TOKEN.finditer(tune.notes)):
        duration = float(beats or 1)
        if name != "r":
            pitch = 12 * (int(octave) + 1) + pitch_class(name)
            notes.append(Note(at, duration, pitch))
        at += duration
    bar = tune.metre[0]
    chords = []
    for i, name in enumerate(tune.chords.split()):
        root = pitch_class(name.rstrip("m"))
        quality = "min" if name.endswith("m") else "maj"
        chords.append(Chord(tune.pickup + i * bar, bar, root, quality, root))
    return Score(
        source=f"demo/{tune.title}", title=tune.title, melody=tuple(notes), chords=tuple(chords),
        n_beats=at, beats_per_bar=bar, beat_unit=tune.metre[1], pickup=tune.pickup,
        tonic=pitch_class(tune.key.rstrip("m")), tempo_bpm=tune.tempo_bpm,
        mode="minor" if tune.key.endswith("m") else "major",
    )  # fmt: skip


def invent(number: int, rng: Generator) -> Score:
    """Make up a melody with chords that nobody else plays.

    Parameters
    ----------
    number : int
        Goes into the title.
    rng : Generator

    Returns
    -------
    Score
        Sixteen bars of 4/4 in C.
    """
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76]
    figure = [float(d) for d in rng.choice([0.5, 1.0, 1.0, 1.5, 2.0], size=12)]
    notes: list[Note] = []
    at, place = 0.0, int(rng.integers(2, 8))
    while at < 63:
        duration = figure[len(notes) % len(figure)]
        place = int(np.clip(place + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, 9))
        notes.append(Note(at, duration, scale[place]))
        at += duration
    roots = [("maj", 0), ("min", 9), ("maj", 5), ("maj", 7), ("min", 2), ("min", 4)]
    picks = [roots[int(i)] for i in rng.integers(len(roots), size=16)]
    chords = tuple(Chord(4.0 * i, 4.0, root, kind, root) for i, (kind, root) in enumerate(picks))
    title = f"Untitled {number}"
    return Score(
        source=f"demo/{title}", title=title, melody=tuple(notes), chords=chords, n_beats=64.0,
        beats_per_bar=4, beat_unit=4, tonic=0, mode="major", tempo_bpm=108.0,
    )  # fmt: skip


def recipes(score: Score, n: int, rng: Generator) -> list[Recipe]:
    """Recipes of one work that differ in key, tempo, timbre, accompaniment and structure.

    Parameters
    ----------
    score : Score
    n : int
        At most four.
    rng : Generator

    Returns
    -------
    list of Recipe
    """
    mild = replace(STANDARD, mode=0.0, metre=0.0, medley=0.0, length_s=LENGTH_S)
    drawn = [draw(score, mild, rng) for _ in range(n)]
    return [
        replace(recipe, transposition=key, band_db=min(recipe.band_db, -3.0))
        for recipe, key in zip(drawn, TRANSPOSITIONS, strict=False)
    ]


def write_demo(folder: Path, seed: int = 0, n_jobs: int = 2) -> Iterator[Path]:
    """Write the demo: one folder per work, FLAC with tags.

    Parameters
    ----------
    folder : Path
        Made where it is absent.
    seed : int
        The same seed gives the same music.
    n_jobs : int
        Processes.

    Yields
    ------
    Path
        Each file as it is finished.
    """
    tunes = [transcribe(tune) for tune in TUNES]
    inventions = [invent(i + 1, np.random.default_rng([seed, i])) for i in range(N_DISTRACTORS)]
    jobs = [(score, N_PERFORMANCES) for score in tunes] + [(score, 1) for score in inventions]
    with processes(n_jobs) as pool:
        work = partial(_write_work, folder, seed)
        for paths in pool.imap(work, list(enumerate(jobs))):
            yield from paths


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", plain))


def _write_work(folder: Path, seed: int, job: tuple[int, tuple[Score, int]]) -> list[Path]:
    index, (score, n) = job
    home = folder / _slug(score.title)
    home.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, recipe in enumerate(recipes(score, n, np.random.default_rng([seed, 1000 + index]))):
        band = BANDS[(index + i) % len(BANDS)]
        path = home / f"{_slug(band)}.flac"
        waveform = render(arrange(score, recipe), BuiltIn())
        write_flac(path, waveform, {"title": score.title, "artist": band, "album": "Demo"})
        paths.append(path)
    return paths
