"""MIDI files → plain scores: the songs of POP909, and hymns played from four parts.

Letters: **N** notes.
"""

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

import mido
import numpy as np
from numpy.typing import NDArray

from pemr.corpus.scores import Chord, Mode, Note, Score, pitch_class

GRID = 24  # steps a beat that performed onsets are rounded to

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


def _tracks_s(midi: bytes) -> dict[str, list[Note]]:
    """Read the notes of each named track, in seconds."""
    file = mido.MidiFile(file=io.BytesIO(midi))
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


def _clock(file: mido.MidiFile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """List the ticks where the tempo changes, and the last, with their seconds."""
    changes: dict[int, int] = {0: 500_000}
    last = 0
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                changes[tick] = message.tempo
        last = max(last, tick)
    ticks = sorted({*changes, last + 1})
    seconds = [0.0]
    for tick, following in pairwise(ticks):
        seconds.append(
            seconds[-1] + mido.tick2second(following - tick, file.ticks_per_beat, changes[tick])
        )
    return np.array(ticks, float), np.array(seconds)


def _notes(track: Iterable[mido.Message]) -> dict[int, list[Note]]:
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


def _in_beats(notes: Iterable[Note], beat_s: NDArray[np.float64]) -> list[Note]:
    """Count seconds in beats and round them to the grid."""
    found = []
    for note in notes:
        start, end = (round(_beat(time, beat_s) * GRID) / GRID for time in (note.start, note.end))
        found.append(Note(start, end - start, note.pitch))
    return found


def _beat(time_s: float, beat_s: NDArray[np.float64]) -> float:
    """Say which beat a time falls on; before and after the list, beats go on at its edges' pace."""
    index = int(np.clip(np.searchsorted(beat_s, time_s, side="right") - 1, 0, len(beat_s) - 2))
    gap = beat_s[index + 1] - beat_s[index]
    return float(index + (time_s - beat_s[index]) / gap)


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
        times = (_beat(float(time), beat_s) - origin for time in (start_s, end_s))
        start, end = (max(0.0, round(time * 2) / 2) for time in times)
        root_name, _, rest = name.partition(":")
        quality, _, degree = rest.partition("/")
        root = pitch_class(root_name)
        bass = (root + _DEGREES[degree]) % 12 if degree else root
        quality = _POP909_QUALITIES.get(quality, quality)
        chords.append(Chord(start, end - start, root, quality, bass))
    return tuple(chords)
