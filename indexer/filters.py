"""What a track must say of itself to be listed, or to be an answer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from indexer.errors import FilterError
from indexer.records import Track

_YEARS = re.compile(r"(?P<first>\d{1,4})?(?P<range>\.\.)?(?P<last>(?<=\.\.)\d{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tracks are wanted, by their tags; without any wish all of them are.

    Parameters
    ----------
    artists : tuple of str
        One of these must occur in the artist or the album's artist, whatever the case.
    not_artists : tuple of str
        None of these may.
    albums : tuple of str
        One of these must occur in the album.
    years : str
        A year, or a range such as ``1960..1979``, ``1960..`` or ``..1979``; a track that says no
        year is in none.

    Raises
    ------
    FilterError
        If `years` is no such range.
    """

    artists: tuple[str, ...] = ()
    not_artists: tuple[str, ...] = ()
    albums: tuple[str, ...] = ()
    years: str = ""

    def __post_init__(self) -> None:
        bounds(self.years)

    def __bool__(self) -> bool:
        return bool(self.artists or self.not_artists or self.albums or self.years)

    def among(self, tracks: Iterable[Track]) -> list[Track]:
        """Keep the tracks that are wanted, in their order."""
        return [track for track in tracks if self._is_wanted(track)]

    def _is_wanted(self, track: Track) -> bool:
        artist = f"{track.artist or ''}\n{track.album_artist or ''}"
        if self.artists and not _occurs(self.artists, artist):
            return False
        if _occurs(self.not_artists, artist):
            return False
        if self.albums and not _occurs(self.albums, track.album or ""):
            return False
        first, last = bounds(self.years)
        return not self.years or (track.year is not None and first <= track.year <= last)


def _occurs(names: tuple[str, ...], text: str) -> bool:
    return any(name.casefold() in text.casefold() for name in names)


def bounds(years: str) -> tuple[int, int]:
    """Read a range of years; all of them where nothing is said.

    Parameters
    ----------
    years : str
        As `Filter` takes it.

    Returns
    -------
    tuple of int
        The first and the last year.

    Raises
    ------
    FilterError
        If it is no year and no range of years.

    Examples
    --------
    >>> bounds("1960..1979"), bounds("1966"), bounds("..1979")
    ((1960, 1979), (1966, 1966), (0, 1979))
    """
    found = _YEARS.fullmatch(years)
    if found is None:
        raise FilterError("year", years, "write 1966, 1960..1979, 1960.. or ..1979")
    first, last = int(found["first"] or 0), int(found["last"] or 9999)
    if found["first"] and not found["range"]:
        last = first
    if first > last:
        raise FilterError("year", years, "the first year comes after the last")
    return first, last
