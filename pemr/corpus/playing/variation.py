"""Variations: how a melody is sung differently, how its chords are replaced.

A treatment takes and gives melody notes; a reharmoniser takes and gives
chords. Both are looked up by name, so that a recipe can name them. Those held
out occur in ``test`` only. Times are in beats.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from numpy.random import Generator

from pemr.corpus.notes.scores import QUALITIES, Chord, Note, Score

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

Treatment = Callable[[Sequence[Note], Score, Generator], list[Note]]
Reharmoniser = Callable[[Sequence[Chord], Score, Generator], list[Chord]]


def scale(score: Score) -> tuple[int, ...]:
    """Pitch classes of the score's key, tonic first."""
    steps = MAJOR_SCALE if score.mode == "major" else MINOR_SCALE
    return tuple((score.tonic + step) % 12 for step in steps)


def step(score: Score, pitch: int, n_steps: int) -> int:
    """Move a pitch along the scale of the key; a pitch outside it moves from the next below."""
    classes = set(scale(score))
    direction = 1 if n_steps > 0 else -1
    for _ in range(abs(n_steps)):
        pitch += direction
        while pitch % 12 not in classes:
            pitch += direction
    return pitch


def ornament(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:
    """Add passing notes, neighbours and turns to some of the longer notes."""
    rate = float(rng.uniform(0.15, 0.5))
    result: list[Note] = []
    for i, note in enumerate(notes):
        if note.duration < 0.75 or rng.random() > rate:
            result.append(note)
            continue
        upper, lower = step(score, note.pitch, 1), step(score, note.pitch, -1)
        following = notes[i + 1].pitch if i + 1 < len(notes) else note.pitch
        towards = step(score, note.pitch, 1 if following > note.pitch else -1)
        figures = ((upper, note.pitch), (note.pitch, lower, note.pitch), (note.pitch, towards),
                   (upper, note.pitch, lower, note.pitch))  # fmt: skip
        result += _split(note, figures[int(rng.integers(len(figures)))])
    return result


def _split(note: Note, pitches: Sequence[int]) -> list[Note]:
    short = min(0.25, note.duration / (len(pitches) + 1))
    long_place = len(pitches) - 1 if pitches[-1] == note.pitch else 0
    long = note.duration - short * (len(pitches) - 1)
    result, at = [], note.start
    for i, pitch in enumerate(pitches):
        duration = long if i == long_place else short
        result.append(Note(at, duration, pitch))
        at += duration
    return result


def simplify(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:  # noqa: ARG001
    """Drop many of the short notes off the beat, holding the note before."""
    rate = float(rng.uniform(0.3, 0.8))
    result: list[Note] = []
    for note in notes:
        off_beat = abs(note.start - round(note.start)) > 0.1
        if result and off_beat and note.duration < 0.8 and rng.random() < rate:
            result[-1] = result[-1]._replace(duration=note.end - result[-1].start)
        else:
            result.append(note)
    return result


def sing_freely(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:  # noqa: ARG001
    """Sing before or behind the beat, as a soloist does."""
    spread = float(rng.uniform(0.08, 0.3))
    lag = float(rng.uniform(-0.05, 0.2))
    result: list[Note] = []
    for note in notes:
        start = max(0.0, note.start + lag + spread * float(rng.normal()) * 0.6)
        if result:
            start = max(start, result[-1].start + 0.06)
            previous = result[-1]
            result[-1] = previous._replace(duration=min(previous.duration, start - previous.start))
        result.append(Note(start, max(0.06, note.end - start), note.pitch))
    return result


def detach(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:  # noqa: ARG001
    """Shorten all notes."""
    share = float(rng.uniform(0.35, 0.7))
    return [note._replace(duration=note.duration * share) for note in notes]


def octaves(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:
    """Move whole bars up or down an octave."""
    span = score.beats_per_bar * int(rng.choice([2, 4]))
    shifts: dict[int, int] = {}
    result = []
    for note in notes:
        place = int(note.start // span)
        shift = shifts.setdefault(place, int(rng.choice([-12, 0, 0, 12])))
        result.append(note._replace(pitch=note.pitch + shift))
    return result


def paraphrase(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:
    """Replace some weak notes by neighbours in the scale."""
    rate = float(rng.uniform(0.1, 0.3))
    return [
        note._replace(pitch=step(score, note.pitch, int(rng.choice([-2, -1, 1, 2]))))
        if note.duration <= 1.0 and rng.random() < rate
        else note
        for note in notes
    ]


def syncopate(notes: Sequence[Note], score: Score, rng: Generator) -> list[Note]:  # noqa: ARG001
    """Anticipate some notes on the beat by a quarter or half of it."""
    rate, ahead = float(rng.uniform(0.2, 0.5)), float(rng.choice([0.25, 0.5]))
    result: list[Note] = []
    for note in notes:
        on_beat = abs(note.start - round(note.start)) < 0.05
        free = not result or note.start - result[-1].start > ahead + 0.1
        if on_beat and free and note.start >= ahead and rng.random() < rate:
            note = note._replace(start=note.start - ahead, duration=note.duration + ahead)  # noqa: PLW2901
            if result and result[-1].end > note.start:
                result[-1] = result[-1]._replace(duration=note.start - result[-1].start)
        result.append(note)
    return result


TREATMENTS: dict[str, Treatment] = {
    "ornament": ornament,
    "simplify": simplify,
    "sing freely": sing_freely,
    "detach": detach,
    "octaves": octaves,
    "paraphrase": paraphrase,
    "syncopate": syncopate,
}


def _is_minor(chord: Chord) -> bool:
    return 3 in QUALITIES[chord.quality]


def _with_root(chord: Chord, root: int, quality: str) -> Chord:
    return chord._replace(root=root % 12, quality=quality, bass=root % 12)


def triads(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Reduce every chord to a triad in root position."""
    return [_with_root(c, c.root, "min" if _is_minor(c) else "maj") for c in chords]


def sevenths(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:
    """Enrich triads with sevenths and ninths."""
    dominant = (score.tonic + 7) % 12
    result = []
    rich: tuple[str, ...]
    for chord in chords:
        if chord.quality == "maj":
            rich = ("7", "9") if chord.root == dominant else ("maj7", "6", "maj9")
        elif chord.quality == "min":
            rich = ("min7", "min9")
        else:
            rich = (chord.quality,)
        result.append(chord._replace(quality=str(rng.choice(rich))))
    return result


def relatives(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Replace some triads by the one that shares two tones."""
    rate = float(rng.uniform(0.2, 0.6))
    result = []
    for chord in chords:
        if rng.random() > rate:
            result.append(chord)
        elif _is_minor(chord):
            result.append(_with_root(chord, chord.root + 3, "maj"))
        else:
            result.append(_with_root(chord, chord.root - 3, "min7"))
    return result


def two_five(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Prepare chords by their own two and five."""
    result: list[Chord] = []
    for i, chord in enumerate(chords):
        following = chords[i + 1].root if i + 1 < len(chords) else chord.root
        if chord.duration < 2 or following == chord.root or rng.random() < 0.4:
            result.append(chord)
            continue
        quarter = chord.duration / 4
        result.append(chord._replace(duration=2 * quarter))
        for k, (shift, quality) in enumerate(((2, "min7"), (7, "7"))):
            prepared = Chord(chord.start + (2 + k) * quarter, quarter, 0, quality, 0)
            result.append(_with_root(prepared, following + shift, quality))
    return result


def sparse(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Hold chords through the next one."""
    result: list[Chord] = []
    for chord in chords:
        if result and rng.random() < 0.45 and result[-1].duration < 8:
            result[-1] = result[-1]._replace(duration=chord.end - result[-1].start)
        else:
            result.append(chord)
    return result


def inversions(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Put other tones of the chord in the bass."""
    return [c._replace(bass=int(rng.choice(c.pitch_classes))) for c in chords]


def suspended(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Blur the thirds: open fifths and suspensions."""
    return [
        c._replace(quality=str(rng.choice(["sus2", "sus4", "5"]))) if rng.random() < 0.6 else c
        for c in chords
    ]


def from_melody(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:
    """Choose new diatonic chords that hold the melody's longest note."""
    degrees = scale(score)
    result = []
    for chord in chords:
        sung = [n for n in score.melody if n.start < chord.end and n.end > chord.start]
        tone = max(sung, key=lambda n: n.duration).pitch % 12 if sung else chord.root
        fitting = [
            _with_root(chord, root, quality)
            for root, quality in _diatonic(degrees)
            if (tone - root) % 12 in QUALITIES[quality]
        ]
        result.append(fitting[int(rng.integers(len(fitting)))] if fitting else chord)
    return result


def _diatonic(degrees: tuple[int, ...]) -> list[tuple[int, str]]:
    rows = []
    for i, root in enumerate(degrees):
        third = (degrees[(i + 2) % 7] - root) % 12
        fifth = (degrees[(i + 4) % 7] - root) % 12
        quality = {(4, 7): "maj", (3, 7): "min"}.get((third, fifth))
        if quality:
            rows.append((root, quality))
    return rows


def pedal(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:  # noqa: ARG001
    """Keep the tonic in the bass."""
    return [c._replace(bass=score.tonic) for c in chords]


def borrowed(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:
    """Borrow chords from the parallel mode: minor four, flat six, flat seven."""
    fourth, fifth = (score.tonic + 5) % 12, (score.tonic + 7) % 12
    result = []
    for chord in chords:
        if rng.random() < 0.4:
            result.append(chord)
        elif chord.root == fourth:
            result.append(_with_root(chord, fourth, "min6"))
        elif chord.root == fifth:
            result.append(_with_root(chord, score.tonic + 10, "maj"))
        elif chord.root == (score.tonic + 9) % 12:
            result.append(_with_root(chord, score.tonic + 8, "maj7"))
        else:
            result.append(chord)
    return result


def tritones(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:
    """Replace dominants by the seventh chord a tritone away."""
    dominant = (score.tonic + 7) % 12
    return [
        _with_root(c, c.root + 6, "7")
        if c.root == dominant or ("7" in c.quality and rng.random() < 0.5)
        else c
        for c in chords
    ]


def planing(chords: Sequence[Chord], score: Score, rng: Generator) -> list[Chord]:
    """Move one kind of chord in parallel under the melody."""
    quality = str(rng.choice(["maj7", "sus4", "min7"]))
    result = []
    for chord in chords:
        sung = [n for n in score.melody if n.start < chord.end and n.end > chord.start]
        top = sung[0].pitch if sung else chord.root
        result.append(_with_root(chord, top + int(rng.choice([5, 8])), quality))
    return result


REHARMONISERS: dict[str, Reharmoniser] = {
    "triads": triads,
    "sevenths": sevenths,
    "relatives": relatives,
    "two five": two_five,
    "sparse": sparse,
    "inversions": inversions,
    "suspended": suspended,
    "from melody": from_melody,
    "pedal": pedal,
    "borrowed": borrowed,
    "tritones": tritones,
    "planing": planing,
}
HELD_OUT_REHARMONISERS = ("borrowed", "tritones", "planing")


def harmonise_thirds(notes: Sequence[Note], score: Score, n_steps: int) -> list[Note]:
    """Lead a second voice in parallel along the scale: two steps below are a third."""
    return [note._replace(pitch=step(score, note.pitch, n_steps)) for note in notes]


def improvise(chords: Sequence[Chord], score: Score, centre: int, rng: Generator) -> list[Note]:
    """Make up a solo over chords: steps and chord tones in a lively rhythm.

    Parameters
    ----------
    chords : sequence of Chord
    score : Score
    centre : int
        MIDI pitch to stay around.
    rng : Generator

    Returns
    -------
    list of Note
    """
    notes: list[Note] = []
    pitch = centre
    for chord in chords:
        at = chord.start
        while at < chord.end - 0.2:
            duration = float(rng.choice([0.25, 0.5, 0.5, 0.5, 1.0]))
            if rng.random() > 0.15:
                pitch = step(score, pitch, int(rng.choice([-2, -1, -1, 1, 1, 2])))
                pitch += 12 * round((centre - pitch) / 14)
                notes.append(Note(at, min(duration, chord.end - at), pitch))
            at += duration
    return notes


def change_mode(score: Score) -> Score:
    """Turn a score to the parallel mode: thirds, sixths and sevenths of the scale exchanged.

    Parameters
    ----------
    score : Score

    Returns
    -------
    Score
    """
    old, new = (MAJOR_SCALE, MINOR_SCALE) if score.mode == "major" else (MINOR_SCALE, MAJOR_SCALE)
    moved = {a: b - a for a, b in zip(old, new, strict=True)}

    def shift(pitch: int) -> int:
        return moved.get((pitch - score.tonic) % 12, 0)

    def part(notes: tuple[Note, ...]) -> tuple[Note, ...]:
        return tuple(n._replace(pitch=n.pitch + shift(n.pitch)) for n in notes)

    swap = {"maj": "min", "min": "maj", "maj7": "min7", "min7": "maj7", "6": "min6", "min6": "6"}
    chords = tuple(
        _with_root(c, c.root + shift(c.root), swap.get(c.quality, c.quality))
        if (c.root - score.tonic) % 12 != 7
        else c
        for c in score.chords
    )
    return replace(
        score,
        mode="minor" if score.mode == "major" else "major",
        melody=part(score.melody),
        second_melody=part(score.second_melody),
        voices=tuple(part(voice) for voice in score.voices),
        accompaniment=part(score.accompaniment),
        chords=chords,
    )
