import numpy as np
import pytest

from indexer import Added, Catalog, Missing, Skipped, Unchanged, build, reembed
from indexer.errors import CatalogWriteError, ForeignEmbedderError, NoCatalogError
from tests.conftest import forget_spectrograms


@pytest.fixture
def music(tmp_path, tone):
    for seed in range(3):
        tone(tmp_path / "music" / f"{seed}.wav", seed=seed, duration_s=3)
    tone(tmp_path / "music" / "copy.wav", seed=0, duration_s=3)
    return tmp_path / "music"


@pytest.fixture
def path(catalog, fake_embedder, music):
    list(build(catalog, fake_embedder, [music]))
    catalog.close()
    return catalog.path


@pytest.fixture
def old_path(path):
    """A catalog from before recordings were kept: chroma alone is there."""
    forget_spectrograms(path)
    return path


@pytest.fixture
def other(fake_embedder):
    return type(fake_embedder)("other@12345678", 16)


def test_every_track_is_embedded_anew_under_its_old_id(path, other, music):
    with Catalog.open(path) as old:
        ids = {track.path: track.id for track in old.tracks()}
        old.close()
    events = list(reembed(path, other))
    assert {event.path: event.track_id for event in events} == ids
    with Catalog.open(path, "other@12345678") as new:
        assert {track.path: track.id for track in new.tracks()} == ids
        (expected,) = other.embed([other.listen(music / "1.wav")])
        np.testing.assert_array_equal(new.embeddings(ids[music / "1.wav"]), expected)
        assert new.track_embeddings()[1].shape == (4, 16)


def test_what_the_catalog_keeps_is_not_decoded_again(path, other, music):
    (music / "1.wav").unlink()
    assert {type(event) for event in reembed(path, other)} == {Added}
    assert other.heard == []


def test_a_copy_is_decoded_once_where_no_recording_is_kept(old_path, other):
    list(reembed(old_path, other))
    assert len(other.heard) == 3


def test_recordings_that_were_decoded_are_kept(old_path, other):
    list(reembed(old_path, other))
    with Catalog.open(old_path) as new:
        assert None not in new.recordings_of([track.id for track in new.tracks()])
        assert new.stats().n_unrecorded == 0


def test_recordings_that_were_restored_stay(path, other):
    with Catalog.open(path) as old:
        before = old.recordings_of([1, 2, 3, 4])
    list(reembed(path, other))
    with Catalog.open(path) as new:
        for mine, theirs in zip(new.recordings_of([1, 2, 3, 4]), before, strict=True):
            for name, part in theirs.items():
                np.testing.assert_array_equal(mine[name], part)


def test_the_old_index_serves_until_the_new_one_is_complete(path, other):
    events = reembed(path, other)
    next(events)
    with Catalog.open(path, "fake") as old:
        ids, vectors = old.track_embeddings()
        assert vectors.shape == (4, 8)
        for id_ in ids.tolist():
            (nearest,) = old.nearest([old.embeddings(id_)], 1).tolist()
            np.testing.assert_array_equal(old.embeddings(nearest), old.embeddings(id_))
    list(events)
    assert Catalog.embedder_of(path) == "other@12345678"


def test_a_reader_that_was_there_before_ends_what_it_does_and_is_then_told(path, other):
    with Catalog.open(path, "fake") as old:
        before = old.embeddings(1)
        with old.snapshot():
            list(reembed(path, other))
            np.testing.assert_array_equal(old.embeddings(1), before)
            assert old.track_embeddings()[1].shape == (4, 8)
        for question in (old.tracks, old.track_embeddings, lambda: old.embeddings(1)):
            with pytest.raises(ForeignEmbedderError, match="other@12345678"):
                question()


def test_it_goes_on_where_it_was_interrupted(path, other, music):
    events = reembed(path, other)
    done = next(events).path
    events.close()
    other.heard.clear()
    again = {event.path: type(event) for event in reembed(path, other)}
    assert again[done] is Unchanged
    assert done not in other.heard
    assert len(again) == 4


def test_an_unfinished_change_to_yet_another_embedder_is_forgotten(path, other, fake_embedder):
    events = reembed(path, type(fake_embedder)("third", 4))
    next(events)
    events.close()
    assert {type(event) for event in reembed(path, other)} == {Added}


def test_a_missing_file_stays_listed_and_is_embedded_when_it_is_back(old_path, other, music):
    (music / "1.wav").rename(music.parent / "away")
    events = {event.path.name: event for event in reembed(old_path, other)}
    assert events["1.wav"] == Missing(music / "1.wav")
    with Catalog.write(old_path) as new:
        track = new.find(music / "1.wav")
        assert (track.n_segments, new.pitches_of([track.id])[0].chroma.shape) == (0, (12, 0))
        (music.parent / "away").rename(music / "1.wav")
        events = {event.path.name: event for event in build(new, other, [music])}
        assert events["1.wav"] == Added(music / "1.wav", track.id, 3.0, is_silent=False)
        assert events["2.wav"] == Unchanged(music / "2.wav")


def test_a_copy_stands_in_for_a_missing_file(old_path, other, music):
    (music / "0.wav").unlink()
    events = {event.path.name: type(event) for event in reembed(old_path, other)}
    assert events["0.wav"] is Added


def test_a_file_that_changed_is_left_to_the_next_build(old_path, other, music, tone):
    tone(music / "1.wav", seed=30, duration_s=4)
    events = {event.path.name: event for event in reembed(old_path, other)}
    assert events["1.wav"] == Skipped(
        music / "1.wav", "changed since it was indexed; `pemr index` takes it up again"
    )
    with Catalog.write(old_path, other) as new:
        again = {event.path.name: event for event in build(new, other, [music])}
        assert type(again["1.wav"]) is Added


def test_a_file_that_the_new_embedder_cannot_read_is_reported(old_path, other, music, monkeypatch):
    really = other.listen

    def listen(source):
        if source.name == "2.wav":
            raise other.file_errors[0](source, "too short")
        return really(source)

    monkeypatch.setattr(other, "listen", listen)
    events = {event.path.name: event for event in reembed(old_path, other)}
    assert events["2.wav"] == Skipped(music / "2.wav", "too short")
    assert Catalog.embedder_of(old_path) == other.name


def test_the_same_embedder_has_nothing_to_do(path, fake_embedder):
    fake_embedder.heard.clear()
    assert {type(event) for event in reembed(path, fake_embedder)} == {Unchanged}
    assert fake_embedder.heard == []


def test_labels_stay(path, other, music):
    with Catalog.write(path) as old:
        old.set_labels({1: "Ode"})
    list(reembed(path, other))
    with Catalog.open(path) as new:
        assert new.labels() == {1: "Ode"}


def test_nobody_else_writes_meanwhile(path, other):
    events = reembed(path, other)
    next(events)
    with pytest.raises(CatalogWriteError, match="another pemr"):
        Catalog.write(path)
    events.close()


def test_without_a_catalog_there_is_nothing_to_change(tmp_path, other):
    with pytest.raises(NoCatalogError):
        next(reembed(tmp_path, other))
