"""A file to ask with becomes a query."""

import numpy as np
import pytest

from indexer import Catalog, build
from retrieval import read_query, search


@pytest.fixture
def indexed(tmp_path, fake_embedder, tone):
    for seed in range(3):
        tone(tmp_path / "music" / f"{seed}.wav", seed=seed)
    where = tmp_path / "catalog"
    with Catalog.open(where, fake_embedder.name, fake_embedder.dim, create=True) as catalog:
        list(build(catalog, fake_embedder, [tmp_path / "music"]))
    with Catalog.open(where, read_only=True) as catalog:
        yield catalog


def test_a_file_of_the_catalog_is_not_decoded_again(indexed, fake_embedder, tmp_path):
    fake_embedder.stream = None
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
