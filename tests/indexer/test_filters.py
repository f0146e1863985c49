from dataclasses import replace
from pathlib import Path

import pytest

from indexer import Filter, FilterError, Track

TRACK = Track(1, Path("a.mp3"), "Hey", "Zoë", "Best Of", 60.0, False, False, 4, "", year=1966)


@pytest.mark.parametrize(
    ("wish", "is_kept"),
    [
        ({}, True),
        ({"artists": ("zoË",)}, True),
        ({"artists": ("nobody", "zo")}, True),
        ({"artists": ("nobody",)}, False),
        ({"not_artists": ("ZOË",)}, False),
        ({"not_artists": ("nobody",)}, True),
        ({"albums": ("best",)}, True),
        ({"albums": ("worst",)}, False),
        ({"artists": ("band",)}, True),
        ({"not_artists": ("the band",)}, False),
        *(({"years": years}, True) for years in ("1966", "1960..1979", "1966..", "..1966", "..")),
        *(({"years": years}, False) for years in ("1967", "1960..1965", "1967..", "..1965")),
    ],
)
def test_a_track_is_kept_by_what_it_says(wish, is_kept):
    track = replace(TRACK, album_artist="The Band")
    assert Filter(**wish).among([track]) == ([track] if is_kept else [])
    assert bool(Filter(**wish)) == bool(wish)


def test_a_track_without_tags_is_in_no_year_and_of_no_artist():
    track = replace(TRACK, artist=None, album=None, year=None)
    for wish in ({"years": "1.."}, {"artists": ("a",)}, {"albums": ("a",)}):
        assert Filter(**wish).among([track]) == []
    assert Filter(not_artists=("a",)).among([track]) == [track]


@pytest.mark.parametrize("years", ["sixties", "1960-1969", "1970..1960", "1960...1970", "19600"])
def test_what_is_no_range_of_years_is_one_sentence(years):
    with pytest.raises(FilterError, match="year") as caught:
        Filter(years=years)
    assert (caught.value.name, caught.value.value) == ("year", years)
