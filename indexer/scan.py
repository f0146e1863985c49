"""Folders to audio files, and an audio file to the hash that tells recordings apart.

Paths stay as the file system has them: names that are not valid UTF-8 come as the surrogate
escapes of `os.fsdecode`, and `os.fsencode` gives the bytes back.
"""

import errno
import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer

from indexer.errors import FolderError

if TYPE_CHECKING:
    from av.packet import Packet

_SOUND = (
    "aac ac3 aif aifc aiff amr ape au caf dff dsf dts eac3 flac m4a m4b m4r mka mp1 mp2 mp3 mpc oga"
    " ogg opus rf64 shn snd voc w64"
)
_FILM = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv"
AUDIO_SUFFIXES = frozenset(
    f".{name}" for name in f"{_SOUND} spx tak tta wav wave wma wv {_FILM}".split()
)
"""What is taken for audio, by the end of its name; films count, for their sound."""

FORMATS = (
    "3g2,3gp,aac,aax,ac3,act,adx,aea,aiff,amr,amrnb,amrwb,ape,aptx,aptx_hd,asf,asf_o,ast,au,avi,"
    "avr,bonk,brstm,caf,daud,dfpwm,dsf,dss,dts,dtshd,dv,eac3,epaf,f4v,flac,flv,g722,g723_1,g729,"
    "gsm,gxf,hca,hcom,iff,ilbc,ircam,iss,kux,laf,lc3,loas,matroska,matroska\\,webm,mlp,mmf,mov,"
    "mp3,mp4,mpc,mpc8,mpeg,mpegts,mpegtsraw,mxf,nistsphere,nsv,nut,nuv,ogg,oma,osq,paf,pva,pvf,"
    "qcp,qoa,rka,rm,rso,sbc,sds,sdx,shn,siff,sln,smk,sol,sox,spdif,swf,tak,truehd,tta,ty,vag,voc,"
    "vqf,w64,wav,wavarc,webm,wsaud,wsd,wtv,wv,wve,xa,xwma"
).replace("\\,", ",")
"""What a file may be opened as, the same as where it is decoded: formats that hold their own sound.
No play lists (concat, hls, dash, sdp), no sequences of pictures, no devices."""

OLD_HASH = "packets:"
"""Begins a hash of packets alone; tracks that have one get a new one when they are indexed."""

_NOT_MUSIC = frozenset(
    {"#recycle", "@eadir", "@recycle", "$recycle.bin", "recycler", "system volume information"}
)
"""Folders in which NAS systems and Windows keep thumbnails and what was thrown away, lower case."""

_SCHEME = re.compile(r"[a-z][a-z0-9+]+:/")  # of two letters at least: C:/ is a drive

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AudioFile:
    """One file that looks like audio, with what tells whether it has changed.

    Parameters
    ----------
    path : Path
        Absolute; symbolic links in it are kept.
    size_bytes : int
        Its size.
    mtime_ns : int
        When it was last written, in nanoseconds since 1970.
    audio_hash : str or None
        What `hash_audio` says; None until somebody has read the file.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    audio_hash: str | None = None
    packet_hash: str | None = field(default=None, compare=False)
    """As `audio_hash` was before it covered how the packets are coded, and marked so."""

    def hashed(self, copy: Path | None = None) -> "AudioFile":
        """Read the file or a copy of it, and return the same record with its hashes."""
        audio_hash, packet_hash = _hashes(copy or self.path)
        return replace(self, audio_hash=audio_hash, packet_hash=f"{OLD_HASH}{packet_hash}")

    def is_as_it_was(self) -> bool:
        """Whether the file still has the size and the time that it had when it was found."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A file or folder that the scan came upon and could not look at."""

    path: Path
    reason: str


def find_audio(folders: Iterable[Path]) -> Iterator[AudioFile | Unreachable]:
    """Find the audio below some folders, each folder and each path once; a file counts as one.

    Real folders are walked in order of their names before linked ones, so a folder that can be
    reached both ways is found under its own name, and a loop of links ends. Hidden files and
    folders, the `._` shadows that macOS leaves on other disks, and recycle bins are passed over.
    What is no regular file, such as a pipe or a device, is never opened.

    Parameters
    ----------
    folders : iterable of Path
        Where to look; a file among them is taken for audio if its name says so.

    Yields
    ------
    AudioFile or Unreachable
        In an order that depends on the names alone.

    Raises
    ------
    FolderError
        If one of the folders is missing, cannot be read, or holds no audio file.
    """
    tops = [absolute(folder) for folder in folders]
    for top in tops:
        _check(top)
    walk = _Walk()
    for top in tops:
        n_found = 0
        for found in walk.below(top):
            n_found += isinstance(found, AudioFile)
            yield found
        if not n_found and not walk.has_entered_within(top):
            raise FolderError(top, walk.why_nothing())


def absolute(path: Path) -> Path:
    """Make a path absolute and tidy without following its links; an address is so already."""
    if is_remote(path):
        return path
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps "..")


def is_remote(path: Path) -> bool:
    """Whether a path is an address that fsspec knows, as `s3:/bucket/music`."""
    return _SCHEME.match(str(path)) is not None


def hash_audio(path: Path) -> str:
    """Hash the compressed audio of a file, so that new tags or a new name change nothing.

    The packets of all audio streams are hashed as they are stored, with how they are coded (codec,
    rate, channels, format, extradata) and how much of them is played; nothing is decoded. So it is
    the decoder alone that chooses a stream, and what it hears of two files with one hash is the
    same. A file in which no packet can be found is hashed byte by byte.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read, or is no regular one.
    """
    return _hashes(path)[0]


def _hashes(path: Path) -> tuple[str, str]:
    """Hash packets with how they are coded, and without."""
    try:
        found = _hash_packets(path)
    except (av.error.FFmpegError, OSError, ValueError):
        found = None
    return found or (_hash_bytes(path),) * 2


def open_media(path: Path) -> InputContainer:
    """Open a file with FFmpeg, whatever its name.

    Parameters
    ----------
    path : Path
        The file. No other is opened, even if this one is a play list in disguise.

    Returns
    -------
    InputContainer
        Its tags decode with surrogate escapes where they are not UTF-8.

    Raises
    ------
    av.error.FFmpegError, OSError, ValueError
        If it is no media file, or cannot be read.
    """
    _refuse_irregular(path)
    return av.open(
        f"file:{path}",  # with the scheme, a colon in the name is only a colon
        "r",
        options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
        metadata_errors="surrogateescape",
    )


def _hash_packets(path: Path) -> tuple[str, str] | None:
    with open_media(path) as container:
        streams = [_Stream(stream) for stream in container.streams.audio]
        if not streams:
            return None
        by_index = {stream.index: stream for stream in streams}
        with suppress(IndexError):  # PyAV's, at the end, where FFmpeg met more streams on the way
            for packet in container.demux(*container.streams.audio):
                by_index[packet.stream_index].add(packet)
        sounding = [stream for stream in streams if stream.n_bytes]
    if len(sounding) < 2:
        return sounding[0].hashes() if sounding else None
    facts = [(stream.is_default, *stream.hashes()) for stream in sounding]
    whole, packets = (
        hashlib.blake2b(repr([(fact[0], fact[place]) for fact in facts]).encode(), digest_size=16)
        for place in (1, 2)
    )
    return whole.hexdigest(), packets.hexdigest()


class _Stream:
    """Hashes one sound stream, packet by packet."""

    def __init__(self, stream: AudioStream) -> None:
        self.index = stream.index
        self.is_default = bool(stream.disposition & stream.disposition.default)
        self.n_bytes = 0
        self._how = _coding(stream)
        self._packets, self._cuts = hashlib.blake2b(digest_size=16), b""
        self._last: Packet[Any] | None = None

    def add(self, packet: "Packet[Any]") -> None:
        """Take in the next packet."""
        self._packets.update(packet)
        self.n_bytes += packet.size
        if packet.has_sidedata("skip_samples"):
            self._cuts += bytes(packet.get_sidedata("skip_samples"))
        if packet.size:
            self._last = packet

    def hashes(self) -> tuple[str, str]:
        """Hash the packets with how they are coded, and without."""
        # frames may be cut at the end
        last = self._last
        last_s = 0.0 if last is None else float((last.duration or 0) * last.time_base)
        end = b"" if b"pcm" in self._how else b"%d" % round(last_s * 1000)
        facts = [self._packets.digest(), self._how, self._cuts, end]
        whole = hashlib.blake2b(b"|".join(facts), digest_size=16)
        return whole.hexdigest(), self._packets.hexdigest()


def _coding(stream: AudioStream) -> bytes:
    """How packets are coded: the same bytes mean another sound where this differs."""
    codec: Any = stream.codec_context
    if codec is None:  # FFmpeg has no decoder for it
        return b"unknown"
    name, layout = codec.codec.canonical_name, codec.layout
    sample_format = codec.format.name if codec.format is not None else ""
    facts = (name, codec.sample_rate, layout.nb_channels, sample_format, codec.extradata or b"")
    return repr(facts).encode()


def _refuse_irregular(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def _hash_bytes(path: Path) -> str:
    _refuse_irregular(path)
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _check(folder: Path) -> None:
    if not folder.exists():
        raise FolderError(folder, "no such folder")
    if folder.is_file():
        if folder.suffix.lower() not in AUDIO_SUFFIXES:
            raise FolderError(folder, "neither a folder nor, by its name, an audio file")
        return
    try:
        with os.scandir(folder):
            pass
    except OSError as error:
        raise FolderError(folder, f"cannot be read: {error.strerror}") from error


class _Walk:
    """Depth first over folders; remembers what it has seen, by device and inode."""

    def __init__(self) -> None:
        self._entered: dict[tuple[int, int], Path] = {}
        self._paths: set[Path] = set()
        self._others: Counter[str] = Counter()

    def why_nothing(self) -> str:
        """Say why no audio was found: there is nothing at all, or nothing that goes by its name."""
        if not self._others:
            return "no audio file in this folder, nor any other; is its disk mounted?"
        endings = [ending or "no ending" for ending, _ in self._others.most_common(3)]
        n_files = self._others.total()
        return (
            f"no audio file in this folder, by their names: {n_files} files ({', '.join(endings)})"
        )

    def has_entered_within(self, top: Path) -> bool:
        """Whether audio below this folder was already found by way of another."""
        return any(path == top or top in path.parents for path in self._paths)

    def below(self, top: Path) -> Iterator[AudioFile | Unreachable]:
        """Find what is in a folder, and in what its links lead to; or the one file itself."""
        if top.is_file():
            yield from self._look(top)
            return
        waiting = [top]
        while waiting:
            links: list[Path] = []
            for folder in waiting:
                yield from self._walk(folder, links)
            waiting = links

    def _walk(self, folder: Path, links: list[Path]) -> Iterator[AudioFile | Unreachable]:
        stack = [folder]
        while stack:
            here = stack.pop()
            try:
                if not self._enter(here):
                    continue
                entries = self._entries(here)
            except OSError as error:
                yield Unreachable(here, f"cannot be read: {error.strerror}")
                continue
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            folders = [entry for entry in folders if entry.name.lower() not in _NOT_MUSIC]
            stack.extend(here / entry.name for entry in reversed(folders))
            for entry in entries:
                if entry.is_symlink():
                    yield from self._follow(here / entry.name, links)
                elif not entry.is_dir():
                    yield from self._take(here / entry.name)

    def _follow(self, path: Path, links: list[Path]) -> Iterator[AudioFile | Unreachable]:
        if path.is_dir():
            links.append(path)
        elif path.exists():
            yield from self._take(path)
        else:
            yield Unreachable(path, "a link that leads nowhere")

    def _take(self, path: Path) -> Iterator[AudioFile | Unreachable]:
        if path.suffix.lower() in AUDIO_SUFFIXES:
            yield from self._look(path)
        else:
            self._others[path.suffix.lower()] += 1

    def _enter(self, folder: Path) -> bool:
        status = folder.stat()
        key = (status.st_dev, status.st_ino)
        if key in self._entered:
            return False
        self._entered[key] = folder
        return True

    @staticmethod
    def _entries(folder: Path) -> list[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
        return sorted(seen, key=lambda entry: os.fsencode(entry.name))

    def _look(self, path: Path) -> Iterator[AudioFile | Unreachable]:
        try:
            status = path.stat()
        except OSError as error:
            yield Unreachable(path, f"cannot be read: {error.strerror}")
            return
        if not stat.S_ISREG(status.st_mode):
            yield Unreachable(path, "not a regular file")
        elif path not in self._paths:
            self._paths.add(path)
            yield AudioFile(path, status.st_size, status.st_mtime_ns)
