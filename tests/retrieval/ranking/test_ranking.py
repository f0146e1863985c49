"""One value decides the order, and every stage of it can be left out."""

import json
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from pemr import load_embedder
from retrieval.errors import RankingError
from retrieval.ranking.candidate import Query
from retrieval.ranking.nearest import mean_length
from retrieval.ranking.pool import Pool
from retrieval.ranking.ranking import PLAIN, STAGES, Ranking, chosen, ranking_from
from retrieval.ranking.stages import ALL, rank

FULL = Ranking(tempos=(0.8, 1.25), hub_weight=0.4, neighbour_weight=0.8)


@pytest.fixture
def query(rng):
    vectors = rng.normal(size=(3, 8)).astype(np.float32)
    return Query(embeddings=vectors, tonal=np.zeros((12, 0), np.uint8), duration_s=30.0)


@pytest.fixture
def pool(rng):
    return Pool(
        embeddings=[rng.normal(size=(2, 8)).astype(np.float32) for _ in range(6)],
        is_candidate=np.array([False] + [True] * 5),
        mean_length=2.0,
        hubness=lambda: np.linspace(0, 0.5, 6),
        tonal_of=lambda indices: [np.zeros((12, 0), np.uint8)] * len(indices),
    )


def test_it_goes_through_json_and_comes_back():
    assert ranking_from(json.loads(json.dumps(FULL.values()))) == FULL
    assert ranking_from({}) == PLAIN


def test_every_field_is_a_plain_value():
    assert set(FULL.values()) == {field.name for field in fields(Ranking)} == {
        "tempos", "hub_weight", "neighbour_weight", "neighbour_level", "n_aligned",
        "alignment_weight", "alignment_half_way", "harmony_weights", "is_by_embedding",
        "calibration",
    }  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_can_be_left_out_and_no_other_changes(stage):
    less = FULL.without(stage).values()
    changed = [name for name, value in FULL.values().items() if less[name] != value]
    expected = {"tempos": "tempos", "hubs": "hub_weight", "neighbours": "neighbour_weight"}
    assert changed == [expected.get(stage, "n_aligned")]


@pytest.mark.parametrize("n_left", [1, 2, 5])
def test_a_score_does_not_depend_on_what_else_is_in_the_pool(rng, query, n_left):
    tracks = [rng.normal(size=(n, 8)).astype(np.float32) for n in (1, 9, 4, 20, 6)]

    def scores(n_tracks):
        pool = Pool(
            embeddings=tracks[:n_tracks],
            is_candidate=np.ones(n_tracks, bool),
            mean_length=mean_length(tracks),
            hubness=lambda: np.zeros(n_tracks),
            tonal_of=lambda indices: [np.zeros((12, 0), np.uint8)] * len(indices),
        )
        return rank(query, pool, PLAIN.without("alignment")).scores

    np.testing.assert_allclose(scores(n_left), scores(5)[:n_left], rtol=1e-6)


def test_rankings_that_differ_are_called_differently():
    changes = {
        "tempos": (0.9,), "hub_weight": 0.2, "neighbour_weight": 0.5, "neighbour_level": 0.2,
        "n_aligned": 50, "alignment_weight": 0.25, "alignment_half_way": 8.0,
        "harmony_weights": (1.0, 0.0, 0.0),
    }  # fmt: skip
    words = {FULL.words(), *(replace(FULL, **{k: v}).words() for k, v in changes.items())}
    assert len(words) == 1 + len(changes)


@pytest.mark.parametrize(
    ("without", "only", "sentence"),
    [
        (["chains"], "", "no stage is called 'chains'; there are: tempos, hubs"),
        ([], "hubs", "'hubs' cannot rank alone"),
        (["alignment"], "alignment", "nothing is left to rank by"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(without, only, sentence):
    with pytest.raises(RankingError, match=sentence):
        chosen(FULL.values(), without, only)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"loudness": 1}, "has no loudness"),
        ({"n_aligned": -1}, "at least 0"),
        ({"alignment_half_way": 0}, "positive"),
    ],
)
def test_values_that_are_no_ranking_are_refused(values, sentence):
    with pytest.raises(RankingError, match=sentence):
        ranking_from(values)


def test_the_shipped_weights_bring_theirs_and_others_are_plain():
    shipped = ranking_from(load_embedder("cover").ranking)
    assert shipped.tempos
    assert shipped.n_aligned
    assert shipped.hub_weight
    assert shipped.neighbour_weight
    assert ranking_from(load_embedder("ftm2d").ranking) == PLAIN


def test_the_query_itself_is_never_an_answer(query, pool):
    for ranking in (PLAIN, FULL, PLAIN.only("alignment")):
        scores = rank(query, pool, ranking).scores
        assert scores[0] == -np.inf
        assert np.isfinite(scores[1:]).all()


def test_hubs_lose_what_they_are_asked_for_only_where_they_do(query, pool):
    plain = rank(query, pool, PLAIN.without("alignment"))
    lessened = rank(query, pool, Ranking(hub_weight=0.4, n_aligned=0))
    np.testing.assert_allclose(plain.scores[1:] - lessened.scores[1:], 0.4 * pool.hubness()[1:])

    def never():
        raise AssertionError

    rank(query, replace(pool, hubness=never), PLAIN)


def test_a_new_stage_is_one_function_and_one_field(query, pool):
    @dataclass(frozen=True, kw_only=True)
    class WithBonus(Ranking):
        bonus: float = 0.0

    def bonus(_query, _pool, ranked, ranking):
        return replace(ranked, scores=ranked.scores + ranking.bonus)

    before = rank(query, pool, PLAIN).scores
    after = rank(query, pool, WithBonus(bonus=0.5), (*ALL, bonus)).scores
    np.testing.assert_allclose(after[1:], before[1:] + 0.5)
