"""Lists of tracks: what is wanted, in the order of paths, page by page."""

import shutil

import pytest

from indexer import Filter, Page, build, page


@pytest.fixture
def listed(built, fake_embedder, music):
    shutil.copy(music / "0.wav", music / "a copy.wav")
    (music / "z" / "deep").mkdir(parents=True)
    shutil.copy(music / "1.wav", music / "z" / "deep" / "1.wav")
    list(build(built, fake_embedder, [music]))
    return built


def names(found: Page) -> list[str]:
    return [track.path.name for track in found.tracks]


def test_pages_joined_are_the_whole_list(listed):
    whole = page(listed)
    assert names(whole) == [
        "0.wav", "1.wav", "2.wav", "3.wav", "a copy.wav", "silence.wav", "1.wav",
    ]  # fmt: skip
    assert whole.n_tracks == 7
    for limit in (1, 2, 3, 7, 50):
        pages = [page(listed, offset=at, limit=limit) for at in range(0, 7, limit)]
        assert tuple(track for some in pages for track in some.tracks) == whole.tracks
        assert {some.n_tracks for some in pages} == {7}
    assert page(listed, offset=9, limit=2) == Page((), 7)


def test_a_page_of_some_tracks_reads_no_others(listed, monkeypatch):
    monkeypatch.setattr(type(listed), "tracks", lambda _: pytest.fail("all were read"))
    assert len(page(listed, limit=2).tracks) == 2


def test_pages_of_what_is_wanted(listed):
    wanted = Filter(not_artists=("nobody",))
    assert names(page(listed, wanted, offset=5)) == ["silence.wav", "1.wav"]
    assert page(listed, wanted, offset=5, limit=1).n_tracks == 7
    assert names(page(listed, is_copied=True, offset=1, limit=2)) == ["a copy.wav", "1.wav"]
    assert page(listed, is_damaged=True) == Page((), 0)
