"""Tracks that hold the same recording, packet for packet."""

from indexer.reader import Reader
from indexer.records import Track


def duplicate_groups(catalog: Reader) -> list[list[Track]]:
    """Group the tracks whose audio is the same.

    Names, tags and containers may differ; another encoding of the same recording counts as
    another recording here, and a search finds it.

    Parameters
    ----------
    catalog : Reader
        Where to look.

    Returns
    -------
    list of list of Track
        Groups of two or more, each in order of path, in order of their first path.
    """
    groups: dict[str, list[Track]] = {}
    for track in catalog.tracks(by_path=True):
        groups.setdefault(track.audio_hash, []).append(track)
    return [group for group in groups.values() if len(group) > 1]
