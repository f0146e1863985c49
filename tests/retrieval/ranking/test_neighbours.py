"""Chains over other candidates: what they add, and to whom."""

import numpy as np
import pytest

from retrieval import search, stored_query
from retrieval.measuring.scorers import SegmentScorer
from retrieval.ranking.neighbours import with_neighbours
from retrieval.ranking.ranking import Ranking

STRANGER = 0.12
NEIGHBOUR_WEIGHT = 0.8
CHAINS = Ranking(hub_weight=0.4, neighbour_weight=NEIGHBOUR_WEIGHT, n_aligned=0)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def raised(scores, cosines, losses=None, weight=NEIGHBOUR_WEIGHT):
    scores, cosines = np.array(scores), np.array(cosines)
    losses = np.zeros(len(scores)) if losses is None else np.array(losses)
    return with_neighbours(scores, losses, lambda k, others: cosines[k, others], weight, STRANGER)


def test_a_chain_is_as_strong_as_its_weaker_link():
    cosines = [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    found = raised([0.6, 0.1, 0.05], cosines)
    # The second is reached over the first: min(0.6, 0.5); the first over the second: min(0.1, 0.5).
    assert found[0] == 0.6
    assert found[1] == pytest.approx(0.1 + NEIGHBOUR_WEIGHT * (0.5 - STRANGER))
    assert found[2] == 0.05


def test_the_strongest_of_many_chains_counts_and_hubs_lose_at_its_end():
    cosines = np.full((4, 4), 0.2)
    cosines[0, 3], cosines[1, 3] = 0.4, 0.7
    found = raised([0.6, 0.5, 0.1, 0.1], cosines, losses=[0.0, 0.0, 0.0, 0.1])
    assert found[3] == pytest.approx(0.1 + NEIGHBOUR_WEIGHT * (0.5 - STRANGER))


def test_strangers_and_copies_vouch_for_nothing():
    strangers = np.full((3, 3), 0.1)
    np.testing.assert_array_equal(raised([0.6, 0.3, 0.1], strangers), [0.6, 0.3, 0.1])
    copies = np.full((3, 3), 0.95)
    np.testing.assert_array_equal(raised([0.3, 0.3, 0.1], copies), [0.3, 0.3, 0.1])


def test_what_is_no_candidate_neither_gains_nor_vouches():
    cosines = np.full((3, 3), 0.8)
    found = raised([-np.inf, 0.5, 0.4], cosines)
    assert found[0] == -np.inf
    assert found[2] == pytest.approx(0.4 + NEIGHBOUR_WEIGHT * (0.5 - STRANGER))
    assert raised([-np.inf], [[1.0]]).tolist() == [-np.inf]


def test_without_weight_nothing_changes():
    assert raised([0.6, 0.1], np.full((2, 2), 0.5), weight=0.0).tolist() == [0.6, 0.1]


@pytest.fixture
def chain():
    """Track 0 is the query; 1 is near to it, 2 is near to 1 only; the others are strangers."""
    query = [1.0, *[0.0] * 7]
    first, second = [0.7, 0.71, *[0.0] * 6], [0.0, 1.0, *[0.0] * 6]
    return [unit(np.array([one])) for one in (query, first, second, *np.eye(8)[3:])]


def test_search_and_evaluation_raise_the_same(chain, filled, tmp_path):
    catalog, ids = filled(tmp_path / "catalog", chain)
    with catalog:
        query = stored_query(catalog, catalog.track(ids[0]))
        found = search(catalog, query, CHAINS, n_candidates=8)
    assert [candidate.track_id for candidate in found[:2]] == ids[1:3]
    assert found[1].score > 0.2 > found[1].embedding_score

    def scored(ranking):
        names = [str(k) for k in range(len(chain))]
        scorer = SegmentScorer(names=names, embeddings=chain, tonal=[], ranking=ranking)
        return scorer.score(np.array([0]), np.arange(len(chain)))[0]

    with_chains = scored(CHAINS)
    assert with_chains[0] == -np.inf
    assert with_chains[1:3] == pytest.approx([c.score for c in found[:2]], abs=1e-5)
    by_itself = scored(CHAINS.without("neighbours"))
    assert by_itself[2] < 0.0 < with_chains[2]
    assert by_itself[1] == pytest.approx(with_chains[1])
