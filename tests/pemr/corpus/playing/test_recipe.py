from dataclasses import fields

import numpy as np
import pytest

from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.playing.bands import AS_WRITTEN, FOUR_PART, STYLES
from pemr.corpus.playing.recipe import BRUTAL, DIFFICULTIES, STANDARD, Recipe, draw
from pemr.corpus.playing.variation import HELD_OUT_REHARMONISERS

SCORE = transcribe(TUNES[0])
HELD_OUT_STYLES = {style.name for style in STYLES if style.is_held_out}


def recipes(n, difficulty=STANDARD, *, held_out=False):
    return [
        draw(SCORE, difficulty, np.random.default_rng(i), voices=("tenor",), held_out=held_out)
        for i in range(n)
    ]


def test_training_never_meets_what_is_held_out():
    for recipe in recipes(400, BRUTAL):
        assert recipe.style not in HELD_OUT_STYLES
        assert not set(recipe.reharmonisers) & set(HELD_OUT_REHARMONISERS)


def test_the_test_set_meets_it_often():
    drawn = recipes(200, held_out=True)
    assert sum(recipe.style in HELD_OUT_STYLES for recipe in drawn) > 50
    assert any(set(recipe.reharmonisers) & set(HELD_OUT_REHARMONISERS) for recipe in drawn)


def test_same_seed_gives_the_same_recipe():
    assert recipes(20) == recipes(20)


def test_every_field_varies():
    drawn = recipes(300, BRUTAL)
    for field in fields(Recipe):
        assert len({repr(getattr(recipe, field.name)) for recipe in drawn}) > 1, field.name


def test_brutal_changes_more_than_standard():
    def n_changes(recipe):
        return len(recipe.treatments) + len(recipe.reharmonisers) + recipe.form.n_cut

    assert sum(map(n_changes, recipes(200, BRUTAL))) > 1.5 * sum(map(n_changes, recipes(200)))
    assert set(DIFFICULTIES) == {"standard", "brutal"}


def test_written_parts_are_asked_of_scores_that_have_them():
    assert not {recipe.style for recipe in recipes(300)} & {AS_WRITTEN, FOUR_PART}


def test_tempo_stays_playable():
    for recipe in recipes(200, BRUTAL):
        assert 45 <= SCORE.tempo_bpm * recipe.tempo <= 210
        assert -50 <= recipe.tuning_cents <= 50


@pytest.mark.parametrize("voices", [(), ("tenor",)])
def test_only_the_voices_given_sing(voices):
    drawn = [draw(SCORE, STANDARD, np.random.default_rng(i), voices=voices) for i in range(100)]
    singers = {p for recipe in drawn for p in recipe.players if isinstance(p, str)}
    assert singers == set(voices)
