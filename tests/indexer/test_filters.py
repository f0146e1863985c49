from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer import Filter, FilterError, Track

MBID = "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
TRACK = Track(
    1,
    Path("/music/a b/a.mp3"),
    "Hey",
    "Zoë",
    "Best Of",
    90.7,
    False,
    False,
    4,
    "",
    year=1966,
    album_artist="The Band",
    isrc="GBAYE6600123",
    mb_work=MBID,
    added_s=datetime(2026, 11, 28, 23, 59, 59, 500_000, tzinfo=UTC).timestamp(),
)
BARE = replace(
    TRACK, artist=None, album=None, album_artist=None, year=None, isrc=None, mb_work=None,
    added_s=None,
)  # fmt: skip
KEPT = {
    "titles": ("hey",),
    "artists": ("nobody", "zo"),
    "not_artists": ("nobody",),
    "album_artists": ("band",),
    "albums": ("best",),
    "not_albums": ("worst",),
    "years": "1960..1979",
    "durations": "1:30",
    "added": "2026-11-28",
    "isrcs": ("gb-aye-66-00123",),
    "mbids": (f"https://musicbrainz.org/recording/{MBID.upper()}",),
    "folders": ("/nowhere", "/music/a b/"),
}
REFUSED = {
    "titles": ("nobody",),
    "artists": ("nobody",),
    "not_artists": ("ZOË",),
    "album_artists": ("zoë",),
    "albums": ("worst",),
    "not_albums": ("BEST",),
    "years": "1967",
    "durations": "91",
    "added": "2026-11-27",
    "isrcs": ("GBAYE6600124",),
    "mbids": ("b10bbbfc-cf9e-42e0-be17-e2c3e1d2600e",),
    "folders": ("/music/a", "/music/a b/a.mp3"),
}


@pytest.mark.parametrize("name", [field.name for field in fields(Filter)])
def test_a_track_is_kept_by_what_it_says(name):
    assert Filter(**{name: KEPT[name]}).among([TRACK]) == [TRACK]
    assert Filter(**{name: REFUSED[name]}).among([TRACK]) == []
    assert Filter(**{name: KEPT[name]})
    assert Filter(**(KEPT | {name: REFUSED[name]})).among([TRACK]) == []


def test_without_a_wish_all_are_kept():
    assert not Filter()
    assert Filter().among([TRACK, BARE]) == [TRACK, BARE]
    assert Filter(**KEPT).among([BARE, TRACK]) == [TRACK]


@pytest.mark.parametrize(
    ("wish", "is_kept"),
    [
        *(({"years": years}, True) for years in ("1966", "1960..1979", "1966..", "..1966", "..")),
        *(({"years": years}, False) for years in ("1967", "1960..1965", "1967..", "..1965")),
        *(({"durations": some}, True) for some in ("90", "1:30..1:30", "0:01:30..", "..2:00")),
        *(({"durations": some}, False) for some in ("91..", "..89", "1:31..2:00:00")),
        *(({"added": days}, True) for days in ("2026", "2026-11", "2026-11-28..", "2025..2026")),
        *(({"added": days}, False) for days in ("2025", "2026-12..", "..2026-10", "2026-11-29")),
        ({"artists": ("the band",)}, True),
        ({"not_artists": ("the band",)}, False),
        ({"artists": ("Zoe\u0308",)}, True),
        ({"folders": ("/",)}, True),
    ],
)
def test_ranges_hold_their_ends_and_names_any_spelling(wish, is_kept):
    assert Filter(**wish).among([TRACK]) == ([TRACK] if is_kept else [])


@pytest.mark.parametrize(
    "name", ["artists", "album_artists", "albums", "years", "added", "isrcs", "mbids"]
)
def test_a_track_that_does_not_say_it_is_not_wanted(name):
    wish = {"years": "..", "added": "..", "artists": ("a",), "albums": ("a",)}
    assert Filter(**{name: wish.get(name, KEPT[name])}).among([BARE]) == []


def test_a_track_that_says_nothing_is_of_nobody_unwanted():
    assert Filter(not_artists=("a",), not_albums=("a",)).among([BARE]) == [BARE]


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        *(("year", years) for years in ("sixties", "1960-1969", "1970..1960", "1960...1970")),
        *(("year", years) for years in ("19600", "1960..1970..1980")),
        *(("duration", some) for some in ("2m", "3:00..2:00", "1.5", "-3", "1:2:3:4")),
        *(("date", days) for days in ("yesterday", "2026-13", "2026-02-30", "26-01-01", "0000")),
        *(("date", days) for days in ("2026-11..2026-10", "2026-11-28T10:00")),
        ("ISRC", "GBAYE66"),
        ("MusicBrainz identifier", "b10bbbfc"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name, wish):
    fields_of = {"year": "years", "duration": "durations", "date": "added"}
    identifiers = {"ISRC": "isrcs", "MusicBrainz identifier": "mbids"}
    wishes = {fields_of[name]: wish} if name in fields_of else {identifiers[name]: (wish,)}
    with pytest.raises(FilterError, match=name) as caught:
        Filter(**wishes)
    assert (caught.value.name, caught.value.value) == (name, wish)
