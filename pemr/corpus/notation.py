"""Notation → plain scores: MusicXML lead sheets, and ABC with repeats and several tunes a file.

music21 parses both. Its objects carry few types, so they pass through here as
`Any` and leave as plain scores.
"""

import io
import zipfile
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pemr.corpus.melody import find_key, keys_of_signature
from pemr.corpus.scores import Chord, Mode, Note, Score, plain_metre

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
    return _score(source, title or "", stream.parts[0])


def _score(source: str, title: str, part: Any, voices: Iterable[Any] = ()) -> Score:  # noqa: ANN401
    """Turn the part that carries the melody into a plain score."""
    numerator, denominator = _metre(part)
    scale = denominator / 4  # beats a quarter
    pickup = _pickup(part, numerator / scale) * scale
    part = _unfolded(part)
    melody = _notes(part, scale)
    tonic, mode = _key(part, melody)
    return Score(
        source=source,
        title=title,
        melody=melody,
        chords=_chords(part, scale),
        n_beats=float(part.highestTime) * scale,
        beats_per_bar=numerator,
        beat_unit=denominator,
        tonic=tonic,
        mode=mode,
        tempo_bpm=_quarter_bpm(part, denominator) * scale,
        pickup=pickup,
        voices=tuple(_notes(_unfolded(voice), scale) for voice in voices),
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


def _pickup(part: Any, bar_quarters: float) -> float:  # noqa: ANN401
    """Measure a first bar that is shorter than the others, in quarters."""
    first = next(iter(part.getElementsByClass("Measure")), None)
    length = float(first.highestTime) if first is not None else 0.0
    return length if 0 < length < bar_quarters else 0.0


def _unfolded(part: Any) -> Any:  # noqa: ANN401
    """Write out the repeats; a part whose repeats contradict each other stays as it is written."""
    from music21.exceptions21 import Music21Exception

    try:
        return part.expandRepeats()
    except Music21Exception:
        return part


def _notes(part: Any, scale: float) -> tuple[Note, ...]:  # noqa: ANN401
    """List the sounding notes in beats, tied ones joined, the highest of each chord."""
    notes: list[Note] = []
    for element in part.flatten().notes:
        if "ChordSymbol" in element.classes or element.duration.isGrace or not element.pitches:
            continue
        pitch = max(int(p.midi) for p in element.pitches)
        start = float(element.offset) * scale
        duration = float(element.duration.quarterLength) * scale
        tie = element.tie.type if element.tie else None
        if tie in {"stop", "continue"} and notes and notes[-1].pitch == pitch:
            notes[-1] = notes[-1]._replace(duration=start + duration - notes[-1].start)
        else:
            notes.append(Note(start, duration, pitch))
    return tuple(notes)


def _chords(part: Any, scale: float) -> tuple[Chord, ...]:  # noqa: ANN401
    """List the chord symbols; each lasts until the next."""
    flat = part.flatten()
    symbols = [s for s in flat.getElementsByClass("ChordSymbol") if s.root() is not None]
    starts = [float(symbol.offset) * scale for symbol in symbols]
    ends = [*starts[1:], float(flat.highestTime) * scale]
    return tuple(
        Chord(
            start,
            end - start,
            symbol.root().pitchClass,
            _quality(symbol.chordKind or "major"),
            (symbol.bass() or symbol.root()).pitchClass,
        )
        for symbol, start, end in zip(symbols, starts, ends, strict=True)
    )


def _quality(kind: str) -> str:
    family = kind.partition("-")[0]
    return _QUALITIES.get(kind) or _NINTHS.get(family, "maj")


def _key(part: Any, melody: Iterable[Note]) -> tuple[int, Mode]:  # noqa: ANN401
    """Find the key: as named, else the key of the signature that fits the melody.

    Modes other than major and minor count as the one whose third they share.
    """
    signature = next(iter(part.recurse().getElementsByClass("KeySignature")), None)
    notes = list(melody)
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
