"""Vector files that a machine keeps of a catalog on a server, made while others search."""

from threading import Event

import pytest

from indexer import Address, Catalog, kept, repair, searched
from tests.indexer.test_reader import store


@pytest.fixture
def address(server) -> Address:
    return server.emptied()


def files_of(catalog):
    return sorted(catalog.path.glob("vectors-*.bin"))


@pytest.fixture
def large(monkeypatch):
    """Count catalogs of more than three tracks as large, and files as outgrown by two changes."""
    for module in (repair, searched, kept):
        monkeypatch.setattr(module, "EXACT_LENGTH", 3)
    monkeypatch.setattr(repair, "is_outdated", lambda n_changed, _: n_changed > 2)


def test_a_large_vector_file_is_made_anew_in_the_background(
    address, fake_embedder, unit, monkeypatch, large
):
    let_go, began, whole = Event(), Event(), repair.write_again

    def slow(*what):
        began.set()
        assert let_go.wait(30)
        whole(*what)

    monkeypatch.setattr(repair, "write_again", slow)
    with Catalog.write(address, fake_embedder) as writer, Catalog.open(address) as reader:
        ids = [store(writer, str(number), unit(4, 8)) for number in range(5)]
        assert reader.track_embeddings()[0].tolist() == ids
        before = files_of(reader)
        ids += [store(writer, f"more {number}", unit(2, 8)) for number in range(3)]
        assert reader.track_embeddings()[0].tolist() == ids  # it answers meanwhile
        assert began.wait(30)
        assert files_of(reader) == before
        writer.delete(ids[:1])
        assert reader.track_embeddings()[0].tolist() == ids[1:]
        let_go.set()
        reader._files.close()
        assert files_of(reader) != before
        assert reader._held.searched.n_changed == 4
        assert reader.track_embeddings()[0].tolist() == ids[1:]
        assert reader._held.searched.n_changed == 1  # as the file is newer than the deletion


def test_a_file_that_cannot_be_made_in_the_background_is_tried_once(
    address, fake_embedder, unit, monkeypatch, large
):
    tried = []

    def full(*what):
        tried.append(what)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repair, "write_again", full)
    with Catalog.write(address, fake_embedder) as writer, Catalog.open(address) as reader:
        ids = [store(writer, str(number), unit(4, 8)) for number in range(5)]
        assert reader.track_embeddings()[0].tolist() == ids
        for number in range(5):
            ids.append(store(writer, f"more {number}", unit(2, 8)))
            assert reader.track_embeddings()[0].tolist() == ids
    assert len(tried) == 1
