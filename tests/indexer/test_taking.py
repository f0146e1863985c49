"""A worker that knows of no file before it takes it: it does what one that knows all would do."""

from collections import Counter

import pytest

from indexer import Added, Catalog, Plan, Unchanged, Updated, build
from indexer.claimed import TakingRun
from indexer.reader import Reader
from tests.conftest import FakeEmbedder
from tests.indexer.test_hashes import make_old, twin_header


@pytest.fixture
def music(four):
    return four


@pytest.fixture
def writer(server, fake_embedder, music):
    """A catalog on a server that holds the music."""
    with Catalog.write(server.emptied(), fake_embedder) as catalog:
        list(build(catalog, fake_embedder, [music]))
        fake_embedder.heard.clear()
        yield catalog


def taken(writer, embedder, music, *, rescan=False):
    """Offer all files, and have a worker do them."""
    with Catalog.write(writer.place, embedder) as catalog, catalog.claiming([music]) as claims:
        claims.offer(sorted(music.iterdir()))
        plan = Plan((music,), (), 0, 0, rescan=rescan)
        return {e.path.name: e for e in TakingRun(catalog, embedder, plan, claims).files()}


def kinds(events):
    return {name: type(event) for name, event in events.items()}


def test_nothing_is_read_of_files_that_are_not_taken(writer, music, tone, monkeypatch):
    asked = []
    known = Reader.known

    def noted(self, paths=None):
        asked.append(paths)
        return known(self, paths)

    monkeypatch.setattr(Reader, "known", noted)
    new, embedder = tone(music / "new.wav", seed=9), FakeEmbedder()
    events = taken(writer, embedder, music)
    assert kinds(events) == {**{f"{n}.wav": Unchanged for n in range(4)}, "new.wav": Added}
    assert embedder.heard == [new]
    assert None not in asked


def test_files_that_were_renamed_keep_their_tracks(writer, music, tone, fake_embedder):
    """Two of them of the same audio: each new name is given to a track of its own."""
    tone(music / "copy.wav", seed=0)
    list(build(writer, fake_embedder, [music]))
    tracks = {writer.find(music / name).id for name in ("0.wav", "copy.wav")}
    (music / "0.wav").rename(music / "first.wav")
    (music / "copy.wav").rename(music / "second.wav")
    tone(music / "third.wav", seed=0)
    events = taken(writer, fake_embedder, music)
    names = ("first.wav", "second.wav", "third.wav")
    found = {name: writer.find(music / name).id for name in names}
    assert Counter(type(events[name]) for name in names) == {Updated: 2, Added: 1}
    assert set(found.values()) > tracks
    assert fake_embedder.heard == []


def test_a_copy_is_not_embedded(writer, music, tone, fake_embedder):
    tone(music / "copy.wav", seed=2)
    assert kinds(taken(writer, fake_embedder, music))["copy.wav"] is Added
    assert fake_embedder.heard == []


def test_what_has_an_old_hash_is_embedded_again(writer, music, fake_embedder):
    """It says nothing of how its packets are coded, and others of that hash may have a new one."""
    wrong = twin_header(music / "2.wav", music / "a wrong.wav", 4000)
    list(build(writer, fake_embedder, [music]))
    fake_embedder.heard.clear()
    hashes = {track.id: track.audio_hash for track in writer.tracks()}
    make_old(writer)
    taken(writer, fake_embedder, music)
    assert set(fake_embedder.heard) == {wrong, *(music / f"{seed}.wav" for seed in range(4))}
    assert {track.id: track.audio_hash for track in writer.tracks()} == hashes


def test_every_file_is_read_again_where_that_is_wished(writer, music, fake_embedder):
    assert set(kinds(taken(writer, fake_embedder, music, rescan=True)).values()) == {Unchanged}
    assert fake_embedder.heard == []
