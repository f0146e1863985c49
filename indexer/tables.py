"""A catalog's tracks and figures as rows, for tables, JSON and CSV."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from indexer.records import CatalogStats, Track

_EPOCH = datetime(1970, 1, 1)
_SHOWN = ("title", "artist", "album", "duration_s", "state", "damage", "path")


def track_rows(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Write tracks as rows, one each.

    Parameters
    ----------
    tracks : iterable of Track
        In the order wanted.

    Returns
    -------
    list of dict
        With all that is known of each; state is `silent`, `missing`, `damaged` or empty, damage
        says what is wrong with the sound, times are in UTC. `raw_tags` holds the bytes of tags
        that are not in UTF-8, as Latin-1 writes them.
    """
    return [
        {
            "id": track.id,
            "title": track.title,
            "artist": track.artist,
            "album": track.album,
            "album_artist": track.album_artist,
            "year": track.year,
            "track_number": track.track_number,
            "isrc": track.isrc,
            "mb_recording": track.mb_recording,
            "mb_release": track.mb_release,
            "mb_artist": track.mb_artist,
            "mb_work": track.mb_work,
            "duration_s": round(track.duration_s, 1),
            "added": _moment(track.added_s),
            "modified": _moment(track.modified_s),
            "raw_tags": None if track.raw_tags is None else track.raw_tags.decode("latin-1"),
            "state": _state(track),
            "damage": track.damage,
            "path": str(track.path),
        }
        for track in tracks
    ]


def track_table(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Write tracks as rows for people: of `track_rows`, what fits beside each other."""
    return [{name: row[name] for name in _SHOWN} for row in track_rows(tracks)]


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return f"{(_EPOCH + timedelta(seconds=int(seconds))).isoformat()}Z"
    except (OverflowError, ValueError):  # a file system may say anything
        return None


def _state(track: Track) -> str:
    if track.is_missing:
        return "missing"
    if track.is_silent:
        return "silent"
    return "damaged" if track.damage else ""


def stats_row(stats: CatalogStats) -> dict[str, Any]:
    """Write a catalog's figures as one row.

    Parameters
    ----------
    stats : CatalogStats
        From `Catalog.stats`.

    Returns
    -------
    dict
        Counts without the `n_` of the code, the hours of audio, and the folders.
    """
    return {
        "embedder": stats.embedder,
        "dimensions": stats.dim,
        "generation": stats.generation,
        "tracks": stats.n_tracks,
        "segments": stats.n_segments,
        "silent": stats.n_silent,
        "missing": stats.n_missing,
        "damaged": stats.n_damaged,
        "skipped": stats.n_skipped,
        "labelled": stats.n_labelled,
        "hours": round(stats.duration_s / 3600, 2),
        "without_recording": stats.n_unrecorded,
        "recordings_mb": round(stats.recordings_bytes / 1e6, 2),
        "size_mb": round(stats.size_bytes / 1e6, 2),
        "vectors": stats.vectors_at,
        "folders": [str(root) for root in stats.roots],
    }
