"""An audio file to what it says of itself: title, artist, album, year, numbers and identifiers.

PyAV reads the tags of every container that it decodes, so no tag library is needed (mutagen, the
usual one, is GPL). How long a file plays is not asked here: containers guess, decoding knows.
"""

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av.error

from indexer.encodings import bytes_of, encoding_of
from indexer.scan import AUDIO_SUFFIXES, open_media

_SHOWN = ("title", "artist", "album", "album_artist")
_WITH_ID3 = frozenset({"mp3", "aac", "aiff", "wav", "tta", "dsf"})
_LONGEST = 10_000  # letters of a tag; more is no name
_MOST_FILES = 200  # of a folder, to judge the encoding by
_ALBUM_ARTIST_KEYS = ("album_artist", "albumartist")
_YEAR_KEYS = ("originaldate", "originalyear", "tdor", "date", "year", "tyer", "creation_time")
_ISRC_KEYS = ("isrc", "tsrc")
_MUSICBRAINZ_KEYS = {  # as several programs write them, without spaces and underscores
    "mb_recording": ("musicbrainzrecordingid", "musicbrainztrackid"),
    "mb_release": ("musicbrainzalbumid", "musicbrainzreleaseid"),
    "mb_artist": ("musicbrainzartistid",),
    "mb_work": ("musicbrainzworkid",),
}
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_MUSICBRAINZ = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])")
_RECORDING_OF_ID3 = re.compile(
    rb"UFID.{6}http://musicbrainz\.org\x00([0-9a-f-]{36})", re.DOTALL
)  # a frame that FFmpeg does not read
_HEAD_BYTES = 1 << 18
_ARTIST_KEYS = ("artist", "album_artist", "albumartist", "performer", "author")


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says of itself; None where it says nothing.

    The title is never None: a file without one goes by its name.
    """

    title: str
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    year: int | None = None
    track_number: int | None = None
    isrc: str | None = None
    """The International Standard Recording Code."""
    mb_recording: str | None = None
    """MusicBrainz identifiers: of the recording, its release, its artist and its work."""
    mb_release: str | None = None
    mb_artist: str | None = None
    mb_work: str | None = None
    raw_tags: bytes | None = field(default=None, compare=False)
    """Those shown that are not in UTF-8 as they stand in the file, whose encoding can only be
    guessed: `key=bytes`, with a NUL between."""


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
        Clean text: tags in an old encoding (judged with those of the other files in the folder),
        or encoded twice, are mended; what is doubtful is left as Western European. Numbers and
        identifiers that are none are left out.

    """
    pairs, is_id3 = _pairs(path)
    raw = {key: bytes_of(value, is_latin_1=is_id3) for key, value in pairs.items()}
    kept = {key: of_it for key, of_it in raw.items() if of_it is not None and key in _SHOWN}
    encoding = _encoding_of_folder(path.parent, _changed_ns(path.parent)) if kept else None
    found = {key: _text(value, raw[key], encoding) for key, value in pairs.items()}
    album_artist = next((found[key] for key in _ALBUM_ARTIST_KEYS if found.get(key)), None)
    identifiers = _musicbrainz(found)
    if is_id3 and identifiers["mb_recording"] is None:
        identifiers["mb_recording"] = _recording_of_id3(path)
    return Tags(
        title=found.get("title") or _display(path.stem),
        artist=next((found[key] for key in _ARTIST_KEYS if found.get(key)), None),
        album=found.get("album") or None,
        album_artist=album_artist,
        year=_year(found),
        track_number=_track_number(found),
        isrc=_isrc(found),
        raw_tags=b"\0".join(b"%b=%b" % (key.encode(), kept[key]) for key in kept) or None,
        **identifiers,
    )


def _track_number(found: dict[str, str]) -> int | None:
    """Read the number before the slash of `3/12`."""
    digits = re.match(r"\s*(\d{1,4})(?!\d)", found.get("track", "") or found.get("trck", ""))
    return int(digits[1]) if digits is not None and int(digits[1]) else None


def _isrc(found: dict[str, str]) -> str | None:
    for key in _ISRC_KEYS:
        code = _ISRC.search(re.sub(r"[\s-]", "", found.get(key, "")).upper())
        if code is not None:
            return code[0]
    return None


def _musicbrainz(found: dict[str, str]) -> dict[str, str | None]:
    """Read identifiers of MusicBrainz; of several of a kind the first."""
    said = {re.sub(r"[\s_]", "", key): value.lower() for key, value in found.items()}
    identifiers: dict[str, str | None] = {}
    for name, keys in _MUSICBRAINZ_KEYS.items():
        matches = (_MUSICBRAINZ.search(said.get(key, "")) for key in keys)
        identifiers[name] = next((match[0] for match in matches if match is not None), None)
    return identifiers


def _recording_of_id3(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            match = _RECORDING_OF_ID3.search(file.read(_HEAD_BYTES))
    except OSError:
        return None
    return (
        match[1].decode()
        if match is not None and _MUSICBRAINZ.fullmatch(match[1].decode())
        else None
    )


def _year(found: dict[str, str]) -> int | None:
    """Find the first four digits of a date, the original one before that of the edition."""
    for key in _YEAR_KEYS:
        digits = re.search(r"(?<!\d)[12]\d{3}(?!\d)", found.get(key, ""))
        if digits is not None:
            return int(digits[0])
    return None


def _pairs(path: Path) -> tuple[dict[str, str], bool]:
    """Tags as FFmpeg reads them, and whether it takes those of this format for Latin-1."""
    try:
        with open_media(path) as container:
            stream = container.streams.best("audio")
            pairs = list(container.metadata.items())
            if stream is not None:  # Ogg keeps its tags with the stream
                pairs += stream.metadata.items()
            short = {key.lower()[:_LONGEST]: value[:_LONGEST] for key, value in pairs}
            return short, container.format.name in _WITH_ID3
    except (av.error.FFmpegError, OSError, ValueError):
        return {}, False


def _text(value: str, raw: bytes | None, encoding: str | None) -> str:
    if raw is not None and encoding is not None:
        try:
            return mend(raw.decode(encoding))
        except UnicodeDecodeError:  # one of the album is in another
            pass
    return mend(value)


@lru_cache(maxsize=256)
def _encoding_of_folder(folder: Path, changed_ns: int) -> str | None:  # noqa: ARG001 (part of the key)
    """Judge the tags of all files of a folder together: an album was tagged on one machine."""
    pieces: list[bytes] = []
    paths: list[Path] = []
    with suppress(OSError):
        paths = sorted(folder.iterdir())[:_MOST_FILES]
    for path in paths:
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            pairs, is_latin_1 = _pairs(path)
            raw = (bytes_of(pairs.get(key, ""), is_latin_1=is_latin_1) for key in _SHOWN)
            pieces += [one for one in raw if one is not None]
    return encoding_of(pieces)


def _changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


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
