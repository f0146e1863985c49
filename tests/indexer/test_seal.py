"""A database that is not what was written is told, and never answers otherwise."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from indexer import Catalog, CatalogError, DamagedCatalogError, IndexerError, build
from indexer.database import open_engine
from indexer.errors import DamagedTrackError
from indexer.seal import check_seal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def built(tmp_path, tone, fake_embedder):
    for seed in range(5):
        tone(tmp_path / "music" / f"{seed}.wav", seed=seed)
    with Catalog.write(tmp_path / "catalog", fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [tmp_path / "music"]))
    return tmp_path / "catalog"


def said(folder):
    """All that a catalog answers."""
    with Catalog.open(folder) as catalog:
        ids, vectors = catalog.track_embeddings()
        tracks = catalog.tracks()
        near = catalog.nearest([vectors[:1]], 3, without=catalog.missing()).tolist()
        spans = [catalog.segments(track.id).tolist() for track in tracks]
        pitches = catalog.pitches_of([track.id for track in tracks])
        others = [catalog.roots(), catalog.skipped(), catalog.labels(), catalog.known(), spans]
        others += [[one.tobytes() for one in both] for both in pitches]
        found = [catalog.find(track.path) for track in tracks]
        recordings = catalog.recordings_of([track.id for track in tracks])
    return [ids.tolist(), vectors.tobytes(), tracks, near, others, [*map(str, recordings)], found]


def test_one_damaged_byte_anywhere_is_the_same_answer_or_one_sentence(built, rng):
    """In the database, in the vector files, and in the seal."""
    before = said(built)
    outcomes = []
    for path in sorted(path for path in built.iterdir() if path.stat().st_size):
        content = path.read_bytes()
        for place in rng.integers(0, len(content), 60):
            damaged = bytearray(content)
            damaged[place] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            try:
                assert said(built) == before, (path.name, place)
            except CatalogError as error:
                outcomes.append((path.name, str(error)))
            path.write_bytes(content)
    assert {name for name, _ in outcomes} == {"catalog.db"}
    assert not [sentence for _, sentence in outcomes if "\n" in sentence]
    assert said(built) == before


@pytest.mark.parametrize("seed", range(2))
def test_without_a_seal_too_one_damaged_byte_never_answers_otherwise(built, seed):
    """As in a catalog that is too large for a seal, or whose writer was killed."""
    (built / "catalog.sum").unlink()
    rng = np.random.default_rng(seed)
    before = said(built)
    content = (built / "catalog.db").read_bytes()
    sentences = []
    for place in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        (built / "catalog.db").write_bytes(damaged)
        try:
            *others, recordings, found = said(built)
            assert others == before[:-2], (place, damaged[place])
            # What is not found, or damaged, is read from its file instead.
            assert all(
                one in {two, "None"} for one, two in zip(recordings, before[-2], strict=True)
            )
            assert all(one in (two, None) for one, two in zip(found, before[-1], strict=True))
        except IndexerError as error:
            sentences.append(str(error))
    assert not [sentence for sentence in sentences if "\n" in sentence]


def test_zeros_over_a_page_are_told_with_the_way_out(built):
    with (built / "catalog.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(bytes(4096))
    with pytest.raises(DamagedCatalogError, match="put a copy of the folder back") as caught:
        Catalog.open(built)
    assert caught.value.what.startswith("catalog.db is not")
    with pytest.raises(DamagedCatalogError):
        Catalog.write(built)


def test_without_the_seal_what_is_left_can_be_read(built):
    with (built / "catalog.db").open("r+b") as file:
        file.seek(28)
        file.write(b"\0\0\0\0")  # how many pages there are, which SQLite counts for itself
    (built / "catalog.sum").unlink()
    assert len(said(built)[2]) == 5


def test_an_error_of_sqlite_is_a_sentence_whoever_asks(built):
    (built / "catalog.sum").unlink()
    content = (built / "catalog.db").read_bytes()
    (built / "catalog.db").write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    with pytest.raises(DamagedCatalogError, match=r"catalog.db \(.+\)"):
        said(built)
    engine = open_engine(built, read_only=True)
    with pytest.raises(CatalogError), engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    engine.dispose()


def test_a_database_put_back_from_a_copy_is_no_damage(built, tmp_path, tone, fake_embedder):
    shutil.copy(built / "catalog.db", tmp_path / "copy.db")
    tone(tmp_path / "music" / "more.wav", seed=9)
    with Catalog.write(built) as catalog:
        list(build(catalog, fake_embedder, [tmp_path / "music"]))
    shutil.copy(tmp_path / "copy.db", built / "catalog.db")
    assert len(said(built)[2]) == 5


def test_the_seal_is_broken_while_somebody_writes_and_made_again(built):
    assert (built / "catalog.sum").exists()
    with Catalog.write(built) as writer:
        assert not (built / "catalog.sum").exists()
        writer.remove(writer.tracks()[0].path)
        assert len(said(built)[2]) == 4
    assert (built / "catalog.sum").exists()
    check_seal(built)


def test_what_a_reader_keeps_in_the_log_is_not_sealed(built):
    with Catalog.open(built) as reader:
        reader.tracks()
        with Catalog.write(built) as writer:
            writer.remove(writer.tracks()[0].path)
        assert not (built / "catalog.sum").exists()
    assert len(said(built)[2]) == 4


AS_NOBODY = """
import os, sys
from pathlib import Path
from indexer import Catalog, CatalogError
import indexer.catalog
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    with Catalog.open(Path(sys.argv[1])) as catalog:
        print(len(catalog.tracks()))
except CatalogError as error:
    print(error)
"""


def read_as_nobody(folder, of_parent=0o755):
    """Read a copy of a catalog as one who may not write it; pytest's folders are for us alone."""
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        copy = shutil.copytree(folder, Path(open_to_all) / "catalog")
        for path in copy.iterdir():
            path.chmod(0o444)
        copy.chmod(0o555)
        Path(open_to_all).chmod(of_parent)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(copy)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        Path(open_to_all).chmod(0o755)
        copy.chmod(0o755)
    return done.stdout + done.stderr[-300:]


def test_a_catalog_that_one_may_not_write_can_be_read(built):
    assert read_as_nobody(built) == "5\n"


@pytest.mark.parametrize("with_shared_memory", [True, False])
def test_a_log_that_cannot_be_read_is_never_passed_over(built, with_shared_memory, tmp_path):
    with Catalog.write(built) as writer:
        writer.remove(writer.tracks()[0].path)
        copy = tmp_path / "copied"
        shutil.copytree(built, copy)
    assert (copy / "catalog.db-wal").stat().st_size
    if not with_shared_memory:
        (copy / "catalog.db-shm").unlink()
    told = read_as_nobody(copy)
    assert told == "4\n" or "copy the folder to where it can" in told


def test_a_string_that_is_no_text_is_a_sentence(built):
    (built / "catalog.sum").unlink()
    connection = sqlite3.connect(built / "catalog.db")
    with connection:
        connection.execute("UPDATE track SET title = CAST(x'ff' AS TEXT) WHERE id = 1")
    connection.close()
    with pytest.raises(DamagedCatalogError, match="decode"):
        said(built)


def test_a_schema_that_is_no_text_is_a_sentence(built):
    (built / "catalog.sum").unlink()
    content = (built / "catalog.db").read_bytes()
    assert b"CREATE TABLE embedding" in content
    (built / "catalog.db").write_bytes(content.replace(b"NOT NULL", b"N\xc4T NULL"))
    with pytest.raises(CatalogError) as caught:
        said(built)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stored", [None, 7, "text"])
def test_a_path_that_is_no_bytes_is_a_sentence(built, stored):
    (built / "catalog.sum").unlink()
    connection = sqlite3.connect(built / "catalog.db")
    with connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'path BLOB NOT NULL', 'path')"
        )
    connection.close()
    connection = sqlite3.connect(built / "catalog.db")
    with connection:
        connection.execute("UPDATE track SET path = ? WHERE id = 1", (stored,))
    connection.close()
    with pytest.raises(DamagedTrackError, match="track 1 are damaged"):
        said(built)


def test_a_catalog_below_a_folder_that_one_may_not_read_is_a_sentence(built):
    told = read_as_nobody(built, of_parent=0o000)
    assert "may not be read" in told
    assert "Traceback" not in told
