"""What befalls disks, clocks and files meanwhile: said so, nothing half-written."""

import errno
import os
import shutil
import sqlite3
import time
from itertools import cycle

import numpy as np
import pytest
from sqlalchemy import Engine, event

from indexer import Added, Catalog, CatalogError, Skipped, Unchanged, Updated, build
from indexer.errors import CatalogWriteError


class FullDisk:
    """Lets so many writes through, and then none until it is emptied."""

    def __init__(self, monkeypatch):
        self.left = 10**9
        event.listen(Engine, "before_cursor_execute", self._execute)
        event.listen(Engine, "commit", self._write_row)
        for name in ("replace", "fsync"):
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))

    def remove(self):
        event.remove(Engine, "before_cursor_execute", self._execute)
        event.remove(Engine, "commit", self._write_row)

    def _is_full(self):
        self.left -= 1
        return self.left < 0

    def _write_row(self, *_):
        if self._is_full():
            raise sqlite3.OperationalError("database or disk is full")

    def _execute(self, *arguments):
        statement = arguments[2]
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            self._write_row()

    def _guarded(self, function):
        def call(*arguments, **options):
            if self._is_full():
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments, **options)

        return call


@pytest.fixture
def disk(monkeypatch):
    made = FullDisk(monkeypatch)
    yield made
    made.remove()


def content(folder):
    with Catalog.open(folder) as catalog:
        ids, vectors = catalog.track_embeddings()
        tracks = [(track.path.name, track.n_segments) for track in catalog.tracks()]
        return tracks, ids.tolist(), vectors.tobytes()


@pytest.mark.in_folder
def test_a_disk_that_is_full_at_any_write_loses_nothing(disk, tmp_path, tone, fake_embedder):
    music = tmp_path / "music"
    for seed in range(2):
        tone(music / f"{seed}.wav", seed=seed)

    def index(folder):
        with Catalog.write(folder, fake_embedder) as catalog:
            list(build(catalog, fake_embedder, [music]))

    index(tmp_path / "calm")
    n_writes = 10**9 - disk.left
    calm = content(tmp_path / "calm")
    sentences = []
    for n_before in range(0, n_writes, 3):
        folder = tmp_path / str(n_before)
        disk.left = n_before
        try:
            index(folder)
        except CatalogWriteError as error:
            sentences.append(str(error))
        disk.left = 10**9
        index(folder)
        assert content(folder) == calm, n_before
    assert len(sentences) > n_writes // 6
    assert all("the disk is full" in sentence for sentence in sentences)


def test_a_catalog_that_disappears_is_told_or_answers_as_before(built, fake_embedder, music):
    before = [track.path for track in built.tracks()]
    built.close()
    with Catalog.open(built.path) as reader:
        shutil.rmtree(built.path)
        try:
            assert [track.path for track in reader.tracks()] == before
        except CatalogError as error:
            told = str(error)
        else:
            told = ""
    assert "\n" not in told
    with pytest.raises(CatalogError, match="there is none here"):
        Catalog.open(built.path)

    def index():
        with Catalog.write(built.path, fake_embedder) as writer:
            events = build(writer, fake_embedder, [music])
            next(events)
            shutil.rmtree(built.path)
            list(events)

    with pytest.raises(CatalogError, match="is gone; is its disk still mounted"):
        index()


def test_a_clock_that_jumps_changes_nothing(catalog, fake_embedder, music, index, monkeypatch):
    moments = cycle([2e9, 0.0, -5.0, 1e11])
    monkeypatch.setattr(time, "time", lambda: next(moments))
    for place, path in enumerate(sorted(music.iterdir())):
        second = (-1, 0, 2**31, 2**33, 4)[place]  # before 1970, and long after now
        os.utime(path, ns=(second * 10**9, second * 10**9))
    assert {type(one) for one in index().values()} == {Added}
    assert {type(one) for one in index().values()} == {Unchanged}
    os.utime(music / "0.wav", (7, 7))
    assert type(index()["0.wav"]) is Updated
    assert fake_embedder.heard == []


def test_a_file_that_changes_while_it_is_read_is_taken_up_again(
    catalog, fake_embedder, music, index, tone, monkeypatch
):
    """Nor does a copy of what it was get the vectors of what it is."""
    listen = fake_embedder.listen
    shutil.copy(music / "1.wav", music / "as it was.wav")

    def interrupted(path):
        if path.name == "1.wav":
            tone(music / "1.wav", seed=77, duration_s=9)
        return listen(path)

    monkeypatch.setattr(fake_embedder, "listen", interrupted)
    event_of = index()["1.wav"]
    assert isinstance(event_of, Skipped)
    assert "changed while it was read" in event_of.reason
    monkeypatch.undo()
    events = index()
    assert type(events["1.wav"]) is Added
    assert type(events["as it was.wav"]) is Unchanged
    with Catalog.write(catalog.path.with_name("calm"), fake_embedder) as calm:
        list(build(calm, fake_embedder, [music]))
        for track in calm.tracks():
            own = catalog.find(track.path)
            np.testing.assert_array_equal(calm.embeddings(track.id), catalog.embeddings(own.id))
