"""Which recording a file holds, told by its packets and how they are coded."""

from dataclasses import replace
from pathlib import Path

import pytest

from indexer import AudioFile, Unchanged, Updated, duplicate_groups
from indexer.tags import read_tags
from tests.indexer.conftest import kinds


@pytest.fixture
def music(four):
    return four


def twin_header(path: Path, other: Path, sample_rate: int) -> Path:
    """Copy a WAV with another sample rate in its header: the same packets."""
    content = bytearray(path.read_bytes())
    content[24:28] = sample_rate.to_bytes(4, "little")
    other.write_bytes(content)
    return other


@pytest.mark.parametrize("name", ["a first.wav", "z last.wav"])
def test_a_wrong_header_poisons_no_good_file(catalog, index, music, fake_embedder, name):
    """The same packets at another rate are another recording, whichever comes first."""
    wrong = twin_header(music / "2.wav", music / name, 4000)
    index()
    assert sorted(fake_embedder.heard) == sorted(music.iterdir())
    good, bad = catalog.find(music / "2.wav"), catalog.find(wrong)
    assert good.audio_hash != bad.audio_hash
    assert (good.duration_s, bad.duration_s) == (2.0, 4.0)
    assert duplicate_groups(catalog) == []


def make_old(catalog):
    """Give all tracks the hash that they had when packets alone were hashed."""
    for track in catalog.tracks():
        file = AudioFile(track.path, track.path.stat().st_size, track.path.stat().st_mtime_ns)
        old = replace(file, audio_hash=file.hashed().packet_hash)
        catalog.describe(track.id, old, read_tags(track.path))


def test_old_hashes_are_renewed_without_decoding(catalog, index, music, fake_embedder):
    index()
    hashes = [track.audio_hash for track in catalog.tracks()]
    make_old(catalog)
    assert all(track.audio_hash.startswith("packets:") for track in catalog.tracks())
    assert set(kinds(index()).values()) == {Unchanged}
    assert fake_embedder.heard == []
    assert [track.audio_hash for track in catalog.tracks()] == hashes


def test_what_an_old_hash_took_for_a_copy_is_decoded_once(catalog, index, music, fake_embedder):
    wrong = twin_header(music / "2.wav", music / "a wrong.wav", 4000)
    index()
    make_old(catalog)
    index()
    assert fake_embedder.heard == [wrong]  # the later one; the other was embedded first
    assert catalog.find(wrong).audio_hash != catalog.find(music / "2.wav").audio_hash


def test_a_renamed_file_with_an_old_hash_is_not_decoded(catalog, index, music, fake_embedder):
    index()
    make_old(catalog)
    (music / "0.wav").rename(music / "renamed.wav")
    assert index()["renamed.wav"] == Updated(music / "renamed.wav", "renamed")
    assert fake_embedder.heard == []
