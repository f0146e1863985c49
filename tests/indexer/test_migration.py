"""A catalog of before, or of after, opened by this version."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer import Added, AudioFile, Catalog, Unchanged, build, carry_out, plan
from indexer.errors import CatalogError, DamagedRowError, NewerSchemaError
from indexer.packing import row_checksum
from indexer.scan import OLD_HASH
from indexer.schema import REVISIONS
from tests.indexer.conftest import execute, packet_hash

either = pytest.mark.parametrize("opening", [Catalog.open, Catalog.write], ids=["open", "write"])


NEW_OF_TRACK = (
    "track_number", "isrc", "mb_recording", "mb_release", "mb_artist", "mb_work", "raw_tags",
    "added_s", "n_segments", "pitches_checksum", "checksum",
)  # fmt: skip

OF_CATALOG = "id, embedder, dim, generation, merged, token, n_tracks, n_sounding, vectors"
COUNTS = ("n_roots", "n_labels", "n_skips")
_SEGMENT = (
    "CREATE TABLE segment (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, track_id INTEGER NOT NULL"
    " REFERENCES track (id) ON DELETE CASCADE, start_s DOUBLE NOT NULL, end_s DOUBLE NOT NULL)"
)
BEFORE_SIGNATURES = (
    _SEGMENT,
    "CREATE INDEX ix_segment_track_id ON segment (track_id)",
    "DROP TABLE spans",
    *(f"ALTER TABLE track DROP COLUMN {name}" for name in NEW_OF_TRACK),
    *(
        f"ALTER TABLE catalog DROP COLUMN {name}"
        for name in ("n_tracks", "n_sounding", "checksum", "vectors", *COUNTS)
    ),
    *(f"ALTER TABLE {table} DROP COLUMN checksum" for table in ("root", "skip", "label")),
)


def turn_back(folder: Path) -> None:
    """Give a catalog the schema of before recordings were kept, and its hashes of packets alone."""
    with Catalog.open(folder) as catalog:
        tracks = catalog.tracks()
        hashes = {track.id: packet_hash(track.path) for track in tracks}
        spans = [(t.id, *span) for t in tracks for span in catalog.segments(t.id).tolist()]
    for track_id, found in hashes.items():
        execute(folder, f"UPDATE track SET audio_hash = '{found}' WHERE id = {track_id}")
    key = "track_id INTEGER NOT NULL PRIMARY KEY REFERENCES track (id) ON DELETE CASCADE"
    for statement in (
        f"CREATE TABLE chroma ({key}, frames BLOB NOT NULL)",
        "INSERT INTO chroma SELECT track_id, chroma FROM recording",
        "DROP TABLE recording",
        "DROP TABLE removal",
        "DROP TABLE change",
        "DROP TABLE claim",
        "DROP INDEX ix_track_missing",
        "DROP INDEX ix_embedding_generation",
        "ALTER TABLE embedding DROP COLUMN generation",
        "ALTER TABLE catalog DROP COLUMN merged",
        "ALTER TABLE catalog DROP COLUMN token",
        "ALTER TABLE track DROP COLUMN damage",
        "ALTER TABLE track DROP COLUMN promised_s",
        "ALTER TABLE track DROP COLUMN album_artist",
        "ALTER TABLE track DROP COLUMN year",
        "ALTER TABLE embedding DROP COLUMN checksum",
        *BEFORE_SIGNATURES,
        "UPDATE alembic_version SET version_num = '0001'",
    ):
        execute(folder, statement)
    for span in spans:
        execute(folder, f"INSERT INTO segment (track_id, start_s, end_s) VALUES {span}")


def test_a_catalog_of_before_is_migrated_without_decoding(built, fake_embedder):
    tracks = built.tracks()
    kept = [
        (built.pitches_of([t.id])[0].chroma, built.embeddings(t.id), built.segments(t.id))
        for t in tracks
    ]
    built.close()
    turn_back(built.path)
    fake_embedder.heard.clear()
    with Catalog.write(built.path) as new:
        hashed = [replace(t, audio_hash=OLD_HASH + packet_hash(t.path)) for t in tracks]
        assert new.tracks() == hashed
        for track, before in zip(tracks, kept, strict=True):
            now = (
                new.pitches_of([track.id])[0].chroma,
                new.embeddings(track.id),
                new.segments(track.id),
            )
            for mine, theirs in zip(now, before, strict=True):
                np.testing.assert_array_equal(mine, theirs)
        assert new.recordings_of([track.id for track in tracks]) == [None] * 5
        assert new.stats().n_unrecorded == 4
        assert all(known.is_embedded and not known.is_recorded for known in new.known())
    assert fake_embedder.heard == []


def test_indexing_again_fills_in_what_is_not_recorded(built, fake_embedder, music):
    tracks = built.tracks()
    built.set_labels({2: "Ode"})
    built.close()
    turn_back(built.path)
    with Catalog.write(built.path) as new:
        assert {type(event) for event in build(new, fake_embedder, [music])} == {Unchanged}
        planned = plan(new, [music], again=True)
        assert (planned.n_unchanged, planned.again) == (0, True)
        assert {type(event) for event in carry_out(new, fake_embedder, planned)} == {Added}
        assert new.tracks() == tracks
        assert new.labels() == {2: "Ode"}
        assert new.stats().n_unrecorded == 0
        assert None not in new.recordings_of([track.id for track in tracks])
        assert plan(new, [music], again=True).n_unchanged == 5


def test_what_a_catalog_of_before_counts_is_counted_once(built):
    built.set_labels({1: "Ode", 2: "Ode"})
    built.skip(AudioFile(Path("/music/bad.mp3"), 1, 1), "no sound")
    before = built.stats(), built.labels(), built.skipped(), built.roots()
    built.close()
    copy = shutil.copytree(built.path, built.path.with_name("damaged"))
    for folder in (built.path, copy):
        for name in COUNTS:
            execute(folder, f"ALTER TABLE catalog DROP COLUMN {name}")
        execute(folder, "UPDATE alembic_version SET version_num = '0008'")
    with closing(sqlite3.connect(built.path / "catalog.db")) as connection:
        (row,) = connection.execute(f"SELECT {OF_CATALOG} FROM catalog").fetchall()
    execute(built.path, f"UPDATE catalog SET checksum = {row_checksum(row)}")
    with Catalog.write(built.path) as new:
        after = new.stats(), new.labels(), new.skipped(), new.roots()
    assert replace(after[0], size_bytes=before[0].size_bytes) == before[0]
    assert after[1:] == before[1:]
    execute(copy, "UPDATE catalog SET n_tracks = 9")
    with pytest.raises(DamagedRowError, match="catalog"):  # and it is not signed anew
        Catalog.write(copy)


def test_the_embedder_of_a_catalog_of_before_can_be_asked_for(built):
    built.close()
    turn_back(built.path)
    assert Catalog.embedder_of(built.path) == "fake"


@either
def test_a_newer_schema_is_refused(built, opening):
    built.close()
    execute(built.path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchemaError, match="upgrade pemr"):
        opening(built.path)


def test_an_older_schema_is_left_alone_by_a_reader(built, monkeypatch):
    built.close()
    monkeypatch.setattr("indexer.database.REVISIONS", (*REVISIONS, "9998"))
    with pytest.raises(CatalogError, match="older pemr"):
        Catalog.open(built.path, "fake")
