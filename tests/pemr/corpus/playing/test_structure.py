import itertools
from dataclasses import replace

import numpy as np
import pytest

from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.notes.scores import Note, Section
from pemr.corpus.playing.structure import METRE_WARPS, Form, change_metre, core, plan, sections_of


@pytest.fixture
def score():
    tune = transcribe(next(t for t in TUNES if t.title == "Jingle Bells"))
    sections = (Section(0, 16, "A"), Section(16, 32, "B"), Section(32, 48, "A"),
                Section(48, 64, "C"))  # fmt: skip
    return replace(tune, sections=sections)


@pytest.mark.parametrize(
    "form",
    [
        Form(n_beats=100),
        Form(n_beats=100, intro_bars=2, outro_bars=1, solo=True, step_up=2),
        Form(n_beats=60, order="reversed", n_cut=1, repeats=True),
        Form(n_beats=60, order="shuffled", medley=True),
        Form(n_beats=60, order="from a later section", n_cut=9),
    ],
)
def test_passages_join_without_gaps_and_reach_the_length(score, form):
    other = transcribe(TUNES[0])
    passages = plan(score, form, other, np.random.default_rng(4))
    assert passages[0].start == 0
    for before, after in itertools.pairwise(passages):
        assert after.start == pytest.approx(before.end)
    assert passages[-1].end >= form.n_beats - 1e-6
    assert any(p.kind == "medley" for p in passages) == form.medley


def test_core_holds_each_label_once(score):
    assert [s.label for s in core(score, 1000)] == ["A0", "B0", "C0"]
    assert [s.label for s in core(score, 10)] == ["A0"]


def test_score_without_sections_is_cut_into_phrases(score):
    pieces = sections_of(replace(score, sections=()))
    assert pieces[0].start == 0
    assert pieces[-1].end == score.n_beats
    assert len(pieces) == 2


def test_step_up_comes_in_the_last_third(score):
    passages = plan(score, Form(n_beats=200, step_up=2), None, np.random.default_rng(0))
    assert [p.transposition for p in passages] == sorted(p.transposition for p in passages)
    assert passages[0].transposition == 0
    assert passages[-1].transposition == 2


@pytest.mark.parametrize(("old", "new"), METRE_WARPS)
def test_changed_metre_keeps_order_and_bar_lines(score, old, new):
    notes = tuple(Note(float(k), 1.0, 60 + k % 12) for k in range(4 * old))
    plain = replace(score, beats_per_bar=old, melody=notes, chords=(), sections=(), n_beats=4 * old)
    changed = change_metre(plain, new)
    starts = [n.start for n in changed.melody]
    assert starts == sorted(starts)
    assert starts[::old] == pytest.approx([0, new, 2 * new, 3 * new])
    assert changed.n_beats == pytest.approx(4 * new)
    assert [n.pitch for n in changed.melody] == [n.pitch for n in notes]


def test_unknown_change_of_metre_leaves_the_score_alone(score):
    assert change_metre(score, 7) is score
