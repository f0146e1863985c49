"""An audio file to its title, artist and album.

PyAV reads the tags of every container that it decodes, so no tag library is needed (mutagen, the
usual one, is GPL). How long a file plays is not asked here: containers guess, decoding knows.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import av.error

from indexer.scan import open_media

_ARTIST_KEYS = ("artist", "album_artist", "albumartist", "performer", "author")


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says of itself; None where it says nothing.

    The title is never None: a file without one goes by its name.
    """

    title: str
    artist: str | None = None
    album: str | None = None


NO_TAGS = Tags("")
"""Of a file that nobody has asked."""


def read_tags(path: Path) -> Tags:
    """Read the tags of one file.

    Parameters
    ----------
    path : Path
        The file. One that cannot be opened as audio has no tags but its name.

    Returns
    -------
    Tags
        Clean text: tags in an old encoding, or encoded twice, are mended.

    """
    found = _metadata(path)
    title = found.get("title") or _display(path.stem)
    artist = next((found[key] for key in _ARTIST_KEYS if found.get(key)), None)
    return Tags(title, artist, found.get("album") or None)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with open_media(path) as container:
            stream = container.streams.best("audio")
            pairs = list(container.metadata.items())
            if stream is not None:  # Ogg keeps its tags with the stream
                pairs += stream.metadata.items()
    except (av.error.FFmpegError, OSError, ValueError):
        return {}
    return {key.lower(): mend(value) for key, value in pairs}


def mend(text: str) -> str:
    r"""Repair a tag's text: bytes that were no UTF-8, UTF-8 that was encoded twice, controls.

    Parameters
    ----------
    text : str
        As the container gives it, bytes that do not decode as surrogate escapes.

    Returns
    -------
    str
        Printable text in Unicode's composed form.

    Examples
    --------
    >>> mend("Beyonc\udce9")
    'Beyoncé'
    >>> mend("Beyonc\xc3\xa9")
    'Beyoncé'
    """
    try:
        text = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        raw = text.encode("utf-8", "surrogateescape")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
    shown = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in text
    )
    return " ".join(unicodedata.normalize("NFC", shown).split())


def _display(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
