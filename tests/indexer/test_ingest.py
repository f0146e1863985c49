import errno
import os
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer import (
    Added,
    Catalog,
    Missing,
    Removed,
    Skipped,
    Unchanged,
    Updated,
    build,
    carry_out,
    duplicate_groups,
    plan,
)
from indexer.errors import CatalogWriteError, FolderError
from tests.conftest import FakeEmbedder
from tests.indexer.conftest import kinds


@pytest.fixture
def music(four):
    return four


def test_a_first_build_adds_every_file_in_order(catalog, fake_embedder, music):
    events = list(build(catalog, fake_embedder, [music]))
    assert events == [
        Added(music / f"{seed}.wav", track_id=seed + 1, duration_s=2.0, is_silent=False)
        for seed in range(4)
    ]


def test_a_second_build_decodes_nothing(index, fake_embedder):
    index()
    assert set(kinds(index()).values()) == {Unchanged}
    assert fake_embedder.heard == []


def test_a_new_file_is_all_that_is_decoded(index, fake_embedder, music, tone):
    index()
    tone(music / "9.wav", seed=9)
    assert kinds(index())["9.wav"] is Added
    assert fake_embedder.heard == [music / "9.wav"]


def test_silence_is_added_and_marked(index, music, tone, catalog):
    tone(music / "silence.wav", seed=-1)
    assert index()["silence.wav"].is_silent
    assert catalog.find(music / "silence.wav").is_silent


def test_a_renamed_file_keeps_its_track_and_is_not_decoded(index, fake_embedder, music, catalog):
    index()
    before = catalog.find(music / "1.wav")
    (music / "1.wav").rename(music / "new name.wav")
    events = index()
    assert events["new name.wav"] == Updated(music / "new name.wav", "renamed")
    assert "1.wav" not in events
    assert fake_embedder.heard == []
    after = catalog.find(music / "new name.wav")
    assert (after.id, after.title) == (before.id, "new name")


def test_a_touched_file_is_described_again_and_not_decoded(index, fake_embedder, music):
    index()
    os.utime(music / "1.wav", ns=(0, 0))
    assert index()["1.wav"] == Updated(music / "1.wav", "retagged")
    assert fake_embedder.heard == []
    assert set(kinds(index()).values()) == {Unchanged}


def test_other_audio_under_an_old_name_is_embedded_in_place(index, music, tone, catalog):
    index()
    before = catalog.find(music / "1.wav")
    catalog.set_labels({before.id: "Ode"})
    tone(music / "1.wav", seed=50, duration_s=3.0)
    assert kinds(index())["1.wav"] is Added
    after = catalog.find(music / "1.wav")
    assert after.id == before.id
    assert (after.n_segments, after.duration_s) == (3, 3.0)
    assert catalog.labels() == {before.id: "Ode"}
    assert catalog.nearest([catalog.embeddings(after.id)], 1).tolist() == [after.id]


def test_two_files_that_swap_names_swap_their_vectors(index, music, catalog):
    index()
    one, two = (catalog.find(music / name) for name in ("1.wav", "2.wav"))
    vectors = catalog.embeddings(one.id), catalog.embeddings(two.id)
    (music / "1.wav").rename(music / "x")
    (music / "2.wav").rename(music / "1.wav")
    (music / "x").rename(music / "2.wav")
    for name in ("1.wav", "2.wav"):
        os.utime(music / name, ns=(0, 0))
    index()
    np.testing.assert_array_equal(catalog.embeddings(one.id), vectors[1])
    np.testing.assert_array_equal(catalog.embeddings(two.id), vectors[0])


def test_a_copy_is_listed_and_not_decoded_again(index, fake_embedder, music, tone, catalog):
    tone(music / "copy.wav", seed=2)
    assert kinds(index())["copy.wav"] is Added
    assert len(fake_embedder.heard) == 4
    (pair,) = duplicate_groups(catalog)
    assert [track.path.name for track in pair] == ["2.wav", "copy.wav"]
    np.testing.assert_array_equal(catalog.embeddings(pair[0].id), catalog.embeddings(pair[1].id))


def test_a_copy_made_later_is_not_decoded(index, fake_embedder, music, tone):
    index()
    tone(music / "copy.wav", seed=2)
    assert kinds(index())["copy.wav"] is Added
    assert fake_embedder.heard == []


def test_copies_of_a_bad_file_are_each_skipped(index, music):
    for name in ("a.mp3", "b.mp3"):
        (music / name).write_text("no sound")
    events = index()
    assert [type(events[name]) for name in ("a.mp3", "b.mp3")] == [Skipped, Skipped]


@pytest.mark.parametrize("content", [b"", b"this is text", b"RIFF\x10\0\0\0WAVEfmt "])
def test_a_bad_file_is_skipped_and_the_rest_goes_on(index, music, content, catalog):
    (music / "0 bad.mp3").write_bytes(content)
    events = index()
    assert events["0 bad.mp3"] == Skipped(music / "0 bad.mp3", "no sound in here")
    assert sum(kind is Added for kind in kinds(events).values()) == 4
    (remembered,) = catalog.skipped()
    assert remembered.file.path.name == "0 bad.mp3"
    assert remembered.reason == "no sound in here"


def test_a_bad_file_is_not_tried_again_but_reported_again(index, fake_embedder, music):
    (music / "bad.mp3").write_text("text")
    first = index()
    assert index()["bad.mp3"] == first["bad.mp3"]
    assert fake_embedder.heard == []


def test_a_bad_file_that_is_mended_is_added(index, music, tone, catalog):
    (music / "bad.wav").write_text("text")
    index()
    tone(music / "bad.wav", seed=8)
    assert kinds(index())["bad.wav"] is Added
    assert catalog.skipped() == []


def test_a_track_whose_file_went_bad_is_missing(index, music, catalog, tone):
    index()
    (music / "1.wav").write_text("text")
    assert kinds(index())["1.wav"] is Skipped
    assert catalog.find(music / "1.wav").is_missing
    tone(music / "1.wav", seed=1)
    index()
    assert not catalog.find(music / "1.wav").is_missing


def test_a_file_that_cannot_be_read_is_tried_again_next_time(index, music, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(sys.modules["indexer.scan"], "_hash_bytes", refuse)
    monkeypatch.setattr(sys.modules["indexer.scan"], "_hash_packets", refuse)
    events = index()
    assert events["1.wav"] == Skipped(music / "1.wav", "permission denied")
    monkeypatch.undo()
    assert set(kinds(index()).values()) == {Added}


def test_an_error_of_the_system_on_one_file_skips_that_file(
    index, fake_embedder, music, monkeypatch
):
    really = fake_embedder.listen

    def listen(source):
        if source.name == "2.wav":
            raise OSError(errno.EIO, "Input/output error")
        return really(source)

    monkeypatch.setattr(fake_embedder, "listen", listen)
    events = index()
    assert events.pop("2.wav") == Skipped(music / "2.wav", "input/output error")
    assert set(kinds(events).values()) == {Added}
    monkeypatch.undo()
    assert kinds(index())["2.wav"] is Added


def test_our_own_mistake_is_not_blamed_on_the_file(index, fake_embedder, monkeypatch):
    def listen(source):
        raise ZeroDivisionError

    monkeypatch.setattr(fake_embedder, "listen", listen)
    with pytest.raises(ZeroDivisionError):
        index()
    assert not [one for one in threading.enumerate() if one.name.startswith("reader-")]


def test_a_vanished_file_is_marked_and_reported_every_time(index, music, catalog):
    index()
    (music / "1.wav").unlink()
    for _ in range(2):
        assert index()["1.wav"] == Missing(music / "1.wav")
        assert catalog.find(music / "1.wav").is_missing


def test_a_file_that_comes_back_is_no_longer_missing(index, fake_embedder, music, catalog):
    index()
    (music / "1.wav").rename(music.parent / "away")
    index()
    (music.parent / "away").rename(music / "1.wav")
    assert kinds(index())["1.wav"] is Unchanged
    assert not catalog.find(music / "1.wav").is_missing
    assert fake_embedder.heard == []


def test_prune_deletes_what_vanished(index, music, catalog):
    index()
    (music / "1.wav").unlink()
    assert index(prune=True)["1.wav"] == Removed(music / "1.wav")
    assert catalog.find(music / "1.wav") is None
    assert len(catalog.tracks()) == 3


def test_prune_refuses_when_the_whole_folder_is_gone(index, music, catalog):
    index()
    for path in music.iterdir():
        path.unlink()
    with pytest.raises(FolderError, match="mounted"):
        index(prune=True)
    assert len(catalog.tracks()) == 4


def test_prune_refuses_when_a_folder_inside_was_a_disk_of_its_own(
    catalog, fake_embedder, music, tone
):
    tone(music / "disk" / "a.wav", seed=20)
    list(build(catalog, fake_embedder, [music / "disk"]))
    list(build(catalog, fake_embedder, [music]))
    (music / "disk" / "a.wav").unlink()
    with pytest.raises(FolderError, match="nothing was pruned"):
        list(build(catalog, fake_embedder, [music], prune=True))
    assert len(catalog.tracks()) == 5


def test_other_folders_are_left_alone(catalog, fake_embedder, music, tmp_path, tone):
    tone(tmp_path / "other" / "a.wav", seed=30)
    list(build(catalog, fake_embedder, [music, tmp_path / "other"]))
    (tmp_path / "other" / "a.wav").unlink()
    events = list(build(catalog, fake_embedder, [music], prune=True))
    assert {type(event) for event in events} == {Unchanged}


def test_what_is_below_an_unreachable_folder_is_not_missing(index, music, tone, monkeypatch):
    tone(music / "sub" / "a.wav", seed=40)
    index()
    really = os.scandir

    def refuse(folder):
        if Path(folder).name == "sub":
            raise PermissionError(13, "Permission denied")
        return really(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    events = index(prune=True)
    assert events["sub"] == Skipped(music / "sub", "cannot be read: Permission denied")
    assert "a.wav" not in events
    monkeypatch.undo()
    assert kinds(index())["a.wav"] is Unchanged


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_folder_without_music_is_an_error_before_anything_is_done(
    catalog, fake_embedder, music, name
):
    (music / "empty").mkdir()
    with pytest.raises(FolderError):
        list(build(catalog, fake_embedder, [music, music / name / "x", music / name]))
    assert catalog.tracks() == []


def test_a_plan_counts_before_anything_is_read(catalog, fake_embedder, music, tone):
    list(build(catalog, fake_embedder, [music]))
    tone(music / "9.wav", seed=9)
    (music / "bad.mp3").write_text("text")
    found = plan(catalog, [music])
    assert (found.folders, found.n_files, found.n_unchanged) == ((music,), 6, 4)
    assert [file.path.name for file in found.found][-1] == "bad.mp3"
    assert len(list(carry_out(catalog, fake_embedder, found))) == 6


def test_odd_names_are_indexed(index, music, tone):
    odd = ["with space.wav", 'it\'s "quoted".wav', "\N{GUITAR}.wav", os.fsdecode(b"caf\xe9.wav")]
    for seed, name in enumerate(odd):
        tone(music / name, seed=100 + seed)
    events = index()
    assert all(type(events[name]) is Added for name in odd)
    assert set(kinds(index()).values()) == {Unchanged}


@pytest.mark.in_folder
def test_a_full_disk_loses_nothing_that_was_stored(index, music, catalog, fake_embedder, tone):
    index()
    with catalog._engine.connect() as connection:
        n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={n_pages + 2}")
    for seed in range(60, 70):
        tone(music / f"{seed}.wav", seed=seed, duration_s=60)
    with pytest.raises(CatalogWriteError, match=r"disk is full.*make room"):
        index()
    n_stored = len(catalog.tracks())
    assert 4 <= n_stored < 14
    catalog.close()
    with Catalog.write(catalog.path) as again:
        assert len(again.tracks()) == n_stored
        events = list(build(again, fake_embedder, [music]))
        assert sum(type(event) is Added for event in events) == 14 - n_stored


@pytest.mark.in_folder
def test_a_disk_too_full_for_the_vector_files_keeps_the_rows(
    catalog, fake_embedder, music, monkeypatch
):
    list(build(catalog, fake_embedder, [music]))

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CatalogWriteError, match="disk is full"):
        catalog.close()
    monkeypatch.undo()
    with Catalog.open(catalog.path, "fake") as again:
        assert len(again.track_embeddings()[0]) == 4


def test_an_interrupted_build_keeps_what_it_stored(catalog, fake_embedder, music):
    events = build(catalog, fake_embedder, [music])
    next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    assert len(catalog.tracks()) == 1
    assert not [one for one in threading.enumerate() if one.name.startswith("reader-")]
    kinds_after = [type(event) for event in build(catalog, fake_embedder, [music])]
    assert kinds_after == [Unchanged, Added, Added, Added]


def test_what_was_changed_in_place_is_found_by_a_rescan(catalog, fake_embedder, music, index, tone):
    index()
    status = (music / "1.wav").stat()
    tone(music / "1.wav", seed=50)
    os.utime(music / "1.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert kinds(index())["1.wav"] is Unchanged
    planned = plan(catalog, [music], rescan=True)
    events = {event.path.name: event for event in carry_out(catalog, fake_embedder, planned)}
    assert kinds(events) == {
        "0.wav": Unchanged, "1.wav": Added, "2.wav": Unchanged, "3.wav": Unchanged,
    }  # fmt: skip


class HalfDeaf(FakeEmbedder):
    """Says of one file that half of it is gone."""

    def listen(self, source: Path):
        heard = super().listen(source)
        if source.name != "1.wav":
            return heard
        return replace(heard, damage="ends after 2.0 of 4.0 seconds", promised_s=4.0)


def test_a_damaged_track_says_so_as_long_as_it_is_there(catalog, music):
    embedder = HalfDeaf()
    damage = "ends after 2.0 of 4.0 seconds"
    first = {one.path.name: one for one in build(catalog, embedder, [music])}
    assert first["1.wav"].damage == damage
    again = {one.path.name: one for one in build(catalog, embedder, [music])}
    assert again["1.wav"] == Unchanged(music / "1.wav", damage)
    track = catalog.find(music / "1.wav")
    assert (track.damage, track.promised_s, track.duration_s) == (damage, 4.0, 2.0)
    assert catalog.stats().n_damaged == 1
    shutil.copy(music / "1.wav", music / "copy.wav")
    events = {one.path.name: one for one in build(catalog, embedder, [music])}
    assert events["copy.wav"].damage == damage
    os.utime(music / "1.wav")
    events = {one.path.name: one for one in build(catalog, embedder, [music])}
    assert events["1.wav"] == Updated(music / "1.wav", "retagged", damage)
