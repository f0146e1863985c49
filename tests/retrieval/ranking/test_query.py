"""A file to ask with becomes a query."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from indexer import Catalog, build
from retrieval import Ranking, catalog_scorer, load_benchmark, read_query, search
from tests.conftest import FakeEmbedder, forget_spectrograms

TEMPOS = (0.8, 1.25)
STRETCHED = Ranking(tempos=TEMPOS, n_aligned=0)


@pytest.fixture
def indexed(tmp_path, fake_embedder, tone):
    for seed in range(3):
        tone(tmp_path / "music" / f"{seed}.wav", seed=seed)
    where = tmp_path / "catalog"
    with Catalog.write(where, fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [tmp_path / "music"]))
    with Catalog.open(where) as catalog:
        yield catalog


def test_a_file_of_the_catalog_is_not_decoded_again(indexed, fake_embedder, tmp_path):
    fake_embedder.listen = None
    query = read_query(indexed, fake_embedder, tmp_path / "music" / "1.wav")
    assert query.track_id == indexed.find(tmp_path / "music" / "1.wav").id


def test_another_file_is_embedded_as_the_catalog_was(indexed, fake_embedder, tmp_path, tone):
    copy = tone(tmp_path / "elsewhere.wav", seed=1)
    query = read_query(indexed, fake_embedder, copy)
    stored = indexed.embeddings(indexed.find(tmp_path / "music" / "1.wav").id)
    assert query.track_id is None
    np.testing.assert_allclose(query.embeddings, stored, rtol=1e-6)
    assert query.duration_s == pytest.approx(2.0)


def test_a_file_changed_since_is_decoded_and_still_not_its_own_answer(
    indexed, fake_embedder, tmp_path, tone
):
    path = tone(tmp_path / "music" / "1.wav", seed=9)
    query = read_query(indexed, fake_embedder, path)
    assert query.track_id == indexed.find(path).id
    assert path not in [c.path for c in search(indexed, query)]


@pytest.fixture
def of_cover(tmp_path, tone):
    """A catalog of works of two recordings, and an embedder that is asked at several tempos."""
    for seed in range(4):
        tone(tmp_path / "works" / f"work {seed // 2}" / f"{seed}.wav", seed=seed)
    embedder = FakeEmbedder("cover@fake")
    where = tmp_path / "catalog"
    with Catalog.write(where, embedder) as catalog:
        list(build(catalog, embedder, [tmp_path / "works"]))
    with Catalog.open(where) as catalog:
        yield catalog, embedder


def test_a_query_is_asked_at_other_tempos_too(of_cover, tmp_path):
    catalog, embedder = of_cover
    path = tmp_path / "works" / "work 0" / "1.wav"
    query = read_query(catalog, embedder, path, STRETCHED)
    stored = catalog.embeddings(catalog.find(path).id)
    np.testing.assert_array_equal(query.embeddings, stored)
    recording = embedder.listen(path)
    for tempo, version in zip(TEMPOS, query.at_other_tempos, strict=True):
        np.testing.assert_array_equal(version, embedder.embed([recording], tempo=tempo)[0])


def test_the_tempo_that_suits_a_candidate_best_decides(of_cover, tmp_path):
    catalog, embedder = of_cover
    asked = read_query(catalog, embedder, tmp_path / "works" / "work 0" / "1.wav", STRETCHED)
    own = {c.path: c.embedding_score for c in search(catalog, asked, STRETCHED)}
    other = catalog.embeddings(catalog.find(tmp_path / "works" / "work 1" / "2.wav").id)
    twin = replace(asked, at_other_tempos=(other,))
    found = {c.path: c.embedding_score for c in search(catalog, twin, STRETCHED)}
    assert found[tmp_path / "works" / "work 1" / "2.wav"] == pytest.approx(1.0)
    plain = replace(asked, at_other_tempos=())
    for candidate in search(catalog, plain, STRETCHED):
        assert candidate.embedding_score <= own[candidate.path] + 1e-12


@pytest.mark.parametrize("tempos", [TEMPOS, ()])
def test_at_no_tempo_is_a_file_of_the_catalog_decoded_again(of_cover, tmp_path, tempos):
    catalog, embedder = of_cover
    embedder.listen = None
    path = tmp_path / "works" / "work 0" / "1.wav"
    query = read_query(catalog, embedder, path, Ranking(tempos=tempos))
    assert len(query.at_other_tempos) == len(tempos)


def test_a_file_of_an_old_catalog_is_decoded_with_a_word_on_the_way_out(of_cover, tmp_path, caplog):
    catalog, embedder = of_cover
    forget_spectrograms(catalog.path)
    path = tmp_path / "works" / "work 0" / "1.wav"
    embedder.heard.clear()
    caplog.set_level(logging.WARNING)
    with Catalog.open(catalog.path) as old:
        query = read_query(old, embedder, path, STRETCHED)
    assert embedder.heard == [path]
    assert len(query.at_other_tempos) == len(TEMPOS)
    assert "`pemr index --again` keeps one" in caplog.text


def test_evaluation_asks_at_the_same_tempos_as_search(of_cover, tmp_path):
    catalog, embedder = of_cover
    benchmark = load_benchmark("folder", tmp_path / "works")
    everything = np.arange(4)
    scorer = catalog_scorer(catalog, benchmark, STRETCHED, embedder)
    for query, name in enumerate(scorer.names):
        path = tmp_path / "works" / name
        scores = scorer.score(np.array([query]), everything)[0]
        found = search(catalog, read_query(catalog, embedder, path, STRETCHED), STRETCHED)
        others = {c.path: c.score for c in found}
        for index, score in enumerate(scores):
            if index != query:
                assert others[tmp_path / "works" / scorer.names[index]] == pytest.approx(score)


def test_a_query_that_can_no_longer_be_heard_is_ranked_all_the_same(of_cover, tmp_path):
    catalog, embedder = of_cover
    forget_spectrograms(catalog.path)
    benchmark = load_benchmark("folder", tmp_path / "works")
    scorer = catalog_scorer(catalog, benchmark, STRETCHED, embedder)
    (tmp_path / "works" / scorer.names[0]).unlink()
    scores = scorer.score(np.array([0]), np.arange(4))[0]
    assert np.isfinite(scores[1:]).all()
