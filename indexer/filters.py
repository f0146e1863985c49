"""What a track must say of itself to be listed, or to be an answer."""

import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from indexer.errors import FilterError
from indexer.records import Track
from indexer.scan import absolute

_YEAR = re.compile(r"\d{1,4}")
_LENGTH = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6})")
_DAY = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_MBID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_YEARS_ARE = "write 1966, 1960..1979, 1960.. or ..1979"
_LENGTHS_ARE = "write seconds or M:SS, as in 2:30..6:00, ..90 or 1:00:00.."
_DAYS_ARE = "write days, months or years, as in 2026-11-01.., 2026-10 or ..2025"

Bounds = tuple[float, float]
Test = Callable[[Track], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tracks are wanted, by what is known of them; without any wish all of them are.

    Names are compared without regard to case. A track that does not say what is asked, such as
    its year, is not wanted. A range is ``FIRST..LAST``, ends included; either may be left out.

    Parameters
    ----------
    titles, artists, album_artists, albums : tuple of str
        One of these must occur in it; an artist's name may stand in the album's artist, too.
    not_artists, not_albums : tuple of str
        None of these may.
    years : str
        A year, or a range such as ``1960..1979``.
    durations : str
        Seconds or ``M:SS`` or ``H:MM:SS``, or a range such as ``2:30..6:00``.
    added : str
        When it came into the catalog, in UTC: a day, a month or a year such as ``2026-11-28``,
        ``2026-11`` and ``2026``, or a range such as ``2026-11-01..``.
    isrcs : tuple of str
        It must be one of these, with or without hyphens.
    mbids : tuple of str
        One of these must be the MusicBrainz identifier of its recording, release, artist or work.
    folders : tuple of str
        It must be in one of these, at any depth.

    Raises
    ------
    FilterError
        If a range or an identifier is none.
    """

    titles: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    not_artists: tuple[str, ...] = ()
    album_artists: tuple[str, ...] = ()
    albums: tuple[str, ...] = ()
    not_albums: tuple[str, ...] = ()
    years: str = ""
    durations: str = ""
    added: str = ""
    isrcs: tuple[str, ...] = ()
    mbids: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        list(self._tests())

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def among(self, tracks: Iterable[Track]) -> list[Track]:
        """Keep the tracks that are wanted, in their order."""
        tests = tuple(self._tests())
        return [track for track in tracks if all(test(track) for test in tests)]

    def _tests(self) -> Iterator[Test]:
        yield from self._tests_of_names()
        for wish, bounds_of, value_of in (
            (self.years, bounds, lambda track: track.year),
            (self.durations, bounds_s, lambda track: math.floor(track.duration_s)),
            (self.added, moments_s, lambda track: track.added_s),
        ):
            if wish:
                yield _lies_in(bounds_of(wish), value_of)
        if self.isrcs:
            isrcs = {_isrc(isrc) for isrc in self.isrcs}
            yield lambda track: track.isrc in isrcs
        if self.mbids:
            mbids = {_mbid(mbid) for mbid in self.mbids}
            yield lambda track: not mbids.isdisjoint(_mbids(track))
        if self.folders:
            folders = tuple(os.path.join(absolute(Path(one)), "") for one in self.folders)  # noqa: PTH118 (with a slash at its end)
            yield lambda track: os.fspath(track.path).startswith(folders)

    def _tests_of_names(self) -> Iterator[Test]:
        for names, is_wanted, said in (
            (self.titles, True, lambda track: track.title),
            (self.artists, True, _artists),
            (self.not_artists, False, _artists),
            (self.album_artists, True, lambda track: track.album_artist or ""),
            (self.albums, True, lambda track: track.album or ""),
            (self.not_albums, False, lambda track: track.album or ""),
        ):
            if names:
                yield _occurs_in(names, said, is_wanted=is_wanted)


def _occurs_in(names: tuple[str, ...], said: Callable[[Track], str], *, is_wanted: bool) -> Test:
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names]

    def test(track: Track) -> bool:
        text = said(track).casefold()
        return any(name in text for name in folded) is is_wanted

    return test


def _lies_in(within: Bounds, value_of: Callable[[Track], float | None]) -> Test:
    def test(track: Track) -> bool:
        value = value_of(track)
        return value is not None and within[0] <= value <= within[1]

    return test


def _artists(track: Track) -> str:
    return f"{track.artist or ''}\n{track.album_artist or ''}"


def _mbids(track: Track) -> tuple[str | None, ...]:
    return track.mb_recording, track.mb_release, track.mb_artist, track.mb_work


def _isrc(text: str) -> str:
    code = re.sub(r"[\s-]", "", text).upper()
    if not _ISRC.fullmatch(code):
        raise FilterError("ISRC", text, "write two letters, three letters or digits, seven digits")
    return code


def _mbid(text: str) -> str:
    found = text.strip().lower().rpartition("/")[2]  # of its address, too
    if not _MBID.fullmatch(found):
        raise FilterError("MusicBrainz identifier", text, "write it as musicbrainz.org shows it")
    return found


def bounds(years: str) -> Bounds:
    """Read a range of years; all of them where nothing is said.

    Parameters
    ----------
    years : str
        As `Filter` takes it.

    Returns
    -------
    tuple of float
        The first and the last year.

    Raises
    ------
    FilterError
        If it is no year and no range of years.

    Examples
    --------
    >>> bounds("1960..1979"), bounds("1966"), bounds("..1979")
    ((1960, 1979), (1966, 1966), (-inf, 1979))
    """
    return _range("year", years, _years, _YEARS_ARE)


def bounds_s(durations: str) -> Bounds:
    """Read a range of durations in whole seconds, as `bounds` reads years.

    Examples
    --------
    >>> bounds_s("2:30..1:00:00"), bounds_s("..90")
    ((150, 3600), (-inf, 90))
    """
    return _range("duration", durations, _lengths_s, _LENGTHS_ARE)


def moments_s(days: str) -> Bounds:
    """Read a range of days in UTC, as `bounds` reads years: seconds since 1970.

    Examples
    --------
    >>> moments_s("1970-01")
    (0.0, 2678399.999)
    """
    return _range("date", days, _moments_s, _DAYS_ARE)


def _range(name: str, text: str, read: Callable[[str], Bounds | None], how: str) -> Bounds:
    first, dots, last = text.partition("..")
    within = [-math.inf, math.inf]
    for place, end in enumerate((first, last if dots else first)):
        if end:
            found = read(end)
            if found is None:
                raise FilterError(name, text, how)
            within[place] = found[place]
    if within[0] > within[1]:
        raise FilterError(name, text, "the first comes after the last")
    return within[0], within[1]


def _years(text: str) -> Bounds | None:
    return (int(text), int(text)) if _YEAR.fullmatch(text) else None


def _lengths_s(text: str) -> Bounds | None:
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (length_s := 3600 * hours + 60 * minutes + seconds), length_s


def _moments_s(text: str) -> Bounds | None:
    found = _DAY.fullmatch(text)
    try:
        year, month, day = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        first = date(year, month or 1, day or 1)
        if day:
            after = first + timedelta(days=1)
        else:
            after = date(year + (month in {0, 12}), month % 12 + 1 if month else 1, 1)
    except (ValueError, OverflowError):
        return None
    return _start_s(first), _start_s(after) - 0.001


def _start_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
