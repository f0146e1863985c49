"""Notation → plain scores: MusicXML lead sheets, and ABC with repeats and several tunes a file.

music21 parses both. Its objects carry few types, so they pass through here as
`Any` and leave as plain scores.
"""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pemr.corpus.melody import find_key, keys_of_signature
from pemr.corpus.scores import Chord, Mode, Note, Score, plain_metre
from pemr.errors import ScoreError

DEFAULT_QUARTER_BPM = 110.0

_QUALITIES = {
    "major": "maj",
    "minor": "min",
    "dominant": "7",
    "dominant-seventh": "7",
    "major-seventh": "maj7",
    "minor-seventh": "min7",
    "minor-major-seventh": "minmaj7",
    "major-minor": "minmaj7",
    "diminished": "dim",
    "diminished-seventh": "dim7",
    "half-diminished": "m7b5",
    "half-diminished-seventh": "m7b5",
    "augmented": "aug",
    "augmented-seventh": "aug7",
    "major-sixth": "6",
    "minor-sixth": "min6",
    "suspended-fourth": "sus4",
    "suspended-fourth-seventh": "7sus4",
    "suspended-second": "sus2",
    "power": "5",
}
# Every chord beyond the ninth is written by its dominant, major or minor ninth.
_NINTHS = {"dominant": "9", "major": "maj9", "minor": "min9", "augmented": "aug7"}


class _Bar(NamedTuple):
    """What sounds in one written bar, in quarters from its bar line."""

    length: float
    notes: list[tuple[float, float, int, bool]]  # start, duration, pitch, tied to the one before
    chords: list[tuple[float, int, str, int]]  # start, root, quality, bass


def lead_sheet(source: str, data: bytes) -> Score:
    """Read a compressed MusicXML lead sheet, its repeats written out.

    Parameters
    ----------
    source : str
        Name of the score.
    data : bytes
        The ``.mxl`` file.
    """
    from music21 import converter

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".xml") and "META-INF" not in n)
        stream: Any = converter.parseData(archive.read(name), format="musicxml")
    title = stream.metadata.bestTitle if stream.metadata else None
    return _score(source, (title or "").strip(), stream.parts[:1])


def tunes(data: bytes) -> Iterator[tuple[str, str]]:
    """Cut an ABC file into its tunes.

    Yields
    ------
    number : str
        What stands after ``X:``.
    text : str
        The tune, without what stands before the first one.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for tune_text in re.split(r"(?m)^(?=X:)", text.replace("\r", "\n"))[1:]:
        number, _, _ = tune_text[2:].partition("\n")
        yield number.strip(), tune_text


def tune(source: str, text: str) -> Score:
    """Read one tune in ABC, its repeats written out.

    Parameters
    ----------
    source : str
        Name of the score.
    text : str
        One tune; with several voices marked ``[V: name]`` at the head of
        their lines the first is the melody, and four are soprano to bass.

    Raises
    ------
    ScoreError
        If it has no notes.
    """
    header, voices = _voices(text)
    parts = [_abc_part(source, header + body) for body in voices]
    title = re.search(r"(?m)^T:(.*)$", text)
    return _score(source, title.group(1).strip() if title else "", parts)


def _voices(text: str) -> tuple[str, list[str]]:
    """Take the lines of each voice apart, each in a tune of its own."""
    lines = [line.partition("%")[0].rstrip() for line in text.splitlines()]
    bodies: dict[str, list[str]] = {}
    for line in lines:
        marked = re.match(r"\[V: *(\w+) *\] *(.*)", line)
        if marked:
            # x is a rest that is not printed; music21 knows z alone.
            bodies.setdefault(marked[1], []).append(re.sub(r"\bx(?=[\d/ |])", "z", marked[2]))
    if not bodies:
        return "", ["\n".join(line for line in lines if line)]
    header = [line for line in lines if re.match(r"[XTMLQK]:", line)]
    return "\n".join(header) + "\n", ["\n".join(body) for body in bodies.values()]


def _abc_part(source: str, text: str) -> Any:  # noqa: ANN401
    from music21 import converter

    stream: Any = converter.parseData(text, format="abc")
    if not stream.parts:
        raise ScoreError(source, "no notes")
    return stream.parts[0]


def _score(source: str, title: str, parts: Sequence[Any]) -> Score:
    """Make a plain score of parts; the first carries melody, chords, metre and key."""
    first = parts[0]
    numerator, denominator = _metre(first)
    scale = denominator / 4  # beats a quarter
    tempo_bpm = _quarter_bpm(first, denominator) * scale
    written = [_bars(part) for part in parts]
    order = _played(first)  # the last thing asked of this part: it empties its bars
    played = [[bars[i] for i in order if i < len(bars)] for bars in written]
    lines = [_line(bars, scale) for bars in played]
    length = sum(bar.length for bar in played[0]) * scale
    chords = _chords(played[0], scale, length)
    tonic, mode = _key(first, lines[0], chords)
    pickup = played[0][0].length * scale
    agree = all(abs(sum(bar.length for bar in bars) * scale - length) < 0.5 for bars in played)
    return Score(
        source=source,
        title=title,
        melody=lines[0],
        chords=chords,
        n_beats=length,
        beats_per_bar=numerator,
        beat_unit=denominator,
        tonic=tonic,
        mode=mode,
        tempo_bpm=tempo_bpm,
        pickup=pickup if pickup < numerator else 0.0,
        voices=tuple(lines) if len(lines) == 4 and agree else (),
    )


def _bars(part: Any) -> list[_Bar]:  # noqa: ANN401
    return [_bar(measure) for measure in part.getElementsByClass("Measure")]


def _bar(measure: Any) -> _Bar:  # noqa: ANN401
    notes: list[tuple[float, float, int, bool]] = []
    chords: list[tuple[float, int, str, int]] = []
    flat = measure.flatten()
    for element in flat.notes:
        start = float(element.offset)
        if "ChordSymbol" in element.classes:
            if element.root() is not None:
                root, bass = (
                    element.root().pitchClass,
                    (element.bass() or element.root()).pitchClass,
                )
                chords.append((start, root, _quality(element.chordKind or "major"), bass))
        elif element.pitches and not element.duration.isGrace:
            pitch = max(int(p.midi) for p in element.pitches)
            is_tied = element.tie is not None and element.tie.type in {"stop", "continue"}
            notes.append((start, float(element.duration.quarterLength), pitch, is_tied))
    return _Bar(float(flat.highestTime), notes, chords)


def _played(part: Any) -> list[int]:  # noqa: ANN401
    """List the written bars in the order in which they are played.

    A part whose repeats contradict each other is played as it is written.
    """
    from music21.exceptions21 import Music21Exception

    measures = list(part.getElementsByClass("Measure"))
    if not part.recurse().getElementsByClass(("RepeatMark", "RepeatBracket")):
        return list(range(len(measures)))
    # Bars are emptied but for their numbers and signs, since expanding copies all.
    for index, measure in enumerate(measures):
        measure.number, measure.numberSuffix = index, None
        measure.removeByClass(("GeneralNote", "Voice", "Clef", "MetronomeMark"))
    try:
        return [m.number for m in part.expandRepeats().getElementsByClass("Measure")]
    except Music21Exception:
        return list(range(len(measures)))


def _line(bars: Sequence[_Bar], scale: float) -> tuple[Note, ...]:
    """Join the notes of bars to one line, in beats, tied notes as one."""
    notes: list[Note] = []
    bar_start = 0.0
    for bar in bars:
        for start, duration, pitch, is_tied in bar.notes:
            begin, length = (bar_start + start) * scale, duration * scale
            if is_tied and notes and notes[-1].pitch == pitch:
                notes[-1] = notes[-1]._replace(duration=begin + length - notes[-1].start)
            else:
                notes.append(Note(begin, length, pitch))
        bar_start += bar.length
    return tuple(notes)


def _chords(bars: Sequence[_Bar], scale: float, end: float) -> tuple[Chord, ...]:
    """Join the chord symbols of bars; each lasts until the next."""
    found: list[Chord] = []
    bar_start = 0.0
    for bar in bars:
        for start, root, quality, bass in bar.chords:
            found.append(Chord((bar_start + start) * scale, 0.0, root, quality, bass))
        bar_start += bar.length
    starts = [*(chord.start for chord in found), end]
    return tuple(
        chord._replace(duration=following - chord.start)
        for chord, following in zip(found, starts[1:], strict=True)
    )


def _metre(part: Any) -> tuple[int, int]:  # noqa: ANN401
    """Find the metre of most bars, in the form that `Score` uses.

    Cut time becomes four-four, and six or nine quarters become bars of three.
    """
    signatures: Counter[tuple[int, int]] = Counter()
    current = 4, 4
    for measure in part.getElementsByClass("Measure"):
        if measure.timeSignature is not None:
            current = measure.timeSignature.numerator, measure.timeSignature.denominator
        signatures[current] += 1
    return plain_metre(
        *(max(signatures, key=lambda key: signatures[key]) if signatures else (4, 4))
    )


def _quality(kind: str) -> str:
    family = kind.partition("-")[0]
    return _QUALITIES.get(kind) or _NINTHS.get(family, "maj")


def _key(
    part: Any,  # noqa: ANN401
    melody: Sequence[Note],
    chords: Sequence[Chord],
) -> tuple[int, Mode]:
    """Find the key: as named, else the key of the signature that fits melody and chords.

    Modes other than major and minor count as the one whose third they share.
    """
    signature = next(iter(part.recurse().getElementsByClass("KeySignature")), None)
    roots = [Note(chord.start, chord.duration, chord.root) for chord in chords]
    notes = [*melody, *roots]
    if signature is None:
        return find_key(notes)
    if "Key" in signature.classes and signature.mode in _MODES:
        named = signature.tonic.pitchClass, _MODES[signature.mode]
        # MusicXML writers say "major" whatever the key is.
        if signature.mode != "major":
            return named
    return find_key(notes, keys_of_signature(signature.sharps))


_MODES: dict[str, Mode] = {
    "major": "major",
    "ionian": "major",
    "lydian": "major",
    "mixolydian": "major",
    "minor": "minor",
    "aeolian": "minor",
    "dorian": "minor",
    "phrygian": "minor",
}


def _quarter_bpm(part: Any, beat_unit: int) -> float:  # noqa: ANN401
    marks = part.recurse().getElementsByClass("MetronomeMark")
    marked = next((mark.getQuarterBPM() for mark in marks if mark.number), None)
    if marked and 20 < marked < 400:
        return float(marked)
    # A dotted quarter in compound time goes at a walking pace.
    return 150.0 if beat_unit == 8 else DEFAULT_QUARTER_BPM
