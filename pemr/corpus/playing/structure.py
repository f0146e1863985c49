"""The form of a performance: which stretches of the score are played, in which order and key.

Times are in beats. A performance is a row of passages; all performances of a
work draw on the same core of sections, so that they share a tune.
"""

from dataclasses import dataclass, replace
from typing import Literal

from numpy.random import Generator

from pemr.corpus.notes.scores import Chord, Note, Score, Section

Kind = Literal["tune", "solo", "intro", "outro", "medley", "vamp"]

PHRASE_BARS = 8
CORE_S = 55.0  # at the score's own tempo, so that every performance has the same core
METRE_WARPS: dict[tuple[int, int], tuple[float, ...]] = {
    (4, 3): (0.0, 1.0, 2.0, 2.5, 3.0),
    (3, 4): (0.0, 2.0, 3.0, 4.0),
    (2, 3): (0.0, 2.0, 3.0),
    (6, 4): (0.0, 1.0, 1.5, 2.0, 3.0, 3.5, 4.0),
}
"""Where the beats of a bar fall when its metre changes."""


@dataclass(frozen=True)
class Passage:
    """A stretch of a performance taken from a stretch of a score.

    Parameters
    ----------
    kind : str
        ``tune`` has the melody; ``solo`` improvises over its chords; ``intro``,
        ``outro`` and ``vamp`` have chords alone; ``medley`` is from another work.
    start : float
        First beat in the performance.
    source_start, source_end : float
        Beats of the score.
    transposition : int
        Semitones from the score.
    """

    kind: Kind
    start: float
    source_start: float
    source_end: float
    transposition: int

    @property
    def end(self) -> float:
        """First beat after the passage, in the performance."""
        return self.start + self.source_end - self.source_start


@dataclass(frozen=True, kw_only=True)
class Form:
    """How the structure of a performance differs from the score's.

    Parameters
    ----------
    n_beats : float
        Length to reach.
    intro_bars, outro_bars : int
        Bars of chords before and after.
    order : {"as written", "from a later section", "reversed", "shuffled"}
    n_cut : int
        Sections of the core left out.
    repeats : bool
        Whether each section may be played twice.
    solo : bool
        Whether one section is improvised over.
    step_up : int
        Semitones that the last third rises.
    medley : bool
        Whether another work takes part of the time.
    """

    n_beats: float
    intro_bars: int = 0
    outro_bars: int = 0
    order: str = "as written"
    n_cut: int = 0
    repeats: bool = False
    solo: bool = False
    step_up: int = 0
    medley: bool = False


def sections_of(score: Score) -> list[Section]:
    """Cut the sections of a score into phrases.

    Parameters
    ----------
    score : Score

    Returns
    -------
    list of Section
        Each with melody in it.
    """
    phrase = float(PHRASE_BARS * score.beats_per_bar)
    whole = score.sections or (Section(0.0, score.n_beats, "A"),)
    pieces = []
    for section in whole:
        start, index = section.start, 0
        while start < section.end - 1e-6:
            end = start + phrase if section.end - start >= 1.5 * phrase else section.end
            pieces.append(Section(start, end, f"{section.label}{index}"))
            start, index = end, index + 1
    return [p for p in pieces if _n_notes(score, p) >= 4] or [Section(0.0, score.n_beats, "A0")]


def _n_notes(score: Score, section: Section) -> int:
    return sum(section.start <= note.start < section.end for note in score.melody)


def core(score: Score, n_beats: float) -> list[Section]:
    """Keep the first occurrence of each section, up to a length: what every cover plays.

    Parameters
    ----------
    score : Score
    n_beats : float
        No section begins after this many beats.

    Returns
    -------
    list of Section
        At least one.
    """
    seen: set[str] = set()
    kept: list[Section] = []
    total = 0.0
    for section in sections_of(score):
        if section.label in seen or total >= n_beats:
            continue
        seen.add(section.label)
        kept.append(section)
        total += section.end - section.start
    return kept


def plan(score: Score, form: Form, other: Score | None, rng: Generator) -> list[Passage]:
    """Lay out the passages of a performance.

    Parameters
    ----------
    score : Score
    form : Form
    other : Score or None
        The other work of a medley.
    rng : Generator

    Returns
    -------
    list of Passage
        In order, without gaps.
    """
    sections = _ordered(core(score, CORE_S * score.tempo_bpm / 60), form, rng)
    bar = float(score.beats_per_bar)
    rows: list[tuple[Kind, float, float]] = []
    if form.intro_bars:
        rows.append(("intro", sections[0].start, sections[0].start + form.intro_bars * bar))
    rows += _body(sections, form, rng)
    if form.medley and other is not None:
        first = core(other, bar)[0]
        place = int(rng.integers(1, len(rows) + 1))
        rows.insert(place, ("medley", first.start, first.end))
    if form.outro_bars:
        last = sections[-1]
        rows.append(("outro", max(last.start, last.end - form.outro_bars * bar), last.end))
    return _placed(rows, form)


def _ordered(sections: list[Section], form: Form, rng: Generator) -> list[Section]:
    n_cut = min(form.n_cut, len(sections) - 1)
    dropped = set(rng.choice(len(sections), size=n_cut, replace=False).tolist())
    kept = [section for i, section in enumerate(sections) if i not in dropped]
    if form.order == "reversed":
        return kept[::-1]
    if form.order == "from a later section":
        first = int(rng.integers(len(kept)))
        return kept[first:] + kept[:first]
    if form.order == "shuffled":
        return [kept[i] for i in rng.permutation(len(kept))]
    return kept


def _body(sections: list[Section], form: Form, rng: Generator) -> list[tuple[Kind, float, float]]:
    rows: list[tuple[Kind, float, float]] = []
    total = 0.0
    while total < form.n_beats:
        for section in sections:
            for _ in range(2 if form.repeats and rng.random() < 0.5 else 1):
                rows.append(("tune", section.start, section.end))
                total += section.end - section.start
            if total >= form.n_beats:
                break
    if form.solo and len(rows) > 1:
        place = int(rng.integers(1, len(rows)))
        rows[place] = ("solo", *rows[place][1:])
    return rows


def _placed(rows: list[tuple[Kind, float, float]], form: Form) -> list[Passage]:
    passages: list[Passage] = []
    at = 0.0
    for i, (kind, start, end) in enumerate(rows):
        transposition = form.step_up if 3 * i >= 2 * len(rows) else 0
        passages.append(Passage(kind, at, start, end, transposition))
        at = passages[-1].end
    return passages


def change_metre(score: Score, beats_per_bar: int) -> Score:
    """Play a score in another metre: each bar is stretched beat by beat.

    Parameters
    ----------
    score : Score
    beats_per_bar : int
        A change that `METRE_WARPS` knows, else the score is returned as it is.

    Returns
    -------
    Score
    """
    old = score.beats_per_bar
    points = METRE_WARPS.get((old, beats_per_bar))
    if points is None:
        return score

    def warp(beat: float) -> float:
        bar, place = divmod(beat - score.pickup, old)
        index = min(int(place), old - 1)
        within = points[index] + (place - index) * (points[index + 1] - points[index])
        return float(bar * beats_per_bar + within)

    origin = warp(0.0)

    def moved(start: float, duration: float) -> tuple[float, float]:
        first = warp(start) - origin
        return first, warp(start + duration) - origin - first

    def notes(part: tuple[Note, ...]) -> tuple[Note, ...]:
        return tuple(Note(*moved(n.start, n.duration), n.pitch) for n in part)

    return replace(
        score,
        beats_per_bar=beats_per_bar,
        pickup=-origin,
        beat_unit=4,
        melody=notes(score.melody),
        second_melody=notes(score.second_melody),
        accompaniment=notes(score.accompaniment),
        voices=tuple(notes(voice) for voice in score.voices),
        chords=tuple(
            Chord(*moved(c.start, c.duration), c.root, c.quality, c.bass) for c in score.chords
        ),
        sections=tuple(
            Section(warp(s.start) - origin, warp(s.end) - origin, s.label) for s in score.sections
        ),
        n_beats=warp(score.n_beats) - origin,
    )
