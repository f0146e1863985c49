"""The plain form of a score: what is repaired, what is refused, what is kept on disk."""

import gzip
import itertools
from dataclasses import fields, replace

import pytest

from pemr.corpus.notes.scores import (
    QUALITIES,
    Chord,
    Note,
    Score,
    Section,
    clean,
    from_json,
    load_scores,
    monophonic,
    pitch_class,
    plain_metre,
    to_json,
    write_scores,
)
from pemr.errors import CorpusError, ScoreError

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


@pytest.fixture
def score():
    return Score(
        source="book/volume/7",
        title="Scale",
        melody=tuple(Note(float(i), 1.0, pitch) for i, pitch in enumerate(SCALE)),
        chords=(Chord(0.0, 4.0, 0, "maj", 4), Chord(4.0, 4.0, 7, "7", 7)),
        n_beats=8.0,
        beats_per_bar=4,
        beat_unit=4,
        tonic=0,
        mode="major",
        tempo_bpm=100.0,
        pickup=0.0,
        sections=(Section(0.0, 8.0, "A"),),
        voices=(),
        second_melody=(Note(0.0, 2.0, 48),),
        accompaniment=(Note(0.0, 1.0, 36), Note(0.0, 1.0, 40)),
    )


def test_a_score_survives_json(score):
    assert from_json(to_json(score)) == score


def test_json_holds_every_field(score):
    assert all(f'"{field.name}"' in to_json(score) for field in fields(Score))


def test_a_file_of_scores_is_the_same_each_time(tmp_path, score):
    for name in ("a", "b"):
        write_scores(tmp_path / name, [score, replace(score, source="x/y")])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert [s.source for s in load_scores(tmp_path / "a")] == ["book/volume/7", "x/y"]


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b'{"source": 1}\n', mtime=0)],
    ids=["no gzip", "no score"],
)
def test_a_damaged_file_of_scores_is_named(tmp_path, content):
    (tmp_path / "scores").write_bytes(content)
    with pytest.raises(CorpusError):
        list(load_scores(tmp_path / "scores"))


def test_the_name_tells_archive_and_book(score):
    assert (score.archive, score.book) == ("book", "book/volume")


def test_six_eight_is_compound_and_three_four_is_not(score):
    assert replace(score, beats_per_bar=6, beat_unit=8).is_compound
    assert not replace(score, beats_per_bar=3).is_compound


def test_overlapping_notes_are_cut_and_chords_keep_their_top():
    notes = [Note(0, 4, 60), Note(1, 1, 64), Note(1, 1, 55), Note(2, 0, 90)]
    assert monophonic(notes) == (Note(0, 1, 60), Note(1, 1, 64))


def test_zero_length_notes_are_dropped(score):
    broken = replace(score, melody=(*score.melody, Note(3.0, 0.0, 99)))
    assert clean(broken).melody == score.melody


def test_the_length_covers_what_sounds(score):
    assert clean(replace(score, n_beats=0.0)).n_beats == 8.0


def test_overlapping_chords_are_cut(score):
    chords = (
        Chord(0.0, 6.0, 0, "maj", 0),
        Chord(4.0, 4.0, 7, "7", 7),
        Chord(4.0, 4.0, 5, "maj", 5),
    )
    kept = clean(replace(score, chords=chords)).chords
    assert all(one.end <= two.start for one, two in itertools.pairwise(kept))
    assert kept[0].duration == 4.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"melody": ()}, "no melody: 0 notes"),
        ({"melody": tuple(Note(float(i), 1.0, 60) for i in range(9))}, "one or two pitches"),
        ({"tempo_bpm": 0.0}, "metre or tempo"),
        ({"beats_per_bar": 0}, "metre or tempo"),
    ],
    ids=["empty", "monotone", "no tempo", "no metre"],
)
def test_a_useless_score_is_refused_with_its_name(score, change, reason):
    with pytest.raises(ScoreError, match=reason) as caught:
        clean(replace(score, **change))
    assert caught.value.source == score.source
    assert str(caught.value).startswith("score book/volume/7: ")


def test_chord_tones_follow_the_root():
    assert Chord(0, 1, 9, "min7", 7).pitch_classes == (9, 0, 4, 7)
    assert all(tones[0] == 0 for tones in QUALITIES.values())


@pytest.mark.parametrize("name", ["", "H", "C!", "Cmaj"])
def test_what_is_no_note_name_is_refused(name):
    with pytest.raises(ValueError, match="no note name"):
        pitch_class(name)


@pytest.mark.parametrize(
    ("written", "plain"),
    [((2, 2), (4, 4)), ((6, 4), (3, 4)), ((6, 8), (6, 8)), ((1, 4), (4, 4)), ((3, 2), (3, 2))],
)
def test_metres_reduce_to_those_told_apart(written, plain):
    assert plain_metre(*written) == plain
