"""Chords found in music whose harmony is known beforehand."""

import itertools
from dataclasses import replace

import pytest

from pemr.corpus.notes.chords import infer_chords
from pemr.corpus.notes.scores import Note, Score

TONES = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10)}


def score_of(melody, **change):
    plain = Score(
        source="x/1", title="", melody=tuple(melody), chords=(), n_beats=melody[-1].end,
        beats_per_bar=4, beat_unit=4, tonic=0, mode="major", tempo_bpm=100.0,
    )  # fmt: skip
    return replace(plain, **change)


def broken(chords, beats=4.0):
    """Play chords one after the other, as broken triads in the melody's register."""
    melody = []
    for bar, (root, quality) in enumerate(chords):
        tones = [60 + root + step for step in TONES[quality]]
        for beat in range(int(beats)):
            melody.append(Note(bar * beats + beat, 1.0, tones[beat % len(tones)]))
    return melody


@pytest.mark.parametrize("tonic", [0, 5, 10])
def test_a_melody_of_broken_triads_gets_those_triads(tonic):
    roots = [(0, "maj"), (5, "maj"), (7, "maj"), (0, "maj")]
    melody = broken([((root + tonic) % 12, quality) for root, quality in roots])
    chords = infer_chords(score_of(melody, tonic=tonic))
    assert [(chord.root - tonic) % 12 for chord in chords] == [0, 5, 7, 0]


def test_a_melody_closes_on_its_tonic():
    melody = [*broken([(0, "maj"), (7, "maj")]), Note(8.0, 4.0, 64)]
    last = infer_chords(score_of(melody))[-1]
    assert (last.root, last.quality) == (0, "maj")


def test_a_minor_key_gets_its_major_dominant():
    melody = broken([(9, "min"), (4, "maj"), (9, "min")])
    chords = infer_chords(score_of(melody, tonic=9, mode="minor"))
    assert next((chord.root, chord.quality) for chord in chords) == (9, "min")
    assert chords[1].root == 4
    assert chords[1].quality in {"7", "maj"}


def test_chords_cover_the_score_without_gaps():
    chords = infer_chords(
        score_of(broken([(0, "maj"), (5, "maj"), (7, "7"), (0, "maj")]), pickup=1.0)
    )
    assert chords[0].start == 0.0
    assert chords[-1].end >= 16.0
    assert all(one.end == two.start for one, two in itertools.pairwise(chords))


def test_four_voices_are_read_with_their_bass():
    rows = [
        (72, 67, 64, 48),
        (72, 69, 65, 53),
        (71, 67, 62, 55),
        (72, 67, 64, 48),
        (69, 65, 60, 50),
    ]
    voices = tuple(
        tuple(Note(2.0 * i, 2.0, row[voice]) for i, row in enumerate(rows)) for voice in range(4)
    )
    chords = infer_chords(score_of(voices[0], voices=voices))
    assert [chord.root for chord in chords] == [0, 5, 7, 0, 2]
    assert chords[-1].quality == "min7"


def test_an_inversion_keeps_its_bass():
    accompaniment = tuple(Note(0.0, 4.0, pitch) for pitch in (40, 55, 60))
    melody = [Note(float(i), 1.0, 72) for i in range(4)]
    chord = infer_chords(score_of(melody, accompaniment=accompaniment))[0]
    assert (chord.root, chord.quality, chord.bass) == (0, "maj", 4)


def test_an_empty_bar_takes_a_chord_from_its_neighbours():
    melody = [*broken([(0, "maj")]), *(n._replace(start=n.start + 8) for n in broken([(0, "maj")]))]
    assert {chord.root for chord in infer_chords(score_of(melody))} == {0}
