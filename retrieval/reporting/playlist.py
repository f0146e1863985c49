"""Tracks of a catalog → text, in every form that `pemr list` offers, and playlists of them.

Nothing is imported here that a list does not need: half of its time goes into imports.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from indexer import Track, track_rows, track_table
from retrieval.reporting.layout import laid_out

if TYPE_CHECKING:
    from retrieval.ranking.candidate import Candidate


def tracks_text(tracks: Sequence[Track], form: str = "table") -> str:
    """Write tracks of a catalog.

    Parameters
    ----------
    tracks : sequence of Track
        In the order wanted.
    form : str, optional
        `table`; `json` or `csv`, with all that is known of them; or `m3u`, a playlist.

    Returns
    -------
    str
        Lines, each with its end.
    """
    if form == "m3u":
        return m3u(tracks)
    return laid_out(track_table(tracks) if form == "table" else track_rows(tracks), form)


def m3u(tracks: "Sequence[Candidate] | Sequence[Track]") -> str:
    """Write candidates, or tracks of a catalog, as an extended M3U playlist.

    Parameters
    ----------
    tracks : sequence of Candidate or of Track
        In the order wanted.

    Returns
    -------
    str
        The text of the playlist. A file whose name would break its line stands there as a URI.
    """
    lines = ["#EXTM3U"]
    for track in tracks:
        names = [name for name in (track.artist, track.title) if name]
        label = " - ".join(names) or track.path.stem
        label = "".join(letter if letter.isprintable() else " " for letter in label)
        lines += [f"#EXTINF:{round(track.duration_s)},{' '.join(label.split())}"]
        lines += [_in_a_line(track.path)]
    return "\n".join(lines) + "\n"


def _in_a_line(path: Path) -> str:
    is_plain = not any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in str(path))
    return str(path) if is_plain else path.as_uri()
