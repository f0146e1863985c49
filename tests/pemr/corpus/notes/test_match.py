"""Melodies that are the same, and that are not."""

from itertools import product

import numpy as np
import pytest

from pemr.corpus.notes.match import candidates, compare, line_of
from pemr.corpus.notes.scores import Note


def melody_of(rng, n_notes=60):
    steps = rng.choice([-4, -2, -1, 1, 2, 3, 5], n_notes)
    starts = np.cumsum(rng.choice([0.5, 1.0, 1.5], n_notes))
    pitches = 67 + np.cumsum(steps) - np.linspace(0, steps.sum(), n_notes).astype(int)
    return [Note(float(s), 0.5, int(p)) for s, p in zip(starts, pitches, strict=True)]


@pytest.fixture
def melody(rng):
    return melody_of(rng)


def moved(melody, semitones=0, tempo=1.0):
    return [Note(n.start * tempo, n.duration * tempo, n.pitch + semitones) for n in melody]


@pytest.mark.parametrize(("semitones", "tempo"), [(0, 1.0), (5, 1.0), (-7, 2.0), (12, 0.5)])
def test_key_and_tempo_do_not_matter(melody, semitones, tempo):
    line = line_of(melody)
    match = compare(line, line_of(moved(melody, semitones, tempo)))
    assert match.agreement == 1.0
    assert match.coverage == 1.0
    assert match.worth == pytest.approx(1.0)
    assert match.n_notes == len(line.pitches)
    assert match.transposition == semitones


def test_which_comes_first_does_not_matter(melody):
    other = line_of(moved(melody[:40], 3))
    one, two = compare(line_of(melody), other), compare(other, line_of(melody))
    assert (one.agreement, one.coverage, one.n_notes) == (two.agreement, two.coverage, two.n_notes)
    assert one.transposition == -two.transposition


def test_other_words_do_not_matter(melody):
    sung = [half for n in melody for half in (n._replace(duration=0.25),
            Note(n.start + 0.25, 0.25, n.pitch))]  # fmt: skip
    assert compare(line_of(melody), line_of(sung)).agreement == 1.0


def test_ornaments_cost_little(melody):
    turned = []
    for index, note in enumerate(melody):
        turned.append(note)
        if index % 6 == 5:
            turned.append(Note(note.start + 0.4, 0.1, note.pitch + 1))
    match = compare(line_of(melody), line_of(turned))
    assert match.agreement > 0.85
    assert match.coverage > 0.9


def test_a_part_is_covered_when_it_is_the_shorter(melody):
    match = compare(line_of(melody), line_of(moved(melody[10:40], 2)))
    assert match.coverage == 1.0


def test_other_melodies_hardly_agree(rng):
    lines = [line_of(melody_of(rng)) for _ in range(12)]
    matches = [compare(one, other) for i, one in enumerate(lines) for other in lines[:i]]
    assert max(match.worth for match in matches) < 0.3


def test_lines_without_a_common_run_do_not_match():
    rising = line_of([Note(float(i), 1.0, 60 + i) for i in range(12)])
    falling = line_of([Note(float(i), 1.0, 80 - 2 * i) for i in range(12)])
    assert compare(rising, falling).n_notes == 0


def test_alignment_is_that_of_a_plain_table(rng):
    one, other = melody_of(rng, 25), melody_of(rng, 25)
    other = [*other[:8], *moved(one[5:20], 4), *other[8:]]
    lines = line_of(one), line_of(other)
    match = compare(*lines)
    # Of two paths of equal worth one may have a note more.
    assert abs(match.n_notes - best_run(*lines, match.transposition)) <= 1
    assert match.n_notes >= 14


def best_run(one, other, transposition):
    """Count the notes that agree on the best path, from the equations, by recursion."""
    table = {}
    for i, j in product(range(len(one.pitches)), range(len(other.pitches))):
        agrees = other.pitches[j] - one.pitches[i] == transposition
        in_time = 0.6 < other.lengths[j] / one.lengths[i] < 1.67
        gain = (1.0 if in_time else 0.6) if agrees else -0.8
        value, count = table.get((i - 1, j - 1), (0.0, 0))
        steps = [(value + gain, count + int(agrees)), (0.0, 0)]
        for before in ((i - 1, j), (i, j - 1)):
            value, count = table.get(before, (0.0, 0))
            steps.append((value - 0.6, count))
        table[i, j] = max(steps, key=lambda step: step[0])
    return max(table.values(), key=lambda cell: cell[0])[1]


def test_candidates_are_found_among_strangers(rng, melody):
    lines = [line_of(melody_of(rng)) for _ in range(20)]
    lines[3], lines[17] = line_of(melody), line_of(moved(melody, 4, 2.0))
    assert (3, 17) in set(candidates(lines))


def test_a_rest_of_phrases_counts_as_two_bars_at_most():
    line = line_of([Note(0.0, 1.0, 60), Note(40.0, 1.0, 62), Note(41.0, 1.0, 64)])
    assert line.lengths.tolist() == [8.0, 1.0, 1.0]
