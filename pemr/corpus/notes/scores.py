"""One plain form for every score: what is sung, over which chords, in which metre.

Times are in beats of the score, from its first sounding bar on; one beat is
the note value that ``beat_unit`` names (4 a quarter, 8 an eighth), so that 6/8
has six beats a bar. Pitches are MIDI numbers, pitch classes count semitones
from C. A score is kept as one line of JSON.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pemr.errors import CorpusError, ScoreError

QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "minmaj7": (0, 3, 7, 11),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "aug7": (0, 4, 8, 10),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "5": (0, 7),
}
"""Chord qualities and their semitones above the root."""

MIN_MELODY_NOTES = 8
MIN_DURATION = 1 / 24  # beats; shorter is a grace note or a slip of the encoder

Mode = Literal["major", "minor"]


class Note(NamedTuple):
    """One note: start and duration in beats, pitch as a MIDI number."""

    start: float
    duration: float
    pitch: int

    @property
    def end(self) -> float:
        """Where the note stops, in beats."""
        return self.start + self.duration


class Chord(NamedTuple):
    """One chord: start and duration in beats; root and bass are pitch classes."""

    start: float
    duration: float
    root: int
    quality: str
    bass: int

    @property
    def end(self) -> float:
        """Where the chord stops, in beats."""
        return self.start + self.duration

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The chord's tones as pitch classes, root first, without the bass."""
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])


class Section(NamedTuple):
    """One part of the form; parts with the same label carry the same melody."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """One setting of one composition.

    Parameters
    ----------
    source : str
        Archive, book and number, for example ``"pop909/012"``; unique.
    title : str
        As the source gives it; may be empty.
    melody : tuple of Note
        Sorted, one note at a time.
    chords : tuple of Chord
        Sorted, without overlaps; gaps are silence of the harmony.
    n_beats : float
        Length.
    beats_per_bar, beat_unit : int
        The metre as written: 6 and 8 are six-eight.
    pickup : float
        Beats before the first bar line, less than a bar.
    tonic : int
        Pitch class of the key.
    mode : {"major", "minor"}
    tempo_bpm : float
        Beats, as counted here, a minute.
    sections : tuple of Section
        The form, sorted, from the first beat to the last.
    voices : tuple of tuple of Note
        Soprano, alto, tenor and bass of a four-part setting, else empty.
    second_melody, accompaniment : tuple of Note
        What else the source has; the accompaniment may be polyphonic.
    """

    source: str
    title: str
    melody: tuple[Note, ...]
    chords: tuple[Chord, ...]
    n_beats: float
    beats_per_bar: int
    beat_unit: int
    tonic: int
    mode: Mode
    tempo_bpm: float
    pickup: float = 0.0
    sections: tuple[Section, ...] = ()
    voices: tuple[tuple[Note, ...], ...] = ()
    second_melody: tuple[Note, ...] = ()
    accompaniment: tuple[Note, ...] = ()

    @property
    def archive(self) -> str:
        """The archive that the score comes from."""
        return self.source.split("/")[0]

    @property
    def book(self) -> str:
        """The book in its archive: everything before the last part of the source."""
        return self.source.rsplit("/", 1)[0]

    @property
    def is_compound(self) -> bool:
        """Whether three beats are felt as one, as in 6/8."""
        return self.beat_unit == 8 and self.beats_per_bar % 3 == 0


@dataclass(frozen=True)
class Unread:
    """A score that cannot be used, and why."""

    source: str
    reason: str


def pitch_class(name: str) -> int:
    """Read a note name: a letter, then any number of sharps and flats.

    Examples
    --------
    >>> pitch_class("Eb"), pitch_class("F#"), pitch_class("B--")
    (3, 6, 9)

    Raises
    ------
    ValueError
        If it is no note name.
    """
    letter, signs = name[:1].upper(), name[1:]
    if letter not in set("CDEFGAB") or set(signs) - set("#b-"):
        raise ValueError(f"{name!r} is no note name; one is a letter A to G with sharps or flats")
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
    return (natural + signs.count("#") - signs.count("b") - signs.count("-")) % 12


def plain_metre(numerator: int, denominator: int) -> tuple[int, int]:
    """Reduce a time signature to the metres that are told apart here.

    Cut time becomes four-four; six, nine or twelve quarters become bars of
    three; a single beat a bar becomes four.

    Examples
    --------
    >>> plain_metre(2, 2), plain_metre(6, 4), plain_metre(6, 8)
    ((4, 4), (3, 4), (6, 8))
    """
    if (numerator, denominator) == (2, 2):
        return 4, 4
    if denominator == 4 and numerator in {6, 9, 12}:
        return 3, 4
    return (4 if numerator == 1 else numerator), denominator


def monophonic(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Keep one note at a time: the highest of those that start together, each cut at the next.

    Parameters
    ----------
    notes : iterable of Note
        In any order; notes without length are dropped.

    Returns
    -------
    tuple of Note
        Sorted by start, without overlaps.
    """
    kept: list[Note] = []
    for note in sorted((n for n in notes if n.duration > 0), key=lambda n: (n.start, -n.pitch)):
        if kept and note.start - kept[-1].start < MIN_DURATION:
            continue
        if kept and kept[-1].end > note.start:
            kept[-1] = kept[-1]._replace(duration=note.start - kept[-1].start)
        kept.append(note)
    return tuple(note for note in kept if note.duration >= MIN_DURATION)


def clean(score: Score) -> Score:
    """Repair what can be repaired in a score as a reader found it.

    The melody becomes monophonic, notes without length go, chords lose their
    overlaps, and the length covers whatever sounds.

    Raises
    ------
    ScoreError
        If fewer than eight notes of melody remain, all are of one pitch, or
        the metre makes no sense.
    """
    melody = monophonic(score.melody)
    if len(melody) < MIN_MELODY_NOTES:
        raise ScoreError(score.source, f"no melody: {len(melody)} notes")
    if len({note.pitch for note in melody}) < 3:
        raise ScoreError(score.source, "no melody: it stays on one or two pitches")
    if score.beats_per_bar < 1 or score.beat_unit < 1 or not 10 < score.tempo_bpm < 1000:
        raise ScoreError(score.source, "no usable metre or tempo")
    voices = tuple(monophonic(voice) for voice in score.voices)
    ends = [note.end for part in (melody, *voices) for note in part]
    return replace(
        score,
        melody=melody,
        chords=_without_overlaps(score.chords),
        voices=voices if all(voices) else (),
        second_melody=monophonic(score.second_melody),
        accompaniment=tuple(sorted(n for n in score.accompaniment if n.duration >= MIN_DURATION)),
        n_beats=max(score.n_beats, *ends),
    )


def _without_overlaps(chords: Iterable[Chord]) -> tuple[Chord, ...]:
    kept: list[Chord] = []
    for chord in sorted(chord for chord in chords if chord.duration > 0):
        if kept and kept[-1].end > chord.start:
            kept[-1] = kept[-1]._replace(duration=chord.start - kept[-1].start)
            if kept[-1].duration < MIN_DURATION:
                kept.pop()
        kept.append(chord)
    return tuple(kept)


def to_json(score: Score) -> str:
    """Write a score as one line of JSON, times rounded to a thousandth of a beat."""
    return json.dumps(_rounded(asdict(score)), separators=(",", ":"), ensure_ascii=False)


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def from_json(line: str) -> Score:
    """Read what `to_json` wrote.

    Raises
    ------
    CorpusError
        If the line is no score.
    """
    try:
        fields: dict[str, Any] = json.loads(line)
        fields |= {name: _notes(fields[name]) for name in _NOTE_FIELDS}
        fields["chords"] = tuple(Chord(*chord) for chord in fields["chords"])
        fields["sections"] = tuple(Section(*section) for section in fields["sections"])
        fields["voices"] = tuple(_notes(voice) for voice in fields["voices"])
        return Score(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"not a score: {line[:60]!r}") from error


_NOTE_FIELDS = ("melody", "second_melody", "accompaniment")


def _notes(rows: Sequence[Sequence[Any]]) -> tuple[Note, ...]:
    return tuple(Note(*row) for row in rows)


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write scores to a gzipped file of JSON lines; the same scores give the same bytes."""
    text = "".join(to_json(score) + "\n" for score in scores)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_scores(path: Path) -> Iterator[Score]:
    """Read what `write_scores` wrote, in the same order.

    Raises
    ------
    CorpusError
        If the file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield from_json(line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CorpusError("cannot be read as scores; delete it to make it anew", path) from error
