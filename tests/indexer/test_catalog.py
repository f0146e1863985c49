import os
import sqlite3
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from indexer import Catalog, Track, build, hash_audio
from indexer.errors import (
    CatalogError,
    CatalogWriteError,
    ForeignEmbedderError,
    NoCatalogError,
)
from tests.indexer.conftest import execute


def by_name(catalog, name) -> Track:
    return next(track for track in catalog.tracks() if track.path.name == name)


either = pytest.mark.parametrize("opening", [Catalog.open, Catalog.write], ids=["open", "write"])


def test_a_track_says_what_was_stored(built, music):
    assert by_name(built, "1.wav") == Track(
        id=2,
        path=music / "1.wav",
        title="1",
        artist=None,
        album=None,
        duration_s=3.5,
        is_silent=False,
        is_missing=False,
        n_segments=4,
        audio_hash=hash_audio(music / "1.wav"),
    )


def test_tracks_are_found_by_id_path_and_audio(built, music):
    track = by_name(built, "2.wav")
    assert built.track(track.id) == track
    assert built.find(music / "sub" / ".." / "2.wav") == track
    assert built.find_audio(track.audio_hash) == [track]


def test_what_is_not_there_is_not_found(built, music):
    assert built.find(music / "none.wav") is None
    assert built.find_audio("0" * 32) == []
    with pytest.raises(KeyError):
        built.track(99)


def test_a_relative_path_is_found(built, music, monkeypatch):
    monkeypatch.chdir(music)
    assert built.find(Path("2.wav")) is not None


def test_segments_come_back_as_the_embedder_gave_them(built, fake_embedder, music):
    track = by_name(built, "1.wav")
    recording = fake_embedder.listen(music / "1.wav")
    (expected,) = fake_embedder.embed([recording])
    np.testing.assert_array_equal(built.embeddings(track.id), expected)
    np.testing.assert_array_equal(built.segments(track.id), [[0, 1], [1, 2], [2, 3], [3, 3.5]])
    np.testing.assert_array_equal(built.pitches_of([track.id])[0].chroma, recording.chroma)
    assert built.embeddings(track.id).dtype == np.float32


def test_what_is_known_of_a_file_tells_whether_it_changed(built, music):
    known = next(one for one in built.known() if one.file.path.name == "1.wav")
    status = (music / "1.wav").stat()
    assert known.track_id == 2
    assert (known.file.size_bytes, known.file.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert known.file.audio_hash == hash_audio(music / "1.wav")
    assert known.is_embedded
    assert not known.is_missing


def test_a_silent_track_is_listed_and_matches_nothing(built):
    track = by_name(built, "silence.wav")
    assert track.is_silent
    assert track.n_segments == 0
    assert built.embeddings(track.id).shape == (0, 8)
    assert built.segments(track.id).shape == (0, 2)
    assert built.pitches_of([track.id])[0].chroma.shape[0] == 12
    ids, _ = built.track_embeddings()
    assert track.id not in ids


def test_a_track_vector_is_the_unit_mean_of_its_segments(built):
    ids, vectors = built.track_embeddings()
    for id_, vector in zip(ids, vectors, strict=True):
        mean = built.embeddings(int(id_)).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_a_track_finds_itself_first(built):
    ids, _ = built.track_embeddings()
    for id_ in ids.tolist():
        assert built.nearest([built.embeddings(id_)], 1).tolist() == [id_]


def test_what_is_near_can_be_asked_among_some_tracks_and_without_others(built):
    ids, _ = built.track_embeddings()
    own = built.embeddings(int(ids[0]))
    assert built.nearest([own], 1, only=ids[1:2]).tolist() == ids[1:2].tolist()
    assert ids[0] not in built.nearest([own], 9, without=ids[:1])
    assert len(built.nearest([own], 9, without=ids)) == 0


def test_a_track_whose_file_is_gone_is_listed_as_missing(built):
    track = by_name(built, "1.wav")
    assert built.missing().tolist() == []
    built.mark_missing([track.id], is_missing=True)
    assert built.missing().tolist() == [track.id]


def test_an_empty_catalog_answers_with_nothing(catalog):
    ids, vectors = catalog.track_embeddings()
    assert (ids.shape, vectors.shape) == ((0,), (0, 8))
    assert catalog.nearest([np.ones((2, 8), np.float32)], 5).tolist() == []
    assert (catalog.n_sounding(), catalog.mean_length()) == (0, 1.0)


def test_the_figures_add_up(built, music):
    stats = built.stats()
    expected = {
        "embedder": "fake",
        "dim": 8,
        "generation": 5,
        "n_tracks": 5,
        "n_segments": 3 + 4 + 5 + 6,
        "n_silent": 1,
        "n_missing": 0,
        "n_skipped": 0,
        "n_labelled": 0,
        "n_damaged": 0,
        "vectors_at": "files",
        "n_unrecorded": 0,
        "duration_s": 2.5 + 3.5 + 4.5 + 5.5 + 2,
        "roots": (music,),
    }
    found = {field.name: getattr(stats, field.name) for field in fields(stats)}
    assert found.pop("size_bytes") > 10_000
    assert 0 < found.pop("recordings_bytes") < stats.size_bytes
    assert found == expected


def test_removing_a_file_removes_one_track(built, music):
    assert built.remove(music / "1.wav") == 1
    assert built.find(music / "1.wav") is None
    assert len(built.tracks()) == 4
    assert built.remove(music / "1.wav") == 0


def test_removing_a_folder_removes_what_is_below_it_and_no_neighbour(
    catalog, fake_embedder, tmp_path, tone
):
    for name in ("a/1.wav", "a/b/2.wav", "a.wav", "ab/3.wav"):
        tone(tmp_path / "m" / name, seed=len(name))
    list(build(catalog, fake_embedder, [tmp_path / "m"]))
    assert catalog.remove(tmp_path / "m" / "a") == 2
    assert sorted(track.path.name for track in catalog.tracks()) == ["3.wav", "a.wav"]


def test_a_removed_track_is_not_found_now_nor_after_opening_again(built, music):
    track = by_name(built, "1.wav")
    vectors = built.embeddings(track.id)
    built.remove(track.path)
    assert track.id not in built.nearest([vectors], 20)
    built.close()
    with Catalog.open(built.place) as again:
        assert track.id not in again.nearest([vectors], 20)


def test_an_id_is_never_used_twice(built, fake_embedder, music):
    last = max(track.id for track in built.tracks())
    built.remove(music)
    list(build(built, fake_embedder, [music]))
    assert min(track.id for track in built.tracks()) > last


def test_a_catalog_opened_again_holds_the_same(built):
    before = built.tracks(), built.track_embeddings()
    built.close()
    with Catalog.write(built.place) as again:
        assert again.tracks() == before[0]
        for mine, other in zip(again.track_embeddings(), before[1], strict=True):
            np.testing.assert_array_equal(mine, other)


def test_the_embedder_can_be_asked_for(built):
    assert Catalog.embedder_of(built.place) == "fake"


def test_another_embedder_is_refused_with_the_way_out(built, fake_embedder):
    built.close()
    other = type(fake_embedder)("cover@12345678", 8)
    for opening in (
        lambda: Catalog.open(built.place, other.name),
        lambda: Catalog.write(built.place, other),
    ):
        with pytest.raises(ForeignEmbedderError, match="pemr reembed --embedder cover") as caught:
            opening()
        assert (caught.value.stored, caught.value.asked) == ("fake", "cover@12345678")
    with Catalog.write(built.place):
        pass


@either
def test_a_folder_without_a_catalog_says_so(tmp_path, opening):
    with pytest.raises(NoCatalogError, match="pemr index FOLDER"):
        opening(tmp_path)
    assert list(tmp_path.iterdir()) == []


@either
@pytest.mark.in_folder
def test_a_damaged_database_is_one_sentence(built, opening):
    built.close()
    (built.path / "catalog.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError, match="damaged"):
        opening(built.place)


def test_an_empty_database_is_no_catalog_yet(tmp_path, fake_embedder):
    (tmp_path / "catalog.db").write_bytes(b"")
    with pytest.raises(NoCatalogError):
        Catalog.open(tmp_path, "fake")
    with Catalog.write(tmp_path, fake_embedder) as made:
        assert made.tracks() == []


@pytest.mark.in_folder
def test_a_second_writer_is_told_to_wait(built):
    with pytest.raises(CatalogWriteError, match="another pemr"):
        Catalog.write(built.place)


def test_a_reader_sees_what_is_written_but_not_inside_of_a_snapshot(built, music):
    with Catalog.open(built.place, "fake") as reader:
        n_tracks = len(reader.tracks())
        with reader.snapshot():
            built.remove(music / "1.wav")
            assert len(reader.tracks()) == n_tracks
            assert reader.n_sounding() == n_tracks - 1  # without the silent one
        assert len(reader.tracks()) == n_tracks - 1
        assert reader.n_sounding() == n_tracks - 2


def read_only_disk(monkeypatch):
    """As root, no permission stops SQLite; refuse what a read-only disk refuses."""
    really = sqlite3.connect

    def connect(target, **options):
        if "immutable=1" in str(target):
            return really(target, **options)
        if "mode=ro" in str(target):
            raise sqlite3.OperationalError("unable to open database file")
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(sqlite3, "connect", connect)


@pytest.mark.in_folder
def test_a_catalog_on_a_read_only_disk_can_be_searched(built, monkeypatch):
    built.close()
    read_only_disk(monkeypatch)
    with Catalog.open(built.place, "fake") as reader:
        ids, _ = reader.track_embeddings()
        assert reader.nearest([reader.embeddings(int(ids[0]))], 1).tolist() == [ids[0]]


@pytest.mark.in_folder
def test_a_catalog_on_a_read_only_disk_cannot_be_written(built, monkeypatch):
    built.close()
    read_only_disk(monkeypatch)
    with pytest.raises(CatalogWriteError, match="cannot be written here"):
        Catalog.write(built.place)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, fake_embedder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CatalogWriteError, match="another folder with --catalog"):
        Catalog.write(tmp_path / "new", fake_embedder)


@pytest.mark.in_folder
def test_tracks_can_be_removed_though_the_vector_files_are_lost(built, music):
    """Making room on a full disk must not need room for vector files first."""
    built.close()
    for path in built.path.glob("*.bin"):
        path.unlink()
    with Catalog.write(built.place) as again:
        assert list(built.path.glob("*.bin")) == []
        assert again.remove(music / "1.wav") == 1
    assert len(list(built.path.glob("*.bin"))) == 1


def test_labels_follow_the_track_and_go_with_it(built, music):
    first, second = by_name(built, "1.wav"), by_name(built, "2.wav")
    built.set_labels({first.id: "Ode", second.id: "Lied"})
    built.set_labels({second.id: "Hymn"})
    assert built.labels() == {first.id: "Ode", second.id: "Hymn"}
    built.remove(first.path)
    assert built.labels() == {second.id: "Hymn"}


def test_names_that_are_not_utf8_are_kept(built, fake_embedder, music, tone):
    path = music / os.fsdecode(b"caf\xe9.wav")
    tone(path, seed=77)
    list(build(built, fake_embedder, [music]))
    assert built.find(path).path == path
    assert built.remove(path) == 1


def test_a_recording_comes_back_as_it_was_heard(built, fake_embedder, music):
    heard = fake_embedder.listen(music / "1.wav")
    (kept, *_) = built.recordings_of([by_name(built, "1.wav").id])
    restored = fake_embedder.restore(kept)
    assert restored.duration_s == heard.duration_s
    for name in ("spectrogram", "chroma", "harmony"):
        np.testing.assert_array_equal(getattr(restored, name), getattr(heard, name))


def test_recordings_come_in_the_order_asked(built):
    (first,), (second,) = built.recordings_of([3]), built.recordings_of([2])
    swapped = built.recordings_of([2, 3])
    np.testing.assert_array_equal(swapped[0]["spectrogram"], second["spectrogram"])
    np.testing.assert_array_equal(swapped[1]["spectrogram"], first["spectrogram"])


@pytest.mark.in_folder
def test_a_damaged_recording_is_not_believed(built):
    execute(built.path, "UPDATE recording SET spectrogram = x'0102' WHERE track_id = 2")
    assert [kept is None for kept in built.recordings_of([1, 2])] == [False, True]


@pytest.mark.parametrize("content", [None, b""])
def test_without_a_catalog_no_embedder_can_be_asked_for(tmp_path, content):
    if content is not None:
        (tmp_path / "catalog.db").write_bytes(content)
    with pytest.raises(NoCatalogError):
        Catalog.embedder_of(tmp_path)
