"""A catalog on a PostgreSQL server: what it shares, what it refuses, and what is lost never."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from indexer import Address, Catalog, build, catalog_place, database, reembed, repair
from indexer.errors import (
    CatalogError,
    CatalogWriteError,
    DamagedCatalogError,
    FolderError,
    ForeignEmbedderError,
    NewerSchemaError,
    NoCatalogError,
)
from indexer.scan import AudioFile
from indexer.schema import REVISIONS, Words
from indexer.tags import Tags
from tests.indexer.test_reader import store

either = pytest.mark.parametrize("opening", [Catalog.open, Catalog.write], ids=["open", "write"])


@pytest.fixture
def address(server) -> Address:
    return server.emptied()


def files_of(catalog) -> list[Path]:
    return sorted(catalog.path.glob("vectors-*.bin"))


# Addresses


def test_an_address_is_shown_without_its_password():
    shown = "postgresql://me@db.example:5433/music?sslmode=require"
    address = catalog_place("postgresql://me:secret@db.example:5433/music?sslmode=require")
    assert (str(address), repr(address)) == (shown, f"Address({shown!r})")
    assert str(Address("postgresql:///music?password=secret")) == "postgresql:///music"


@pytest.mark.parametrize("text", ["music", "/music", "C:/music", "~/postgresql:x"])
def test_what_is_no_address_is_a_folder(text):
    assert isinstance(catalog_place(text), Path)


def test_an_address_of_something_else_is_refused_without_its_password():
    with pytest.raises(FolderError, match="neither a folder nor an address") as caught:
        catalog_place("mysql://me:secret@host/music")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["postgresql://host:port/x", "postgresql://me@[::1/x"])
def test_an_address_that_cannot_be_read_is_one_sentence(text, server):
    with pytest.raises(CatalogError, match="is written as postgresql://USER@HOST"):
        Catalog.open(Address(text))


# Text


@pytest.mark.parametrize("text", ["", "plain", "a\0b", "caf\udce9", "\x1b0041", "\x1b", "\ud83d"])
def test_any_text_comes_back_from_what_databases_take(text):
    words = Words()
    stored = words.process_bind_param(text, None)
    assert "\0" not in stored
    stored.encode()
    assert words.process_result_value(stored, None) == text


def test_any_text_and_any_path_come_back_from_a_server(address, fake_embedder):
    path = Path(os.fsdecode(b"/music/caf\xe9 \x01.wav"))
    odd = "nul \0 and \udce9"
    with Catalog.write(address, fake_embedder) as catalog:
        file = AudioFile(path, 1 << 40, 1 << 62, "hash")
        store(catalog, path.name, np.eye(1, 8, dtype=np.float32))
        (track,) = catalog.tracks()
        catalog.describe(track.id, file, Tags(odd, odd, odd))
        catalog.set_labels({track.id: odd})
        catalog.skip(AudioFile(path.with_name("bad"), 1, 1), odd)
    with Catalog.open(address) as catalog:
        (known,) = catalog.known()
        assert (known.file, catalog.find(path).title) == (file, odd)
        assert (catalog.labels(), catalog.skipped()[0].reason) == ({track.id: odd}, odd)


# What is searched on each machine


def test_each_machine_keeps_vector_files_of_its_own(
    address, fake_embedder, unit, monkeypatch, tmp_path
):
    with Catalog.write(address, fake_embedder) as catalog:
        ids = [store(catalog, str(number), unit(3, 8)) for number in range(4)]
        assert files_of(catalog) == []  # who only writes makes none
    folders = []
    for machine in ("one", "two"):
        monkeypatch.setenv("PEMR_CACHE", str(tmp_path / machine))
        with Catalog.open(address) as reader:
            assert reader.track_embeddings()[0].tolist() == ids
            assert len(files_of(reader)) == 1
            assert reader.path.stat().st_mode & 0o77 == 0
            folders.append(reader.path)
    assert folders[0].name == folders[1].name


def test_a_vector_file_is_brought_up_to_date_and_made_anew_when_opened(
    address, fake_embedder, unit, monkeypatch
):
    with Catalog.write(address, fake_embedder) as writer, Catalog.open(address) as reader:
        ids = [store(writer, str(number), unit(3, 8)) for number in range(4)]
        assert reader.track_embeddings()[0].tolist() == ids
        writer.delete(ids[:1])
        ids.append(store(writer, "new", unit(2, 8)))
        assert reader.track_embeddings()[0].tolist() == ids[1:]
        before = files_of(reader)
        monkeypatch.setattr(repair, "rebuilt", lambda *_: pytest.fail("made again"))
        with Catalog.open(address) as later:
            assert later.track_embeddings()[0].tolist() == ids[1:]
            assert files_of(later) != before
            assert len(files_of(later)) == 1


def test_a_file_of_another_history_is_not_believed(server, fake_embedder, unit):
    """A database that was put back from a copy has the same name and other states."""
    address = server.fresh()
    with Catalog.write(address, fake_embedder) as writer:
        kept = store(writer, "kept", unit(3, 8))
    name = address.text.rpartition("/")[2]
    server.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
    with Catalog.write(address, fake_embedder) as writer:
        store(writer, "lost", unit(3, 8))
    with Catalog.open(address) as reader:
        reader.track_embeddings()
        folder = reader.path
    server.execute(f"DROP DATABASE {name}")
    server.execute(f"ALTER DATABASE {name}_copy RENAME TO {name}")
    with Catalog.write(address, fake_embedder) as writer:
        other = unit(3, 8)
        new = store(writer, "other", other)
    with Catalog.open(address) as reader:
        assert reader.path == folder
        assert reader.nearest([other], 1).tolist() == [new]
        assert reader.track_embeddings()[0].tolist() == [kept, new]


def test_a_cache_that_cannot_be_written_is_done_without(address, fake_embedder, unit, monkeypatch):
    with Catalog.write(address, fake_embedder) as writer:
        ids = [store(writer, str(number), unit(3, 8)) for number in range(4)]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repair, "write", full)
    with Catalog.open(address) as reader:
        assert reader.track_embeddings()[0].tolist() == ids


def test_a_cache_folder_that_cannot_be_is_one_sentence(
    address, fake_embedder, monkeypatch, tmp_path
):
    Catalog.write(address, fake_embedder).close()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PEMR_CACHE", str(tmp_path / "file"))
    with pytest.raises(CatalogError, match="name a folder with PEMR_CACHE"):
        Catalog.open(address)


def test_a_server_catalog_is_changed_over_to_another_embedder(address, fake_embedder, music):
    with Catalog.write(address, fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [music]))
    with Catalog.open(address) as reader:
        before = reader.tracks()
        reader.track_embeddings()
        other = type(fake_embedder)("other", 16)
        list(reembed(address, other))
        with pytest.raises(ForeignEmbedderError):
            reader.tracks()
    assert other.heard == []
    with Catalog.open(address, "other") as reader:
        assert reader.tracks() == before
        ids, vectors = reader.track_embeddings()
        assert (len(ids), vectors.shape[1]) == (4, 16)
        assert [reader.nearest([reader.embeddings(id_)], 1).tolist() for id_ in ids.tolist()] == [
            [id_] for id_ in ids.tolist()
        ]


# Several processes


def test_many_may_write_but_who_must_be_alone_waits(address, fake_embedder):
    busy = pytest.raises(CatalogWriteError, match="another pemr is writing")
    with Catalog.write(address, fake_embedder), Catalog.write(address), busy:
        Catalog.write(address, is_alone=True)
    with Catalog.write(address, is_alone=True), busy:
        Catalog.write(address)
    Catalog.write(address).close()


def test_two_that_begin_at_once_make_one_catalog(server, fake_embedder):
    address, failures = server.fresh(), []

    def begin():
        try:
            Catalog.write(address, fake_embedder).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=begin) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_two_write_at_once_is_seen_in_order(address, fake_embedder, unit):
    with Catalog.write(address, fake_embedder) as one, Catalog.write(address) as other:
        vectors = [unit(2, 8) for _ in range(40)]

        def add(writer, first):
            for number in range(first, 40, 2):
                store(writer, str(number), vectors[number])

        thread = threading.Thread(target=add, args=(one, 0))
        thread.start()
        with Catalog.open(address) as reader:
            add(other, 1)
            reader.track_embeddings()
            thread.join()
            assert len(reader.track_embeddings()[0]) == 40
            assert reader.stats().generation == 40


def test_vectors_of_an_embedder_that_is_no_more_are_refused(address, fake_embedder, unit):
    with Catalog.write(address, fake_embedder) as writer:
        store(writer, "a", unit(2, 8))
        writer._writer_lock.release()  # as where its connection was lost
        list(reembed(address, type(fake_embedder)("other", 16)))
        with pytest.raises(ForeignEmbedderError):
            store(writer, "b", unit(2, 8))


# Bad input


@either
def test_a_server_that_is_not_there_is_one_sentence(server, opening):
    address = Address("postgresql://pemr@127.0.0.1:1/x")
    with pytest.raises(
        CatalogError, match=r"@127\.0\.0\.1:1/x: its server cannot be reached "
    ) as caught:
        opening(address)
    assert "refused" in str(caught.value)
    assert "\n" not in str(caught.value)


@either
@pytest.mark.parametrize(
    ("database", "password", "sentence"),
    [
        ("postgres", "wrong", r"refuses the password; .* PGPASSWORD"),
        ("none", None, "no such database on its server; make it with `createdb`"),
    ],
)
def test_what_a_server_refuses_is_one_sentence(server, opening, database, password, sentence):
    address = server.address(database, password) if password else server.address(database)
    with pytest.raises(CatalogError, match=sentence) as caught:
        opening(address)
    assert str(password) not in str(caught.value)


@either
def test_an_empty_database_is_no_catalog(server, opening):
    with pytest.raises(NoCatalogError, match="pemr index FOLDER"):
        opening(server.fresh())


@pytest.mark.parametrize("table", ["customer", "alembic_version"])
def test_the_database_of_another_program_is_left_alone(server, fake_embedder, table):
    address = server.fresh()
    name = address.text.rpartition("/")[2]
    server.execute(f"CREATE TABLE {table} (id int)", name)
    with pytest.raises(NoCatalogError):
        Catalog.open(address)
    with pytest.raises(CatalogWriteError, match="tables of another program"):
        Catalog.write(address, fake_embedder)
    assert server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [
        (1,)
    ]


def test_a_database_without_unicode_is_refused(server, fake_embedder):
    address = server.fresh("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(CatalogWriteError, match="createdb --encoding UTF8"):
        Catalog.write(address, fake_embedder)


@either
def test_a_database_of_a_newer_version_is_refused(server, fake_embedder, opening):
    address = server.fresh()
    Catalog.write(address, fake_embedder).close()
    name = address.text.rpartition("/")[2]
    server.execute("UPDATE alembic_version SET version_num = '9999'", name)
    with pytest.raises(NewerSchemaError, match="upgrade pemr"):
        opening(address)


def test_a_database_of_an_older_version_is_brought_up_to_date_by_who_is_alone(
    server, fake_embedder, monkeypatch
):
    address = server.fresh()
    name = address.text.rpartition("/")[2]
    with Catalog.write(address, fake_embedder):
        server.execute(f"UPDATE alembic_version SET version_num = '{REVISIONS[-2]}'", name)
        with pytest.raises(CatalogError, match="made by an older pemr"):
            Catalog.open(address)
        with pytest.raises(CatalogWriteError, match="must end before it is brought up to date"):
            Catalog.write(address)
    upgraded = []
    monkeypatch.setattr(database, "_upgrade", upgraded.append)
    Catalog.write(address).close()
    assert len(upgraded) == 1


def test_a_database_that_lost_its_number_is_damaged(server, fake_embedder):
    address = server.emptied()
    Catalog.write(address, fake_embedder).close()
    server.execute("TRUNCATE change", "shared")
    with pytest.raises(DamagedCatalogError, match="put a copy of it back"):
        Catalog.open(address)


def test_a_reader_writes_nothing(address, fake_embedder):
    Catalog.write(address, fake_embedder).close()
    refused = pytest.raises(CatalogWriteError, match="read-only")
    with Catalog.open(address) as reader, reader._engine.connect() as connection, refused:
        connection.exec_driver_sql("DELETE FROM track")
