"""A setlist → rows for a table, JSON and CSV, and a cue sheet that players open."""

from typing import Any

from retrieval.finding.setlist import Entry, Setlist
from retrieval.finding.wording import clock, cue_time, semitones
from retrieval.ranking.candidate import Candidate

UNKNOWN = "unknown"

_CUE_TYPES = {".mp3": "MP3", ".aiff": "AIFF", ".aif": "AIFF"}  # all else is WAVE to players


def setlist_rows(setlist: Setlist) -> list[dict[str, Any]]:
    """Write a setlist as rows of plain values, one for each entry, for CSV.

    Parameters
    ----------
    setlist : Setlist
        From `recognise`.

    Returns
    -------
    list of dict
        With start_s and end_s; the rest is None where nothing is known.
    """
    return [_row(entry) for entry in setlist.entries]


def setlist_json(setlist: Setlist) -> dict[str, Any]:
    """Write a setlist as plain values, every span in full, for JSON.

    Parameters
    ----------
    setlist : Setlist
        From `recognise`.

    Returns
    -------
    dict
        With duration_s, and entries as `setlist_rows` has them, each with its spans.
    """
    entries = [{**_row(entry), "spans": _spans(entry.candidate)} for entry in setlist.entries]
    return {"duration_s": setlist.duration_s, "entries": entries}


def setlist_table(setlist: Setlist) -> list[dict[str, Any]]:
    """Write a setlist as rows for people to read.

    Parameters
    ----------
    setlist : Setlist
        From `recognise`.

    Returns
    -------
    list of dict
        Times as minutes and seconds; `unknown` as the title of what nothing is known of. With a
        column that says whose file is missing where one is.
    """
    rows = setlist_rows(setlist)
    has_missing = any(row["is_missing"] for row in rows)
    return [
        {
            "start": clock(entry.start_s),
            "end": clock(entry.end_s),
            "title": UNKNOWN if entry.candidate is None else _title(entry.candidate),
            "artist": row["artist"],
            "probability": row["probability"],
            "semitones": semitones(row["transposition"]),
            **({"state": "missing" if row["is_missing"] else ""} if has_missing else {}),
            "path": row["path"],
        }
        for entry, row in zip(setlist.entries, rows, strict=True)
    ]


def cue_sheet(setlist: Setlist, name: str) -> str:
    """Write a setlist as a cue sheet.

    Parameters
    ----------
    setlist : Setlist
        From `recognise`.
    name : str
        What the file of the recording is called, as the sheet lies beside it.

    Returns
    -------
    str
        The text; its first track begins with the recording. A compact disc has up to 99 tracks, so
        many old players read no more.
    """
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    lines = [f"FILE {_quoted(name)} {_CUE_TYPES.get(suffix, 'WAVE')}"]
    for number, entry in enumerate(setlist.entries, start=1):
        known = entry.candidate
        lines.append(f"  TRACK {number:02d} AUDIO")
        lines.append(f"    TITLE {_quoted(UNKNOWN if known is None else _title(known))}")
        if known is not None and known.artist:
            lines.append(f"    PERFORMER {_quoted(known.artist)}")
        lines.append(f"    INDEX 01 {cue_time(0.0 if number == 1 else entry.start_s)}")
    return "\n".join(lines) + "\n"


def _row(entry: Entry) -> dict[str, Any]:
    times = {"start_s": entry.start_s, "end_s": entry.end_s}
    names = ("title", "artist", "album", "probability", "score", "transposition", "track_id")
    known = entry.candidate
    row = {name: None if known is None else getattr(known, name) for name in (*names, "is_missing")}
    return {**times, **row, "path": None if known is None else str(known.path)}


def _spans(candidate: Candidate | None) -> list[dict[str, Any]]:
    return [] if candidate is None else [dict(vars(span)) for span in candidate.spans]


def _title(candidate: Candidate) -> str:
    return candidate.title or candidate.path.stem


def _quoted(text: str) -> str:
    """Quote a text for a cue sheet, which knows no way to write a quotation mark inside."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text.replace('"', "'"))
    return f'"{" ".join(plain.split())}"'
