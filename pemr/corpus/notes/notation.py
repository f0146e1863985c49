"""Notation → plain scores: MusicXML lead sheets, and ABC with repeats and several tunes a file.

music21 parses both. Its objects carry few types, so they pass through here as
`Any` and leave as plain scores.
"""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pemr.corpus.notes.melody import find_key, keys_of_signature
from pemr.corpus.notes.scores import Chord, Mode, Note, Score, plain_metre
from pemr.errors import ScoreError

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


class Bar(NamedTuple):
    """What sounds in one written bar, in quarters from its bar line."""

    length: float
    notes: list[tuple[float, float, int, bool]]  # start, duration, pitch, tied to the one before
    chords: list[tuple[float, int, str, int]]  # start, root, quality, bass


class Staff(NamedTuple):
    """What a parser found: the first part also carries what holds for all."""

    bars: list[Bar]
    order: list[int]  # the bars as they are played
    metre: tuple[int, int]
    keys: list[tuple[int, Mode]]  # those that the signature leaves open
    quarter_bpm: float | None


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
    return score_of(source, (title or "").strip(), [_musicxml_part(stream.parts[0])])


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
    title = re.search(r"(?m)^T:(.*)$", text)
    parts = [_abc_part(voice) for voice in _voices(text)]
    if not parts[0].bars:
        raise ScoreError(source, "no melody: no notes")
    return score_of(source, title.group(1).strip() if title else "", parts)


def score_of(source: str, title: str, parts: Sequence[Staff]) -> Score:
    """Make a plain score of parts; the first carries the melody and the chords."""
    first = parts[0]
    beats_per_bar, beat_unit = first.metre
    scale = beat_unit / 4  # beats a quarter
    played = [[part.bars[i] for i in first.order if i < len(part.bars)] for part in parts]
    lengths = [sum(bar.length for bar in bars) * scale for bars in played]
    lines = [_line(bars, scale) for bars in played]
    chords = _chords(played[0], scale, lengths[0])
    roots = [Note(chord.start, chord.duration, chord.root) for chord in chords]
    tonic, mode = find_key([*lines[0], *roots], first.keys)
    pickup = played[0][0].length * scale
    is_four_part = len(parts) == 4 and max(lengths) - min(lengths) < 0.5
    # A dotted quarter in compound time goes at a walking pace.
    usual_bpm = 150.0 if beat_unit == 8 else 110.0
    return Score(
        source=source,
        title=title,
        melody=lines[0],
        chords=chords,
        n_beats=lengths[0],
        beats_per_bar=beats_per_bar,
        beat_unit=beat_unit,
        tonic=tonic,
        mode=mode,
        tempo_bpm=(first.quarter_bpm or usual_bpm) * scale,
        pickup=pickup if pickup < beats_per_bar else 0.0,
        voices=tuple(lines) if is_four_part else (),
    )


def _line(bars: Sequence[Bar], scale: float) -> tuple[Note, ...]:
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


def _chords(bars: Sequence[Bar], scale: float, end: float) -> tuple[Chord, ...]:
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


def _musicxml_part(part: Any) -> Staff:  # noqa: ANN401
    metre = _metre(part)
    marks = part.recurse().getElementsByClass("MetronomeMark")
    bpm = next((mark.getQuarterBPM() for mark in marks if mark.number), None)
    signature = next(iter(part.recurse().getElementsByClass("KeySignature")), None)
    # Writers of MusicXML say "major" whatever the mode is.
    keys = list(keys_of_signature(signature.sharps)) if signature is not None else []
    bars = [_bar(measure) for measure in part.getElementsByClass("Measure")]
    # The order is the last thing asked of the part, for that empties its bars.
    return Staff(bars, _played(part), metre, keys, float(bpm) if bpm else None)


def _bar(measure: Any) -> Bar:  # noqa: ANN401
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
    return Bar(float(flat.highestTime), notes, chords)


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


def _voices(text: str) -> list[str]:
    """Take the lines of each voice apart, each in a tune of its own."""
    lines = [line.partition("%")[0].rstrip() for line in text.splitlines()]
    bodies: dict[str, list[str]] = {}
    for line in lines:
        marked = re.match(r"\[V: *(\w+) *\] *(.*)", line)
        if marked:
            # x is a rest that is not printed; music21 knows z alone.
            bodies.setdefault(marked[1], []).append(re.sub(r"(?<![a-z])x(?![a-z])", "z", marked[2]))
    if not bodies:
        return ["\n".join(line for line in lines if line)]
    header = [line for line in lines if re.match(r"[XTMLQK]:", line)]
    return ["\n".join([*header, *body]) for body in bodies.values()]


def _abc_part(text: str) -> Staff:
    """Read the tokens of a tune; music21's streams would take ten times as long."""
    from music21.abcFormat import ABCFile

    # Version 2.1 lets accidentals hold for the bar, as all these books mean them.
    tokens: Any = ABCFile(abcVersion=(2, 1, 0)).readstr(text).tokens
    metre, keys, bpm = (4, 4), list[tuple[int, Mode]](), None
    for token in tokens:
        if token.src[:2] == "M:" and token.getTimeSignatureParameters():
            metre = token.getTimeSignatureParameters()[:2]
            break
    for token in tokens:
        if token.src[:2] == "K:" and not keys:
            keys = _abc_keys(token)
        elif token.src[:2] == "Q:" and bpm is None:
            mark = token.getMetronomeMarkObject()
            bpm = mark.getQuarterBPM() if mark is not None else None
    bars, signs = _abc_bars(tokens)
    return Staff(bars, _abc_order(signs), plain_metre(*metre), keys, bpm)


def _abc_keys(token: Any) -> list[tuple[int, Mode]]:  # noqa: ANN401
    """Name the key; modes other than major and minor count as the one whose third they share."""
    key = token.getKeySignatureObject()
    if "Key" in key.classes and key.mode in _MODES:
        return [(key.tonic.pitchClass, _MODES[key.mode])]
    return list(keys_of_signature(key.sharps))


class _Signs(NamedTuple):
    """What the bar lines around a bar say of repeats."""

    starts: bool  # a repeat starts with it
    ends: bool  # go back after it
    ending: int  # 1 or 2 where a first or second ending starts, else 0


def _abc_bars(tokens: Iterable[Any]) -> tuple[list[Bar], list[_Signs]]:
    """Gather the notes between bar lines; what holds no time is no bar."""
    bars, signs = [], []
    notes: list[tuple[float, float, int, bool]] = []
    length, starts, ending, is_tied = 0.0, False, 0, False
    for token in tokens:
        if hasattr(token, "repeatForm"):  # a bar line
            if length > 0:
                bars.append(Bar(length, notes, []))
                signs.append(_Signs(starts, token.repeatForm in _ENDS, ending))
                notes, length, starts, ending = [], 0.0, False, 0
            elif signs and token.repeatForm in _ENDS:
                signs[-1] = signs[-1]._replace(ends=True)
            starts = starts or token.repeatForm in _STARTS
            ending = token.isRepeatBracket() or ending
        elif hasattr(token, "quarterLength") and not token.inGrace:
            pitch = _abc_pitch(token)
            if pitch is not None:
                notes.append((length, token.quarterLength, pitch, is_tied))
            length += token.quarterLength
            is_tied = token.tie in {"start", "continue"}
    if length > 0:
        bars.append(Bar(length, notes, []))
        signs.append(_Signs(starts, ends=False, ending=ending))
    return bars, signs


_ENDS = {"end", "bidirectional"}
_STARTS = {"start", "bidirectional"}


def _abc_pitch(token: Any) -> int | None:  # noqa: ANN401
    """Read a token's pitch, the highest of a chord; a rest has none."""
    from music21.pitch import Pitch

    names = [note.pitchName for note in getattr(token, "subTokens", [token]) if not note.isRest]
    return max((int(Pitch(name).midi) for name in names if name), default=None)


def _abc_order(signs: Sequence[_Signs]) -> list[int]:
    """List the bars as they are played: twice what is repeated, each time with its ending."""
    order: list[int] = []
    start = 0
    for index, sign in enumerate(signs):
        if sign.starts:
            start = index
        order.append(index)
        if sign.ends:
            endings = (i for i in range(start, index + 1) if signs[i].ending == 1)
            order += range(start, next(endings, index + 1))
            start = index + 1
    return order
