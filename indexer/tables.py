"""A catalog's tracks and figures as rows, for tables, JSON and CSV."""

from collections.abc import Iterable
from typing import Any

from indexer.records import CatalogStats, Track


def track_rows(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Write tracks as rows, one each.

    Parameters
    ----------
    tracks : iterable of Track
        In the order wanted.

    Returns
    -------
    list of dict
        With the keys title, artist, album, duration_s, state, damage and path; state is `silent`,
        `missing`, `damaged` or empty, and damage says what is wrong with the sound.
    """
    return [
        {
            "title": track.title,
            "artist": track.artist,
            "album": track.album,
            "duration_s": round(track.duration_s, 1),
            "state": _state(track),
            "damage": track.damage,
            "path": str(track.path),
        }
        for track in tracks
    ]


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
