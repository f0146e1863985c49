"""Which tracks of a catalog are listed: those wanted, in the order of their paths, page by page."""

from dataclasses import dataclass

from indexer.duplicates import duplicate_groups
from indexer.filters import Filter
from indexer.reader import Reader
from indexer.records import Track

ALL = Filter()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tracks of a list.

    Parameters
    ----------
    tracks : tuple of Track
        In the order of their paths; copies of one recording stand together.
    n_tracks : int
        How many the list has.
    """

    tracks: tuple[Track, ...]
    n_tracks: int


def page(
    catalog: Reader,
    wanted: Filter = ALL,
    *,
    is_damaged: bool = False,
    is_copied: bool = False,
    offset: int = 0,
    limit: int | None = None,
) -> Page:
    """List some tracks.

    Parameters
    ----------
    catalog : Reader
        Where to look.
    wanted : Filter
        What they must say of themselves; where nothing is asked, only the page is read.
    is_damaged : bool
        Whether only those count of which not all could be decoded.
    is_copied : bool
        Whether only those count that hold the very audio of another.
    offset : int
        How many to leave out before the first.
    limit : int or None
        How many to list; None for all.

    Returns
    -------
    Page
    """
    if limit is not None and not (wanted or is_damaged or is_copied):
        some, n_tracks = catalog.some_tracks(offset, limit)
        return Page(tuple(some), n_tracks)
    if is_copied:
        found = [track for group in duplicate_groups(catalog) for track in group]
    else:
        found = catalog.tracks(by_path=True)
    found = [track for track in wanted.among(found) if track.damage or not is_damaged]
    end = None if limit is None else offset + limit
    return Page(tuple(found[offset:end]), len(found))
