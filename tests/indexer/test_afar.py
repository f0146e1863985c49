"""A catalog whose vectors are in an engine by address: the whole way, from files to answers."""

import numpy as np
import pytest

from indexer import Catalog, afar, build, reembed
from indexer.errors import NoCatalogError, VectorStoreError
from tests.conftest import FakeEmbedder
from tests.engine import ADDRESS


@pytest.fixture
def moved(engine, built):
    """A catalog that was built with files, and its vectors moved to an engine."""
    built.keep_vectors(ADDRESS)
    built.flush()
    return built


def answers(catalog):
    ids, rows = catalog.track_embeddings()
    found = [catalog.nearest([catalog.embeddings(i)], 3).tolist() for i in ids.tolist()]
    return (
        ids.tolist(),
        rows.round(3).tolist(),
        found,
        catalog.neighbours(ids).hubness().round(4).tolist(),
    )


def test_answers_are_those_of_a_file(engine, built):
    with Catalog.open(built.path) as catalog:
        before = answers(catalog)
        built.keep_vectors(ADDRESS)
        built.flush()
        assert answers(catalog) == before  # it follows, though it was opened before
        assert catalog.mean_length() > 1
        assert len(catalog.gaining([catalog.embeddings(1)], 3, 0.9)) >= 1
    assert list(built.path.glob("vectors-*.bin")) == []


def test_the_catalog_remembers_where_its_vectors_are(engine, moved, fake_embedder, music, tone):
    expected = answers(moved)
    moved.close()
    with Catalog.open(moved.path) as catalog:
        assert answers(catalog) == expected
    tone(music / "new.wav", seed=9)
    engine.n_put = 0
    with Catalog.write(moved.path, fake_embedder) as again:
        list(build(again, fake_embedder, [music]))
        track = again.find(music / "new.wav")
        assert again.nearest([again.embeddings(track.id)], 1).tolist() == [track.id]
        assert engine.n_put == 0  # it is searched before it is put
    assert engine.n_put == 1


def test_a_removed_track_is_gone_there_too(engine, moved, music):
    track = moved.find(music / "0.wav")
    vectors = moved.embeddings(track.id)
    moved.remove(music / "0.wav")
    assert track.id not in moved.nearest([vectors], 9)
    moved.flush()
    moved.close()
    with Catalog.open(moved.path) as catalog:
        assert track.id not in catalog.nearest([vectors], 9)
        assert track.id not in catalog.track_embeddings()[0]


def test_another_embedder_makes_the_collection_anew(engine, moved):
    moved.close()
    list(reembed(moved.path, FakeEmbedder("other", dim=16)))
    with Catalog.open(moved.path, "other") as catalog:
        ids, rows = catalog.track_embeddings()
        assert rows.shape == (4, 16)
        assert catalog.nearest([catalog.embeddings(int(ids[2]))], 1).tolist() == [int(ids[2])]


def test_vectors_move_back_into_files(engine, moved):
    expected = answers(moved)
    moved.keep_vectors("files")
    moved.close()
    engine.is_away = True
    with Catalog.open(moved.path) as catalog:
        assert answers(catalog) == expected
    assert len(list(moved.path.glob("vectors-*.bin"))) == 1


def test_an_engine_that_is_away_loses_nothing(engine, moved, fake_embedder, music, tone):
    moved.close()
    tone(music / "new.wav", seed=9)
    writer = Catalog.write(moved.path, fake_embedder)
    list(build(writer, fake_embedder, [music]))
    engine.is_away = True
    with pytest.raises(VectorStoreError, match=r"tracks: no server can be reached"):
        writer.close()
    with Catalog.open(moved.path) as catalog:
        assert len(catalog.tracks()) == 6  # nobody needs the engine for that
        assert catalog.n_sounding() == 5
        with pytest.raises(VectorStoreError, match="no server"):
            catalog.nearest([catalog.embeddings(1)], 1)
        engine.is_away = False
        assert catalog.nearest([catalog.embeddings(1)], 1).tolist() == [1]
    with Catalog.write(moved.path):
        engine.n_put = 0
    assert engine.n_put == 1


def test_a_collection_that_was_lost_is_said_so_and_filled_again(engine, moved):
    expected = answers(moved)
    moved.close()
    engine.opened().delete()
    with Catalog.open(moved.path) as catalog, pytest.raises(VectorStoreError, match="pemr repair"):
        catalog.nearest([catalog.embeddings(1)], 1)
    with Catalog.write(moved.path) as writer:
        assert sum(writer.refill()) == 4
    with Catalog.open(moved.path) as catalog:
        assert answers(catalog) == expected


def test_filling_again_puts_only_what_is_missing(engine, moved):
    engine.n_put = 0
    assert sum(moved.refill()) == 4
    assert engine.n_put == 0
    engine.opened().drop(np.array([2]))
    assert sum(moved.refill()) == 4
    assert engine.n_put == 1


def test_a_reader_finds_all_while_everything_is_gone_through(engine, moved):
    expected = answers(moved)
    with Catalog.open(moved.path) as reader:
        told = moved.refill()
        next(told)
        with Catalog.open(moved.path) as newer:
            assert answers(newer) == answers(reader) == expected
        assert list(told) == []
        assert answers(reader) == expected


def test_no_transaction_stays_open_after_an_answer(engine, moved, monkeypatch):
    monkeypatch.setattr("indexer.stores.remote._COUNTED_LENGTH", 0)
    with Catalog.open(moved.path) as reader:
        before = reader.mean_length()
        answers(reader)
        moved.delete([1])
        assert 1 not in answers(reader)[0]
        assert reader.mean_length() == before  # as it is among very many tracks
        assert reader._engine.pool.checkedout() == 0


def test_files_are_made_again_too(built):
    built.flush()
    (path,) = built.path.glob("vectors-*.bin")
    path.write_bytes(b"damaged")
    assert list(built.refill()) == []
    (again,) = built.path.glob("vectors-*.bin")
    assert again.stat().st_size > 100


def test_a_collection_of_another_catalog_is_left_alone(engine, moved, tmp_path, music):
    embedder = FakeEmbedder()
    other = Catalog.write(tmp_path / "other", embedder)
    other.keep_vectors(ADDRESS)
    list(build(other, embedder, [music]))
    with pytest.raises(VectorStoreError, match="of another catalog; name another collection"):
        other.close()
    assert moved.nearest([moved.embeddings(1)], 1).tolist() == [1]


def test_what_was_not_put_yet_is_searched_in_memory(engine, catalog, fake_embedder, music):
    catalog.keep_vectors(ADDRESS)
    list(build(catalog, fake_embedder, [music]))
    engine.is_away = True  # nothing was asked of it so far
    assert catalog.nearest([catalog.embeddings(1)], 1).tolist() == [1]
    engine.is_away = False


def test_a_large_catalog_that_was_never_filled_is_not_searched_in_memory(
    engine, built, monkeypatch
):
    monkeypatch.setattr(afar, "EXACT_LENGTH", 2)
    built.keep_vectors(ADDRESS)
    with pytest.raises(VectorStoreError, match="not filled yet"):
        built.n_sounding()


def test_a_wrong_address_changes_nothing(built):
    with pytest.raises(VectorStoreError, match="write qdrant://"):
        built.keep_vectors("http://in.process:6333/tracks")
    built.close()
    with Catalog.open(built.path) as catalog:
        assert catalog.n_sounding() == 4


def test_the_same_address_again_fills_nothing(engine, moved):
    moved.keep_vectors(ADDRESS)
    engine.n_put = 0
    moved.flush()
    assert engine.n_put == 0


def test_a_key_is_never_written_down(engine, moved, monkeypatch):
    monkeypatch.setenv("PEMR_QDRANT_API_KEY", "secret-key")
    moved.close()
    assert b"secret-key" not in (moved.path / "catalog.db").read_bytes()


def test_without_the_extra_one_sentence_says_what_to_install(built, monkeypatch):
    monkeypatch.setattr(afar, "find_spec", lambda _: None)
    with pytest.raises(VectorStoreError, match=r"pip install 'pemr-covers\[qdrant\]'"):
        built.keep_vectors(ADDRESS)


def test_a_place_that_nobody_reaches_is_not_kept(built):
    with pytest.raises(VectorStoreError):
        built.keep_vectors("qdrant://127.0.0.1:1/tracks")
    assert built.vectors_at == "files"
    built.flush()
    assert built.n_sounding() == 4


def test_no_catalog_is_made_for_an_address_alone(tmp_path):
    with pytest.raises(NoCatalogError):
        Catalog.write(tmp_path / "nothing")


def test_a_catalog_on_a_server_keeps_its_vectors_there_too(
    server, engine, fake_embedder, music, tone
):
    place = server.emptied()
    with Catalog.write(place, fake_embedder) as first:
        first.keep_vectors(ADDRESS)
        list(build(first, fake_embedder, [music]))
    assert engine.n_put == 4
    with Catalog.open(place) as reader:
        assert reader.nearest([reader.embeddings(1)], 1).tolist() == [1]
        tone(music / "new.wav", seed=9)
        with Catalog.write(place, fake_embedder) as second:
            list(build(second, fake_embedder, [music]))
            track = second.find(music / "new.wav")
            second.remove(music / "0.wav")
        assert engine.n_put == 5
        assert reader.nearest([reader.embeddings(track.id)], 1).tolist() == [track.id]
        assert 1 not in reader.track_embeddings()[0]
    assert list(reader.path.glob("vectors-*.bin")) == []
