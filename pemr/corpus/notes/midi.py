"""MIDI files → plain scores: the songs of POP909, and hymns played from four parts.

Letters: **N** notes.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pemr.corpus.notes.melody import find_key, skyline, split_voices
from pemr.corpus.notes.scores import Chord, Mode, Note, Score, pitch_class, plain_metre
from pemr.errors import ScoreError

if TYPE_CHECKING:
    from mido import Message, MidiFile

GRID = 24  # steps a beat that POP909's onsets are rounded to
HYMN_GRID = 4  # likewise for hymns, which are played with more freedom and written with less

_POP909_QUALITIES = {"sus4(b7)": "7sus4", "maj6": "6", "hdim7": "m7b5"}
_DEGREES = {"2": 2, "b3": 3, "3": 4, "4": 5, "b5": 6, "5": 7, "#5": 8, "6": 9, "b7": 10, "7": 11}


def pop909_song(source: str, files: Mapping[str, bytes]) -> Score:
    """Read one song of POP909: MIDI, and text files with times in seconds.

    Parameters
    ----------
    source : str
        Name of the score.
    files : mapping of str to bytes
        The song's folder: one file ends in ``.mid``, the others are
        ``beat_midi.txt``, ``chord_midi.txt`` and ``key_audio.txt``.

    Returns
    -------
    Score
        Beat 0 is the downbeat before the first note of any track.
    """
    midi = next(data for name, data in files.items() if name.endswith(".mid"))
    beats = np.loadtxt(io.BytesIO(files["beat_midi.txt"]), ndmin=2)
    beat_s, downbeats = beats[:, 0], np.flatnonzero(beats[:, 2])
    tracks = {name: _in_beats(notes, beat_s) for name, notes in _tracks_s(midi).items()}
    # The third column marks every fourth beat, or every second bar of a waltz.
    gap = Counter(np.diff(downbeats).tolist()).most_common(1)[0][0]
    beats_per_bar = 3 if gap == 6 else int(gap)
    first = min(note.start for notes in tracks.values() for note in notes)
    bars_before = np.floor((first - downbeats[0]) / beats_per_bar)
    origin = float(downbeats[0] + beats_per_bar * bars_before)
    tonic, mode = _longest_key(files["key_audio.txt"].decode())
    return Score(
        source=source,
        title="",
        melody=_shifted(tracks.get("MELODY", []), -origin),
        second_melody=_shifted(tracks.get("BRIDGE", []), -origin),
        accompaniment=_shifted(tracks.get("PIANO", []), -origin),
        chords=_pop909_chords(files["chord_midi.txt"].decode(), beat_s, origin),
        n_beats=0.0,
        beats_per_bar=beats_per_bar,
        beat_unit=4,
        tonic=tonic,
        mode=mode,
        tempo_bpm=round(60 / float(np.median(np.diff(beat_s))), 2),
    )


def hymn(source: str, data: bytes) -> Score:
    """Read a hymn: four voices on two channels, or played on a piano.

    Parameters
    ----------
    source : str
        Name of the score.
    data : bytes
        The MIDI file. With notes on the first two channels, these are soprano
        and alto, tenor and bass, doubled by whatever the others hold; with
        notes on one, that is a performance, and its highest line the melody.

    Raises
    ------
    ScoreError
        If nothing sounds.
    """
    from mido import MidiFile  # noqa: PLC0415 (of the extra)

    file = MidiFile(file=io.BytesIO(data), clip=True)
    numerator, denominator = _metre(file)
    ticks_a_beat = file.ticks_per_beat * 4 / denominator
    channels: dict[int, list[Note]] = {}
    for track in file.tracks:
        for channel, notes in _notes(track).items():
            channels.setdefault(channel, []).extend(_on_grid(notes, ticks_a_beat))
    channels.pop(9, None)  # percussion
    if not channels:
        raise ScoreError(source, "no melody: nothing sounds")
    first = min(note.start for notes in channels.values() for note in notes)
    origin = first // numerator * numerator
    women, men = (_shifted(channels.get(channel, []), -origin) for channel in (0, 1))
    voices = (*split_voices(women), *split_voices(men)) if women and men else ()
    texture = () if voices else _shifted(next(iter(channels.values())), -origin)
    melody = voices[0] if voices else skyline(texture)
    tonic, mode = find_key(sorted([*texture, *women, *men]))
    return Score(
        source=source,
        title=_title(file),
        melody=melody,
        voices=voices,
        accompaniment=tuple(sorted(set(texture) - set(melody))),
        chords=(),
        n_beats=0.0,
        beats_per_bar=numerator,
        beat_unit=denominator,
        tonic=tonic,
        mode=mode,
        tempo_bpm=_usual_tempo_bpm(file) * denominator / 4,
    )


def _metre(file: "MidiFile") -> tuple[int, int]:
    """Find the metre that lasts longest."""
    changes = sorted(_at_tick(file, "time_signature"), key=lambda change: change[0])
    lengths: dict[tuple[int, int], int] = {(4, 4): 0}
    ends = [*(tick for tick, _ in changes[1:]), max(_length(track) for track in file.tracks)]
    for (tick, message), end in zip(changes, ends, strict=False):
        metre = plain_metre(message.numerator, message.denominator)
        lengths[metre] = lengths.get(metre, 0) + end - tick
    return max(lengths, key=lambda metre: lengths[metre])


def _usual_tempo_bpm(file: "MidiFile") -> float:
    """Find the tempo that lasts longest, in quarters a minute."""
    ticks, seconds = _clock(file)
    longest = int(np.argmax(np.diff(ticks)))
    quarters = (ticks[longest + 1] - ticks[longest]) / file.ticks_per_beat
    return round(60 * float(quarters / (seconds[longest + 1] - seconds[longest])), 2)


def _at_tick(file: "MidiFile", kind: str) -> "Iterator[tuple[int, Message]]":
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == kind:
                yield tick, message


def _length(track: "Iterable[Message]") -> int:
    return sum(message.time for message in track)


def _title(file: "MidiFile") -> str:
    """Join the track names that are words, not instruments."""
    names = [track.name.strip() for track in file.tracks]
    return " / ".join(n for n in names if " " in n and not n.startswith(("Inst ", "MIDI ")))


def _on_grid(notes: Sequence[Note], ticks_a_beat: float) -> list[Note]:
    """Count ticks in beats, rounded to the grid once a constant delay is taken out."""
    onsets = np.array([note.start for note in notes]) / ticks_a_beat
    # Half beats as angles: their mean is the delay.
    mean = np.exp(2j * np.pi * onsets / 0.5).mean()
    delay = float(np.angle(mean)) / (2 * np.pi) * 0.5 if abs(mean) > 0.5 else 0.0
    found = []
    for note in notes:
        start, end = (
            max(0.0, round((ticks / ticks_a_beat - delay) * HYMN_GRID) / HYMN_GRID)
            for ticks in (note.start, note.end)
        )
        found.append(Note(start, max(end - start, 1 / HYMN_GRID), note.pitch))
    return found


def _tracks_s(midi: bytes) -> dict[str, list[Note]]:
    """Read the notes of each named track, in seconds."""
    from mido import MidiFile  # noqa: PLC0415 (of the extra)

    file = MidiFile(file=io.BytesIO(midi))
    ticks, seconds = _clock(file)
    tracks = {}
    for track in file.tracks:
        notes = [note for notes in _notes(track).values() for note in notes]
        starts = np.interp([note.start for note in notes], ticks, seconds)
        ends = np.interp([note.end for note in notes], ticks, seconds)
        tracks[track.name] = [
            Note(float(start), float(end - start), note.pitch)
            for note, start, end in zip(notes, starts, ends, strict=True)
        ]
    return tracks


def _clock(file: "MidiFile") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """List the ticks where the tempo changes, and the last, with their seconds."""
    from mido import tick2second  # noqa: PLC0415 (of the extra)

    changes = {0: 500_000}  # microseconds a quarter where a file says nothing
    changes |= {tick: message.tempo for tick, message in _at_tick(file, "set_tempo")}
    last = max(_length(track) for track in file.tracks)
    ticks = sorted({*changes, last + 1})
    seconds = [0.0]
    for tick, following in pairwise(ticks):
        seconds.append(
            seconds[-1] + tick2second(following - tick, file.ticks_per_beat, changes[tick])
        )
    return np.array(ticks, float), np.array(seconds)


def _notes(track: "Iterable[Message]") -> dict[int, list[Note]]:
    """Read a track's notes by channel, in ticks; a note that is never ended is dropped."""
    notes: dict[int, list[Note]] = {}
    sounding: dict[tuple[int, int], int] = {}
    tick = 0
    for message in track:
        tick += message.time
        if message.type not in {"note_on", "note_off"}:
            continue
        key = message.channel, message.note
        if key in sounding:
            start = sounding.pop(key)
            notes.setdefault(message.channel, []).append(Note(start, tick - start, message.note))
        if message.type == "note_on" and message.velocity > 0:
            sounding[key] = tick
    return notes


def _in_beats(notes: Sequence[Note], beat_s: NDArray[np.float64]) -> list[Note]:
    """Count seconds in beats and round them to the grid."""
    starts, ends = (
        np.round(_beats(times, beat_s) * GRID) / GRID
        for times in ([note.start for note in notes], [note.end for note in notes])
    )
    return [
        Note(float(start), float(end - start), note.pitch)
        for note, start, end in zip(notes, starts, ends, strict=True)
    ]


def _beats(times_s: Sequence[float], beat_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Say which beats times fall on; before and after the list, beats keep its edges' pace."""
    times = np.asarray(times_s, float)
    index = np.clip(np.searchsorted(beat_s, times, side="right") - 1, 0, len(beat_s) - 2)
    gaps = beat_s[index + 1] - beat_s[index]
    beats: NDArray[np.float64] = index + (times - beat_s[index]) / gaps
    return beats


def _shifted(notes: Iterable[Note], by: float) -> tuple[Note, ...]:
    return tuple(note._replace(start=note.start + by) for note in notes)


def _longest_key(text: str) -> tuple[int, Mode]:
    """Read the key that holds for longest from lines of start, end, key."""
    lengths: dict[str, float] = {}
    for line in text.splitlines():
        start, end, key = line.split()
        lengths[key] = lengths.get(key, 0.0) + float(end) - float(start)
    tonic, _, mode = max(lengths, key=lambda key: lengths[key]).partition(":")
    return pitch_class(tonic), "minor" if mode == "min" else "major"


def _pop909_chords(text: str, beat_s: NDArray[np.float64], origin: float) -> tuple[Chord, ...]:
    chords = []
    for line in text.splitlines():
        start_s, end_s, name = line.split()
        if name == "N":
            continue
        times = _beats([float(start_s), float(end_s)], beat_s) - origin
        start, end = (max(0.0, round(float(time) * 2) / 2) for time in times)
        root_name, _, rest = name.partition(":")
        quality, _, degree = rest.partition("/")
        root = pitch_class(root_name)
        bass = (root + _DEGREES[degree]) % 12 if degree else root
        quality = _POP909_QUALITIES.get(quality, quality)
        chords.append(Chord(start, end - start, root, quality, bass))
    return tuple(chords)
