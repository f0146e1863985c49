"""Keys, lines and forms found in melodies whose answer is known beforehand."""

import itertools
from dataclasses import replace

import pytest

from pemr.corpus.notes.melody import (
    find_key,
    find_sections,
    keys_of_signature,
    skyline,
    split_voices,
)
from pemr.corpus.notes.scores import Note, Score

MAJOR = (0, 2, 4, 5, 7, 9, 11)


def notes_of(pitches, length=1.0):
    return tuple(Note(i * length, length, pitch) for i, pitch in enumerate(pitches))


def score_of(melody, **change):
    plain = Score(
        source="x/1", title="", melody=tuple(melody), chords=(), n_beats=melody[-1].end,
        beats_per_bar=4, beat_unit=4, tonic=0, mode="major", tempo_bpm=100.0,
    )  # fmt: skip
    return replace(plain, **change)


@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_that_ends_on_its_tonic_names_its_key(tonic):
    pitches = [60 + tonic + step for step in (0, 4, 7, 12, 11, 9, 7, 5, 4, 2, 0)]
    assert find_key(notes_of(pitches)) == (tonic, "major")


def test_a_minor_tune_is_minor():
    pitches = [69, 72, 76, 77, 76, 74, 72, 71, 68, 69, 64, 69]
    assert find_key(notes_of(pitches)) == (9, "minor")


def test_a_signature_leaves_only_its_two_keys():
    chromatic = notes_of(range(60, 72))
    assert find_key(chromatic, keys_of_signature(3)) in {(9, "major"), (6, "minor")}


@pytest.mark.parametrize(("sharps", "major"), [(0, 0), (1, 7), (-1, 5), (4, 4), (-3, 3)])
def test_a_key_signature_has_a_relative_minor(sharps, major):
    assert keys_of_signature(sharps) == ((major, "major"), ((major - 3) % 12, "minor"))


def test_the_melody_is_taken_from_over_its_accompaniment():
    melody = notes_of([72, 74, 76, 74, 72, 71, 72, 74])
    chords = [Note(float(i), 1.0, pitch) for i in range(8) for pitch in (48, 55, 64)]
    fill = [Note(i + 0.5, 0.5, 60) for i in range(8)]
    assert skyline([*chords, *fill, *melody]) == melody


def test_a_low_figure_in_a_rest_is_no_melody():
    melody = [Note(0.0, 1.0, 72), Note(1.0, 1.0, 74), Note(4.0, 1.0, 76), Note(5.0, 1.0, 72)]
    figure = [Note(2.0, 0.5, 48), Note(2.5, 0.5, 52), Note(3.0, 1.0, 55)]
    assert skyline([*melody, *figure]) == tuple(melody)


def test_two_voices_on_a_staff_part_again():
    soprano = notes_of([67, 69, 71, 72])
    alto = (Note(0.0, 2.0, 64), Note(2.0, 1.0, 62), Note(3.0, 1.0, 64))
    upper, lower = split_voices([*alto, *soprano])
    assert upper == soprano
    assert lower == alto


def test_voices_in_unison_share_the_note():
    together = notes_of([60, 62, 64])
    assert split_voices(together) == (together, together)


def test_a_tune_in_two_parts_played_twice_is_a_a_b_b():
    first = [60, 62, 64, 65, 67, 65, 64, 62] * 4
    second = [72, 71, 69, 67, 65, 67, 69, 71] * 4
    melody = notes_of(first + first + second + second)
    sections = find_sections(score_of(melody))
    labels = [section.label for section in sections]
    per_letter = {section.label: section.end - section.start for section in sections}
    assert labels == sorted(labels)
    assert set(labels) == {"A", "B"}
    assert sections[0].start == 0.0
    assert sections[-1].end == 128.0
    assert per_letter["A"] == per_letter["B"]


def test_sections_leave_no_gap(rng):
    melody = notes_of([int(pitch) for pitch in rng.integers(55, 80, 150)])
    sections = find_sections(score_of(melody, pickup=2.0))
    assert sections[0].start == 0.0
    assert sections[-1].end == 150.0
    assert all(one.end == two.start for one, two in itertools.pairwise(sections))


def test_a_silent_introduction_is_marked():
    melody = [note._replace(start=note.start + 16.0) for note in notes_of(MAJOR * 8)]
    assert find_sections(score_of(melody))[0].label == "-"
