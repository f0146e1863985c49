import itertools
from dataclasses import replace

import pytest

from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.playing import variation as v

SCORES = [transcribe(tune) for tune in TUNES[:5]]


@pytest.mark.parametrize("name", v.TREATMENTS)
@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.title)
def test_treatment_leaves_a_melody_that_can_be_sung(name, score, rng):
    notes = v.TREATMENTS[name](score.melody, score, rng)
    assert len(notes) >= len(score.melody) / 3
    for before, after in itertools.pairwise(notes):
        assert before.start < after.start
        assert before.end <= after.start + 1e-6
    assert all(note.duration > 0 and 30 < note.pitch < 100 for note in notes)


@pytest.mark.parametrize("name", v.REHARMONISERS)
@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.title)
def test_reharmoniser_covers_the_same_time(name, score, rng):
    chords = v.REHARMONISERS[name](score.chords, score, rng)
    assert chords[0].start == score.chords[0].start
    assert chords[-1].end == pytest.approx(score.chords[-1].end)
    for before, after in itertools.pairwise(chords):
        assert before.end == pytest.approx(after.start)
    assert all(0 <= chord.root < 12 and 0 <= chord.bass < 12 for chord in chords)


@pytest.mark.parametrize("name", sorted(set(v.REHARMONISERS) - {"inversions", "triads"}))
def test_reharmoniser_changes_something(name, rng):
    rich = [
        v.REHARMONISERS[name](score.chords, score, rng) != list(score.chords) for score in SCORES
    ]
    assert any(rich)


def test_chords_from_the_melody_hold_its_longest_note(rng):
    score = SCORES[0]
    for chord in v.from_melody(score.chords, score, rng):
        sung = [n for n in score.melody if n.start < chord.end and n.end > chord.start]
        longest = max(sung, key=lambda n: n.duration).pitch % 12
        assert longest in chord.pitch_classes


def test_mode_changed_twice_is_the_tune_again():
    score = SCORES[0]
    twice = v.change_mode(v.change_mode(score))
    assert twice.melody == score.melody
    assert v.change_mode(score).mode == "minor"


def test_mode_change_lowers_the_third():
    score = replace(SCORES[0], tonic=0)
    minor = v.change_mode(score)
    for before, after in zip(score.melody, minor.melody, strict=True):
        expected = before.pitch - (before.pitch % 12 in (4, 9, 11))
        assert after.pitch == expected


def test_thirds_are_thirds():
    score = SCORES[0]
    second = v.harmonise_thirds(score.melody, score, -2)
    gaps = {a.pitch - b.pitch for a, b in zip(score.melody, second, strict=True)}
    assert gaps <= {3, 4}


def test_solo_stays_inside_its_chords_time_and_scale(rng):
    score = SCORES[0]
    notes = v.improvise(score.chords, score, 70, rng)
    assert notes
    assert all(n.pitch % 12 in v.scale(score) for n in notes)
    assert notes[-1].end <= score.chords[-1].end + 1e-6
