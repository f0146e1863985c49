"""A row that is not what was written is told, whichever it is and whoever reads it."""

import shutil
import sqlite3

import numpy as np
import pytest

from indexer import Catalog, build
from indexer.errors import (
    DamagedCatalogError,
    DamagedRowError,
    DamagedTrackError,
    IndexerError,
)
from indexer.packing import row_checksum
from indexer.scan import AudioFile
from indexer.signed import NAMES
from indexer.tags import Tags


@pytest.fixture
def folder(catalog, fake_embedder, music):
    (music / "bad.mp3").write_text("text")
    list(build(catalog, fake_embedder, [music]))
    catalog.set_labels({1: "Ode"})
    catalog.close()
    (catalog.path / "catalog.sum").unlink()
    return catalog.path


def execute(folder, statement, *values):
    connection = sqlite3.connect(folder / "catalog.db")
    with connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(statement, values)
    connection.close()


def ask_all(folder):
    """Ask whatever reads a row that is signed."""
    with Catalog.open(folder) as catalog:
        ids, _ = catalog.track_embeddings()
        catalog.tracks()
        catalog.embeddings_of(ids.tolist())
        catalog.pitches_of(ids.tolist())
        for track_id in ids.tolist():
            catalog.segments(track_id)
        return catalog.roots(), catalog.skipped(), catalog.labels(), catalog.known()


def other(value):
    if isinstance(value, bytes):
        return value + b"x"
    if isinstance(value, str) or value is None:
        return f"{value or ''}x"
    return 1 - value if value in {0, 1} else value + 1


SIGNED = [(kind.__tablename__, name) for kind, names in NAMES.items() for name in names]


def test_a_changed_value_of_any_column_is_told(folder):
    with Catalog.write(folder) as writer:
        writer.remove(writer.tracks()[-2].path)
        writer.flush = lambda: None  # the vector file stays behind, so removals are read
    (folder / "catalog.sum").unlink(missing_ok=True)
    ask_all(folder)
    whole = (folder / "catalog.db").read_bytes()
    for table, column in SIGNED:
        connection = sqlite3.connect(folder / "catalog.db")
        asked = f"SELECT rowid, {column} FROM {table} ORDER BY rowid DESC LIMIT 1"
        ((row, value),) = connection.execute(asked)
        connection.close()
        changed = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
        execute(folder, changed, other(value), row)
        with pytest.raises(IndexerError):
            ask_all(folder)
        (folder / "catalog.db").write_bytes(whole)
    ask_all(folder)


DAMAGES = [
    ("UPDATE spans SET spans = zeroblob(length(spans)) WHERE track_id = 1", DamagedTrackError),
    ("DELETE FROM spans WHERE track_id = 1", DamagedTrackError),
    ("DELETE FROM embedding WHERE track_id = 1", DamagedTrackError),
    ("DELETE FROM recording WHERE track_id = 1", DamagedTrackError),
    ("DELETE FROM track WHERE id = 1", DamagedCatalogError),
    ("DELETE FROM label", DamagedCatalogError),
    ("DELETE FROM skip", DamagedCatalogError),
    ("DELETE FROM root", DamagedCatalogError),
    ("UPDATE embedding SET vectors = zeroblob(length(vectors))", DamagedTrackError),
    ("UPDATE recording SET chroma = x'', harmony = x''", DamagedTrackError),
    ("UPDATE skip SET reason = 'another'", DamagedRowError),
    ("UPDATE track SET is_missing = 1 - is_missing WHERE id = 2", DamagedTrackError),
]


def test_a_row_that_is_damaged_or_lost_is_told(folder):
    whole = (folder / "catalog.db").read_bytes()
    for statement, error in DAMAGES:
        execute(folder, statement)
        with pytest.raises(error):
            ask_all(folder)
        (folder / "catalog.db").write_bytes(whole)
    ask_all(folder)


@pytest.mark.parametrize("stored", [None, 7, "text"])
def test_a_path_that_is_no_bytes_is_a_sentence_in_any_table(folder, stored):
    whole = (folder / "catalog.db").read_bytes()
    for table in ("root", "skip", "track"):
        execute(
            folder,
            "UPDATE sqlite_master SET sql = replace(replace(sql, 'path BLOB NOT NULL', 'path'), "
            "'path BLOB', 'path')",
        )
        execute(folder, f"UPDATE {table} SET path = ? WHERE rowid = 1", stored)
        with pytest.raises(IndexerError, match="damaged"):
            ask_all(folder)
        (folder / "catalog.db").write_bytes(whole)


def test_a_row_that_came_since_the_vector_file_is_missed(folder, fake_embedder, music, tone):
    tone(music / "new.wav", seed=9)
    with Catalog.write(folder, fake_embedder) as writer:
        writer.flush = lambda: None
        list(build(writer, fake_embedder, [music]))
    (folder / "catalog.sum").unlink(missing_ok=True)
    execute(folder, "UPDATE embedding SET generation = 0 WHERE track_id = 6")
    with pytest.raises(DamagedCatalogError, match="holds 4 of 5"), Catalog.open(folder) as catalog:
        catalog.track_embeddings()


def test_what_goes_and_comes_is_counted(folder, fake_embedder, music, tone):
    with Catalog.write(folder, fake_embedder) as writer:
        for name in ("0.wav", "silence.wav"):
            writer.remove(music / name)
        tone(music / "1.wav", seed=12)
        list(build(writer, fake_embedder, [music]))
        (music / "2.wav").unlink()
        list(build(writer, fake_embedder, [music]))
        writer.mark_missing([t.id for t in writer.tracks()], is_missing=True)
        writer.mark_missing([writer.tracks()[0].id], is_missing=False)
        assert len(writer.tracks()) == writer.stats().n_tracks == 5
        assert writer.n_sounding() == 4
        assert len(writer.missing()) == 4
    ask_all(folder)


def test_folders_labels_and_skipped_files_are_counted(folder, fake_embedder, music, tone):
    tone(music / "z" / "4.wav", seed=4)
    (music / "worse.mp3").write_text("text")
    with Catalog.write(folder, fake_embedder) as writer:
        for _ in range(2):
            list(build(writer, fake_embedder, [music, music / "z"]))
        writer.set_labels({1: "Ode", 2: "Ode"})
        writer.set_labels({2: "Song", 3: "Song"})
        assert (len(writer.labels()), len(writer.skipped()), len(writer.roots())) == (3, 2, 2)
        writer.skip(AudioFile(music / "bad.mp3", 9, 9), "worse now")
        writer.remove(music / "2.wav")
        writer.remove(music / "z")
        tone(music / "bad.mp3", seed=8)
        (music / "worse.mp3").unlink()
        list(build(writer, fake_embedder, [music]))
        writer.unskip([music / "bad.mp3"])
        assert set(writer.labels().values()) == {"Ode", "Song"}
        assert (writer.skipped(), writer.roots()) == ([], [music])
        assert (writer.stats().n_labelled, writer.stats().n_skipped) == (2, 0)
    ask_all(folder)


def test_a_damaged_row_is_not_signed_anew(folder, fake_embedder):
    """Whoever changes one thing about a track checks the others first."""
    execute(folder, "UPDATE track SET duration_s = 99 WHERE id = 1")
    with Catalog.write(folder, fake_embedder) as writer:
        path = folder.parent / "other.wav"
        file = AudioFile(path, 1, 1, "hash")
        with pytest.raises(DamagedTrackError, match="facts of track 1 are damaged"):
            writer.describe(1, file, Tags("other"))
        with pytest.raises(DamagedTrackError):
            writer.mark_missing([1, 2], is_missing=True)


def test_the_way_out_that_the_sentence_names_is_one(folder, fake_embedder, music):
    """Whatever is damaged of a track, it can be removed and indexed again."""
    for place, statement in enumerate(
        (
            "UPDATE track SET title = 'another' WHERE id = 1",
            "UPDATE embedding SET vectors = zeroblob(length(vectors)) WHERE track_id = 1",
            "UPDATE recording SET chroma = x'' WHERE track_id = 1",
            "UPDATE label SET work = 'another'",
        )
    ):
        copy = shutil.copytree(folder, folder.with_name(str(place)))
        execute(copy, statement)
        with pytest.raises(DamagedTrackError, match="track 1"):
            ask_all(copy)
        with Catalog.write(copy, fake_embedder) as writer:
            assert writer.remove(music / "0.wav") == 1
            list(build(writer, fake_embedder, [music]))
            assert len(writer.tracks()) == 5
        ask_all(copy)


def test_checksums_are_the_same_everywhere():
    """They are kept in files, so no version of Python may compute them otherwise."""
    row = (1, b"/\xff", "Ode \u00e9\U0001f3b5", None, True, False, 1 << 40, -3, 0.1, float("inf"))
    assert row_checksum(row) == 2943807210


def test_a_number_of_numpy_is_not_stored_as_it_is(folder):
    with Catalog.write(folder) as writer, pytest.raises(TypeError, match="plain"):
        writer.set_labels({np.int64(2): "Ode"})
