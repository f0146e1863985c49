"""An audio file → its sound streams, their packets and their frames.

FFmpeg reads, through PyAV. Only regular files are opened, and only as one of the formats in
`FORMATS`, so that a play list in disguise opens nothing else.
"""

import io
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from pemr.errors import UnreadableAudioError

FORMATS: Final = (
    "3g2,3gp,aac,aax,ac3,act,adx,aea,aiff,amr,amrnb,amrwb,ape,aptx,aptx_hd,asf,asf_o,ast,au,avi,"
    "avr,bonk,brstm,caf,daud,dfpwm,dsf,dss,dts,dtshd,dv,eac3,epaf,f4v,flac,flv,g722,g723_1,g729,"
    "gsm,gxf,hca,hcom,iff,ilbc,ircam,iss,kux,laf,lc3,loas,matroska,matroska\\,webm,mlp,mmf,mov,"
    "mp3,mp4,mpc,mpc8,mpeg,mpegts,mpegtsraw,mxf,nistsphere,nsv,nut,nuv,ogg,oma,osq,paf,pva,pvf,"
    "qcp,qoa,rka,rm,rso,sbc,sds,sdx,shn,siff,sln,smk,sol,sox,spdif,swf,tak,truehd,tta,ty,vag,voc,"
    "vqf,w64,wav,wavarc,webm,wsaud,wsd,wtv,wv,wve,xa,xwma"
).replace("\\,", ",")
"""What a file may be opened as: formats that hold their own sound. No play lists (concat, hls,
dash, sdp), no sequences of pictures, no devices."""

_SOUND = (
    "aac ac3 aif aifc aiff amr ape au caf dff dsf dts eac3 flac m4a m4b m4r mka mp1 mp2 mp3 mpc oga"
    " ogg opus rf64 shn snd voc w64"
)
_FILM = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv"
AUDIO_SUFFIXES = frozenset(
    f".{name}" for name in f"{_SOUND} spx tak tta wav wave wma wv {_FILM}".split()
)
"""What is taken for audio, by the end of its name; films count, for their sound."""

_SPARE_S = 60.0  # silence that a file may have in its gaps, beside as much as it has sound
_OGG = b"OggS"


@dataclass(slots=True)
class Told:
    """What was met while a file was decoded; filled in as its blocks are read.

    Parameters
    ----------
    decoded_s : float
        Seconds of waveform that came of it, filled gaps included.
    promised_s : float or None
        Seconds that the sound's own stream promises; None where its format does not say.
    n_packets, n_damaged : int
        How many packets were read, and how many of these do not decode.
    stopped : str
        Why reading ended before the end of the file; empty if it did not.
    """

    decoded_s: float = 0.0
    promised_s: float | None = None
    n_packets: int = 0
    n_damaged: int = 0
    stopped: str = ""

    @property
    def damage(self) -> str:
        """What is wrong with the sound, as a sentence; empty if nothing is."""
        promised_s = self.promised_s or 0.0
        if promised_s - self.decoded_s > max(1.0, 0.02 * promised_s):
            return f"ends after {self.decoded_s:.1f} of {promised_s:.1f} seconds"
        if self.stopped:
            return f"reading stopped after {self.decoded_s:.1f} seconds ({self.stopped})"
        if self.n_damaged > max(1, 0.01 * self.n_packets):
            return f"{self.n_damaged} of {self.n_packets} packets are damaged"
        return ""


def opened(path: Path, link: tuple[int, int] | None = None) -> InputContainer:
    """Open a file with FFmpeg, whatever its name.

    Parameters
    ----------
    path : Path
        A regular file.
    link : (int, int) or None
        First byte and end of the only part to read, from `links`.

    Returns
    -------
    InputContainer

    Raises
    ------
    UnreadableAudioError
        If there is no such file, it is none, or it is not sound.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            reason = "a folder, not a file" if path.is_dir() else "not a regular file"
            raise UnreadableAudioError(path, reason)
        # The scheme keeps a colon in a name from being read as one.
        source = "file:" + os.fspath(path) if link is None else _Stretch(path, *link)
        return av.open(source, "r", options=options, metadata_errors="replace")
    except FileNotFoundError as error:
        raise UnreadableAudioError(path, "no such file") from error
    except PermissionError as error:
        raise UnreadableAudioError(path, "no permission to read it") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        is_empty = path.is_file() and path.stat().st_size == 0
        reason = "the file is empty" if is_empty else "not a readable audio file"
        raise UnreadableAudioError(path, reason) from error


def opened_stream(file: BinaryIO, name: Path) -> InputContainer:
    """Open what can only be read on and on, such as standard input.

    Parameters
    ----------
    file : binary file
        Read from where it is, never turned back.
    name : Path
        What it is called in errors.

    Returns
    -------
    InputContainer

    Raises
    ------
    UnreadableAudioError
        If it is not sound.
    """
    try:
        options = {"format_whitelist": FORMATS}
        return av.open(_Pipe(file), "r", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableAudioError(name, "no sound that can be read as a stream") from error


def in_playing_order(container: InputContainer) -> list[AudioStream]:
    """Sort the sound streams as they are tried: default ones first.

    Parameters
    ----------
    container : InputContainer
        From `opened`.

    Returns
    -------
    list of AudioStream
        Those that FFmpeg has a decoder for.
    """
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return sorted(known, key=lambda stream: not stream.disposition & stream.disposition.default)


def frames(container: InputContainer, stream: AudioStream, told: Told) -> Iterator[AudioFrame]:
    """Decode a stream frame by frame; what cannot be decoded is left out and counted.

    Parameters
    ----------
    container : InputContainer
        From `opened`.
    stream : AudioStream
        One of its sound streams.
    told : Told
        Where to count.

    Yields
    ------
    AudioFrame
        As the decoder gives them.
    """
    packets = packets_of(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            told.stopped = error.strerror or "damaged"
            return
        if packet is None:
            return
        told.n_packets += 1
        try:
            decoded = packet.decode()
        except (av.error.FFmpegError, ValueError):
            told.n_damaged += 1
            continue
        for frame in decoded:
            if isinstance(frame, AudioFrame):
                yield frame


def packets_of(container: InputContainer, stream: Any) -> Iterator[Any]:  # noqa: ANN401 (of PyAV)
    """Yield the packets of a stream.

    At the end of a damaged file in which FFmpeg met more streams than it began with, PyAV may look
    for one that it does not have, and raise an `IndexError` behind the last packet.
    """
    with suppress(IndexError):
        yield from container.demux(stream)


def has_sane_clock(path: Path, index: int) -> bool:
    """Whether the gaps between packets add up to less than the sound, and a minute.

    Where they do not, the time stamps are wrong and not the sound sparse. Nothing is decoded.

    Parameters
    ----------
    path : Path
        The file.
    index : int
        Which of its streams.

    Returns
    -------
    bool
    """
    sound_s = gaps_s = 0.0
    end_s: float | None = None
    with opened(path) as container:
        if index >= len(container.streams):  # of a damaged file it was met only while it was read
            return False
        packets = packets_of(container, container.streams[index])
        try:
            for packet in packets:
                if packet.pts is None or packet.time_base is None:
                    continue
                start_s = float(packet.pts * packet.time_base)
                length_s = float((packet.duration or 0) * packet.time_base)
                gaps_s += 0.0 if end_s is None else max(0.0, start_s - end_s)
                sound_s += length_s
                end_s = start_s + length_s
        except (av.error.FFmpegError, OSError):
            pass
    return gaps_s <= sound_s + _SPARE_S


def links(path: Path) -> list[tuple[int, int] | None]:
    """Find the parts of a chained Ogg file, each with a header and perhaps a rate of its own.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    list of (int, int) or None
        First byte and end of each part; a single None for a file that is to be read as a whole.
    """
    if path.stat().st_size < len(_OGG) or not path.is_file():
        return [None]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        if held[:4] != _OGG:
            return [None]
        starts, was_header, at = [], False, 0
        while at >= 0 and at + 27 <= len(held):
            is_header = bool(held[at + 5] & 2)
            if is_header and not was_header:
                starts.append(at)
            was_header = is_header
            table = held[at + 27 : at + 27 + held[at + 26]]
            at = held.find(_OGG, at + 27 + len(table) + sum(table))
        ends = [*starts, len(held)]
    return [None] if len(starts) < 2 else list(pairwise(ends))


class _Pipe:
    """A binary file of which nothing is asked but to be read."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read


class _Stretch(io.RawIOBase):
    """The bytes of a file from one place to another, as a file of their own."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        super().__init__()
        self.name = str(path)
        self._file = path.open("rb")
        self._start, self._length = start, end - start
        self._file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._length - self.tell()
        return self._file.read(left if size < 0 else min(size, max(left, 0)))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self.tell(), self._length)[whence]
        return self._file.seek(self._start + max(0, base + offset)) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def close(self) -> None:
        self._file.close()
        super().close()
