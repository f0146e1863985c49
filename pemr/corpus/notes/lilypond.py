"""LilyPond lead sheets → plain scores: melodies in relative pitches, and chords by their symbols.

No engraver's whole language: what lead sheets are written in, with English note names. What is
only seen, and not played, is passed over.

Letters of a note: ``ef'4.~`` is an E flat, an octave higher than the nearest one, of a dotted
quarter, tied to what follows.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from pemr.corpus.notes.notation import Bar, Staff, score_of
from pemr.corpus.notes.scores import Mode, Score, plain_metre
from pemr.corpus.notes.symbols import quality_of
from pemr.errors import ScoreError

_STEPS: Final = "cdefgab"
_SEMITONES: Final = (0, 2, 4, 5, 7, 9, 11)
_QUARTERS: Final = 4  # in a whole note
_COUNTED: Final = {"tempoFour": 1.0, "tempoTwo": 2.0}  # quarters in what a tempo counts

_UNHEARD: Final = re.compile(
    r"%\{.*?%\}|%[^\n]*|\"(?:\\.|[^\"\\])*\"|#\((?:[^()]|\([^()]*\))*\)|#\S+"
    r"|\\(?:override|set|tweak)\s+[\w.]+(?:\s*=\s*\S+)?|\\(?:unset|revert|clef|ottava)\s+\S+",
    re.DOTALL,
)
_WORD: Final = re.compile(
    r"\\[A-Za-z]+|\\\\|<<|>>|[{}<>]"
    r"|(?<![A-Za-z])[a-grsR][sfx]*[',]*[!?]*\d*\.*(?:\*\d+(?:/\d+)?)*"
    r"(?::[\w.+-]*)?(?:/\+?[a-g][sfx]*)?(?![A-Za-z])|~|\d+/\d+|[\d,]+\.*"
)
_NOTE: Final = re.compile(
    r"(?P<letter>[a-grsR])(?P<signs>[sfx]*)(?P<octave>[',]*)[!?]*(?P<value>\d*)(?P<dots>\.*)"
    r"(?P<times>(?:\*\d+(?:/\d+)?)*)(?::(?P<quality>[\w.+-]*))?(?:/\+?(?P<bass>[a-g][sfx]*))?"
)
_GRACE: Final = {"\\grace", "\\acciaccatura", "\\appoggiatura", "\\slashedGrace"}


_Span = tuple[Fraction, Fraction]
"""From where to where, in quarters as written: each repeat once, its endings in a row."""


class _Event(NamedTuple):
    """What sounds, or rests, for a time."""

    start: Fraction  # in quarters, as written
    quarters: Fraction
    pitch: int | None  # MIDI number of a note
    chord: tuple[int, str, int] | None  # root, quality, bass
    is_tied: bool  # to the one before


@dataclass
class _Group:
    """What stands between braces: what is played, and the endings of what is repeated."""

    spans: list[_Span] = field(default_factory=list)
    endings: list[list[_Span]] = field(default_factory=list)

    def play(self, spans: Sequence[_Span]) -> None:
        """Add what is played next, joined to what it goes on from."""
        for start, end in spans:
            if self.spans and self.spans[-1][1] == start:
                self.spans[-1] = self.spans[-1][0], end
            elif end > start:
                self.spans.append((start, end))


def jazz_sheet(source: str, data: bytes) -> Score:
    """Read the refrain of a lead sheet, its repeats written out.

    Parameters
    ----------
    source : str
        Name of the score.
    data : bytes
        The ``.ly`` file: its variables ``refrainMelody`` and ``refrainChords``.

    Returns
    -------
    Score

    Raises
    ------
    ScoreError
        If it has no melody, or is not written as lead sheets are.
    """
    text = re.sub(r"%\{.*?%\}|%[^\n]*", "", data.decode("utf-8"), flags=re.DOTALL)
    melody = _block(text, "refrainMelody")
    if melody is None:
        raise ScoreError(source, "no melody: it names chords alone")
    chords = _block(text, "refrainChords") or _block(text, r"refrain\w*Chords") or ""
    start = re.match(r"\s*([a-g][',]*)", melody)
    played = _Reading(melody, start[1] if start else "c")
    harmony = _Reading(chords)
    title = re.search(r'headerTitle\s*=\s*"((?:\\.|[^"\\])*)"', text)
    return score_of(
        source, title[1].strip() if title else "", [_part(text, melody, played, harmony)]
    )


def _block(text: str, name: str) -> str | None:
    """Take what a variable holds: from what stands before its first brace to the last."""
    found = re.search(rf"^{name}\s*=\s*\\(?:relative|chordmode)\b", text, re.MULTILINE)
    if found is None:
        alias = re.search(rf"^{name}\s*=\s*\\(\w+)", text, re.MULTILINE)
        return _block(text, alias[1]) if alias and alias[1] not in name else None
    depth = 0
    for place in re.finditer(r'"(?:\\.|[^"\\])*"|[{}]', text[found.end() :]):
        depth += {"{": 1, "}": -1}.get(place[0], 0)
        if place[0] == "}" and depth == 0:
            return text[found.end() : found.end() + place.end()]
    return None


def _part(text: str, melody: str, played: "_Reading", harmony: "_Reading") -> Staff:
    """Lay melody and chords side by side; what is before the first bar line is a bar of its own."""
    upbeat = re.search(r"\\partial\s+(\d+\.*(?:\*\d+(?:/\d+)?)*)", melody)
    metre = re.search(r"\\time\s+(?:\\\w+\s+)?(\d+)/(\d+)", melody)
    if not played.spans:
        return Staff([Bar(0.0, [], [])], [0], (4, 4), [], None)
    spans = played.spans
    if upbeat:
        first = _Reading(f"{{ s{upbeat[1]} }}").events[0].quarters
        if spans[0][0] < first < spans[0][1]:
            spans = [(spans[0][0], first), (first, spans[0][1]), *spans[1:]]
    bars = [_bar(span, played.events, harmony.events) for span in spans]
    counted = (int(metre[1]), int(metre[2])) if metre else (4, 4)
    return Staff(
        bars, list(range(len(bars))), plain_metre(*counted), _keys(text, melody), _bpm(text)
    )


def _bar(span: _Span, played: Sequence[_Event], harmony: Sequence[_Event]) -> Bar:
    """Take what starts in a span; a chord that goes on from before starts with it."""
    start, end = span
    notes = [
        (float(note.start - start), float(note.quarters), note.pitch, note.is_tied)
        for note in played
        if start <= note.start < end and note.pitch is not None
    ]
    chords = [
        (float(max(chord.start, start) - start), *chord.chord)
        for chord in harmony
        if chord.start < end and chord.start + chord.quarters > start and chord.chord is not None
    ]
    return Bar(float(end - start), notes, chords)


def _keys(text: str, melody: str) -> list[tuple[int, Mode]]:
    """Read the key of the melody, by name or by the variable that holds it."""
    found = re.search(r"\\key\s+\\?(\w+)\s+\\(major|minor)", melody)
    if found is None:
        return []
    named = re.search(rf"^{found[1]}\s*=\s*([a-g]\w*)", text, re.MULTILINE)
    name = named[1] if named else found[1]
    if not re.fullmatch(r"[a-g][sfx]*", name):
        return []
    return [(_pitch_class(name), "minor" if found[2] == "minor" else "major")]


def _bpm(text: str) -> float | None:
    """Read the tempo, in quarters a minute."""
    for name, quarters in _COUNTED.items():
        if found := re.search(rf'\\{name}\s+(?:"[^"]*"\s*)?(\d+)', text):
            return float(found[1]) * quarters
    return None


def _pitch_class(name: str) -> int:
    return (_SEMITONES[_STEPS.index(name[0])] + _sharps(name[1:])) % 12


def _quarters(value: str, dots: str) -> Fraction:
    """Say how long a note value lasts: 4 is a quarter, and each dot adds half of what was there."""
    return Fraction(_QUARTERS, int(value)) * (2 - Fraction(1, 2 ** len(dots)))


def _step(name: str) -> int:
    """Count degrees of the scale from the c below middle c."""
    return _STEPS.index(name[0]) + 7 * (name.count("'") - name.count(","))


def _sharps(signs: str) -> int:
    return signs.count("s") + 2 * signs.count("x") - signs.count("f")


class _Reading:
    """One pass over a block; pitches and lengths are told from those before.

    Attributes
    ----------
    events : list of _Event
        As written.
    spans : list of _Span
        As played.
    """

    def __init__(self, text: str, start: str = "c") -> None:
        self._words = _WORD.findall(_UNHEARD.sub(" ", text[text.index("{") :] if text else ""))
        self._at = 0
        self._step = _step(start)
        self._quarters = Fraction(1)
        self._scale = Fraction(1)
        self._now = Fraction(0)
        self._is_tied = False
        self.events: list[_Event] = []
        self.spans = self._group().spans

    def _next(self) -> str:
        word = self._words[self._at] if self._at < len(self._words) else "}"
        self._at += 1
        return word

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else "}"

    def _group(self) -> _Group:
        """Read what stands between braces."""
        group = _Group()
        self._at += self._peek() == "{"
        while (word := self._next()) not in {"}", ">>"}:
            self._take(word, group)
        return group

    def _take(self, word: str, group: _Group) -> None:
        """Read one thing, and what belongs to it."""
        special: dict[str, Callable[[_Group], None]] = {
            "{": self._nested,
            "<<": self._voices,
            "<": self._stack,
            "\\tuplet": self._tuplet,
            "\\repeat": self._repeat,
            "\\alternative": self._alternative,
            "\\relative": self._relative,
            "\\chordSlash": self._slashes,
            "\\rsq": lambda inner: self._sound(self._event("s4"), inner),
            "\\rest": self._rested,
            **dict.fromkeys(("\\markup", "\\lyricmode"), self._text),
            **dict.fromkeys(_GRACE, self._grace),
            **dict.fromkeys(("\\partial", "\\time"), lambda _: self._skip(1)),
            "\\key": lambda _: self._skip(2),
        }
        if word in special:
            special[word](group)
        elif word == "~":
            self._is_tied = True
        elif word[0] in f"{_STEPS}rsR":
            self._sound(self._event(word), group)

    def _skip(self, n_words: int) -> None:
        self._at += n_words

    def _sound(self, event: _Event, group: _Group) -> None:
        self.events.append(event)
        self._now = event.start + event.quarters
        group.play([(event.start, self._now)])

    def _rested(self, group: _Group) -> None:  # noqa: ARG002 (its time is counted already)
        """Take the note before for a rest, which was only drawn at that height."""
        if self.events:
            self.events[-1] = self.events[-1]._replace(pitch=None, chord=None)

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Read what takes no time of its own, and is not part of the melody."""
        n_events, now, quarters = len(self.events), self._now, self._quarters
        yield
        del self.events[n_events:]
        self._now, self._quarters = now, quarters

    def _nested(self, group: _Group) -> None:
        self._at -= 1
        inner = self._group()
        group.play(inner.spans)
        group.endings += inner.endings

    def _voices(self, group: _Group) -> None:
        """Of voices side by side the first that has notes is the melody."""
        is_heard = False
        while self._peek() not in {">>", "}"}:
            word, inner = self._next(), _Group()
            if is_heard:
                with self._unheard():
                    self._take(word, inner)
            else:
                self._take(word, inner)
                group.play(inner.spans)
                is_heard = bool(inner.spans)
        self._skip(1)

    def _stack(self, group: _Group) -> None:
        """Read notes that sound together: the highest is kept, the first refers the next."""
        notes, steps = [], []
        while (word := self._next()) not in {">", "}"}:
            if word[0] in _STEPS:
                notes.append(self._event(word))
                steps.append(self._step)
        if not notes:
            return
        self._step = steps[0]
        if written := re.fullmatch(r"(\d+)(\.*)", self._peek()):
            self._skip(1)
            self._quarters = _quarters(*written.groups())
        pitch = max(note.pitch for note in notes if note.pitch is not None)
        length = self._quarters * self._scale
        self._sound(notes[0]._replace(quarters=length, pitch=pitch), group)

    def _tuplet(self, group: _Group) -> None:
        outer, self._scale = self._scale, self._scale / Fraction(self._next())
        if re.fullmatch(r"\d+", self._peek()):
            self._skip(1)  # how beams are grouped
        group.play(self._group().spans)
        self._scale = outer

    def _repeat(self, group: _Group) -> None:
        while not (word := self._next()).isdigit():
            if word == "}":
                return
        body = self._group()
        if self._peek() == "\\alternative":
            self._next()
            self._alternative(body)
        endings = body.endings
        for turn in range(int(word)):
            group.play(body.spans)
            if endings:
                group.play(endings[max(0, turn - int(word) + len(endings))])

    def _alternative(self, group: _Group) -> None:
        self._next()  # its brace
        n_turns = 1
        while (word := self._next()) != "}":
            if word[0].isdigit():
                n_turns = len(re.findall(r"\d+", word))
            elif word == "{":
                self._at -= 1
                group.endings += [self._group().spans] * n_turns
                n_turns = 1

    def _relative(self, group: _Group) -> None:
        """Read what has a reference of its own."""
        outer = self._step
        self._step = _step(self._next() if self._peek() != "{" else "c")
        group.play(self._group().spans)
        self._step = outer

    def _slashes(self, group: _Group) -> None:
        """So many quarters more of the chord before."""
        length = Fraction(int(re.sub(r"\D", "", self._next()) or 1))
        self._sound(_Event(self._now, length, None, None, is_tied=False), group)

    def _grace(self, group: _Group) -> None:  # noqa: ARG002 (it takes no time)
        with self._unheard():
            self._take(self._next(), _Group())

    def _text(self, group: _Group) -> None:  # noqa: ARG002 (it is not played)
        while self._peek().startswith("\\"):
            self._skip(1)
        if self._peek() == "{":
            depth = 0
            for at in range(self._at, len(self._words)):
                depth += {"{": 1, "}": -1}.get(self._words[at], 0)
                if depth == 0:
                    self._at = at + 1
                    return

    def _event(self, word: str) -> _Event:
        found = _NOTE.fullmatch(word)
        assert found is not None  # for mypy: words of notes are written so
        if found["value"]:
            self._quarters = _quarters(found["value"], found["dots"])
            for factor in found["times"].split("*")[1:]:
                self._quarters *= Fraction(factor)
        length, is_tied = self._quarters * self._scale, self._is_tied
        self._is_tied = False
        if found["letter"] in "rsR":
            return _Event(self._now, length, None, None, is_tied=False)
        root = _pitch_class(found["letter"] + found["signs"])
        bass = _pitch_class(found["bass"]) if found["bass"] else root
        chord = (root, quality_of(found["quality"] or ""), bass)
        return _Event(self._now, length, self._pitch(found), chord, is_tied)

    def _pitch(self, found: re.Match[str]) -> int:
        """Take the nearest note of this name, then the octaves that are written."""
        step = _STEPS.index(found["letter"])
        nearest = self._step + (step - self._step + 3) % 7 - 3
        octaves = found["octave"].count("'") - found["octave"].count(",")
        self._step = nearest + 7 * octaves
        octave, degree = divmod(self._step, 7)
        return 48 + 12 * octave + _SEMITONES[degree] + _sharps(found["signs"])
