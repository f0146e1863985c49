"""Files behind addresses that fsspec knows; its file system in memory stands for a store."""

from pathlib import Path

import fsspec
import pytest

from indexer import Added, FolderError, Missing, Skipped, Unchanged, Updated, build, find_files
from indexer.remote import Copies, look_at
from indexer.scan import absolute, is_remote


@pytest.fixture
def bucket(tone, tmp_path):
    """Three recordings, a text and a hidden file; and where they lie."""
    system = fsspec.filesystem("memory")
    for seed in range(3):
        tone(tmp_path / "m" / f"{seed}.wav", seed=seed, duration_s=2.5)
        system.put(str(tmp_path / "m" / f"{seed}.wav"), f"/bucket/sub/{seed}.wav")
    system.pipe("/bucket/notes.txt", b"text")
    system.pipe("/bucket/.hidden.wav", b"hidden")
    yield system
    system.rm("/bucket", recursive=True)


FOLDER = Path("memory://bucket")


def index(catalog, embedder, folder=FOLDER):
    return {event.path.name: type(event) for event in build(catalog, embedder, [folder])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/m", True),
        ("memory://b", True),
        ("C:/music", False),
        ("/a:/b", False),
        ("a:b", False),
    ],
)
def test_an_address_is_told_from_a_folder(text, expected):
    assert is_remote(Path(text)) == expected
    if expected:
        assert absolute(Path(text)) == Path(text)


def test_files_behind_an_address_are_found_in_order(bucket, tmp_path):
    found = list(find_files([tmp_path / "m", FOLDER, FOLDER]))
    names = [str(one.path) for one in found[3:]]
    assert names == [f"memory:/bucket/sub/{seed}.wav" for seed in range(3)]
    assert found[3].size_bytes == found[0].size_bytes
    assert found[3].mtime_ns > 0
    assert look_at(found[3].path) == found[3]
    assert look_at(FOLDER / "none.wav") is None


def test_files_behind_an_address_are_indexed_once(catalog, fake_embedder, bucket, tmp_path):
    assert set(index(catalog, fake_embedder).values()) == {Added}
    track = catalog.find(FOLDER / "sub" / "1.wav")
    assert (track.title, catalog.roots()) == ("1", [FOLDER])
    assert set(index(catalog, fake_embedder).values()) == {Unchanged}
    assert len(fake_embedder.heard) == 3
    assert not any(path.exists() for path in fake_embedder.heard)  # the copies are gone
    bucket.mv("/bucket/sub/1.wav", "/bucket/sub/new.wav")
    bucket.rm("/bucket/sub/2.wav")
    bucket.pipe("/bucket/bad.mp3", b"text")
    assert index(catalog, fake_embedder) == {
        "0.wav": Unchanged,
        "2.wav": Missing,
        "bad.mp3": Skipped,
        "new.wav": Updated,
    }
    assert catalog.remove(FOLDER) == 3


def test_a_file_of_this_machine_can_be_named_by_address(catalog, fake_embedder, bucket, tmp_path):
    found = index(catalog, fake_embedder, Path(f"file://{tmp_path / 'm'}"))
    assert set(found.values()) == {Added}


@pytest.mark.parametrize("text", ["memory://none", "nosuchscheme://b/m"])
def test_an_address_without_music_is_one_sentence(catalog, fake_embedder, text):
    with pytest.raises(FolderError, match=r"no audio file|cannot be read"):
        index(catalog, fake_embedder, Path(text))
    assert catalog.tracks() == []


def test_a_file_that_is_deleted_meanwhile_is_skipped_and_leaves_no_copy(bucket):
    copies = Copies()
    (path, *_) = (one.path for one in find_files([FOLDER]))
    copy = copies.of(path)
    assert copies.of(path) == copy
    copies.drop(path)
    assert not copy.exists()
    bucket.rm("/bucket/sub/0.wav")
    with pytest.raises(OSError, match=r"0\.wav|cannot be read"):
        copies.of(path)
    copies.close()
