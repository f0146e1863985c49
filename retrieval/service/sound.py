"""A track's file → what a browser can play: the file in ranges, or Opus made while it is played."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from indexer import Track
from retrieval.service.limits import Opus
from retrieval.service.problems import refusal

_MEDIA_TYPES: Final = {
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}
"""What browsers play as it is."""


def is_playable(path: Path) -> bool:
    """Whether browsers play a file as it is, by its name."""
    return path.suffix.lower() in _MEDIA_TYPES


def audio_response(
    request: Request,
    track: Track,
    opus: Opus,
    start_s: float | None,
    file_errors: tuple[type[Exception], ...],
) -> Response:
    """Answer with a track's sound.

    Parameters
    ----------
    request : Request
        Whose ranges are obeyed where the file is sent as it is.
    track : Track
        Of the catalog.
    opus : callable
        Given a file and where to begin in seconds, yields Ogg Opus.
    start_s : float or None
        Where to begin; given, the sound is transcoded whatever the file is.
    file_errors : tuple of exceptions
        What `opus` raises when a file is bad.

    Returns
    -------
    Response

    Raises
    ------
    HTTPException
        410 if the file is gone, 416 if it is not that long.
    """
    if not track.path.is_file():
        raise refusal(410, "the file of this track is gone, or its disk is not mounted")
    if start_s is None and is_playable(track.path):
        return FileResponse(track.path, media_type=_MEDIA_TYPES[track.path.suffix.lower()])
    begin_s = start_s or 0.0
    if begin_s > 0 and begin_s >= track.duration_s:
        raise refusal(416, f"the track ends after {track.duration_s:.1f} seconds")
    if request.method == "HEAD":
        return Response(media_type="audio/ogg")
    parts = opus(track.path, begin_s)
    try:
        first = next(parts, b"")  # an unreadable file is told before the answer has begun
    except file_errors as error:
        raise refusal(422, "the file of this track cannot be decoded") from error
    return StreamingResponse(_all(first, parts), media_type="audio/ogg")


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
