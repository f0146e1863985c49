"""An audio file → how long it says of itself that it is, where its format says that.

FFmpeg takes what is there for what was promised in formats that are one long chunk of samples;
there the chunk's own size is read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

_LENGTH_IS_GUESSED: Final = frozenset(
    {"aac", "ac3", "adx", "amr", "amrnb", "amrwb", "aptx", "aptx_hd", "dfpwm", "dts", "dtshd"}
    | {"eac3", "g722", "g723_1", "g729", "gsm", "ilbc", "loas", "mlp", "mpeg", "mpegts"}
    | {"mpegtsraw", "sbc", "sln", "spdif", "swf", "truehd"}
)
"""Formats without a header that says how long they play; FFmpeg guesses from the bit rate."""

_MAX_CHUNKS = 1000
_UNKNOWN_BYTES = 0x7FFF_0000  # a size from here on stands for "as long as it lasts"
_OGG = b"OggS"
_TAIL_BYTES = 1 << 17  # an Ogg page is shorter


def promised_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Say how long a stream is by its own header, where the format has that.

    Parameters
    ----------
    container : InputContainer
        From `opened`.
    stream : AudioStream
        One of its sound streams. Pictures, chapters and other tracks do not count.

    Returns
    -------
    float or None
        Seconds; None where the format does not say, so that FFmpeg guesses.
    """
    is_counted = stream.time_base is not None and stream.time_base.denominator == 14_112_000
    if container.format.name in _LENGTH_IS_GUESSED or (
        container.format.name == "mp3" and not _has_frame_count(container)
    ):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base) * _shortening(container, stream)
    if (tag := stream.metadata.get("DURATION")) is not None:  # Matroska
        return _clock_time(tag)
    if len(container.streams) == 1 and container.duration is not None and not is_counted:
        return container.duration / av.time_base
    return None


def _has_frame_count(container: InputContainer) -> bool:
    """Whether an MP3 begins with a frame that counts the others (Xing, Info or VBRI)."""
    path = Path(container.name.removeprefix("file:"))
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            size = sum(
                (byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=False)
            )
            file.seek(10 + size)
        else:
            file.seek(0)
        first = file.read(4096)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _clock_time(text: str) -> float | None:
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def is_cut_off(path: Path) -> bool:
    """Whether an Ogg file ends in the middle of a page; other formats say it by their length.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    bool
    """
    with path.open("rb") as file:
        if file.read(4) != _OGG:
            return False
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    at = tail.rfind(_OGG)
    if at < 0 or at + 27 > len(tail):
        return at >= 0
    table = tail[at + 27 : at + 27 + tail[at + 26]]
    return at + 27 + tail[at + 26] + sum(table) > len(tail)


def _shortening(container: InputContainer, stream: AudioStream) -> float:
    """How many times longer a chunk of samples says that it is than what there is of it."""
    is_plain = stream.codec_context.name.startswith("pcm")  # others count their samples
    if not is_plain or container.format.name not in {"wav", "w64", "caf"}:
        return 1.0
    path = Path(container.name.removeprefix("file:"))
    with path.open("rb") as file:
        start, n_promised = next(_sample_chunks(file), (0, 0))
        n_there = file.seek(0, 2) - start
    return n_promised / n_there if 0 < n_there < n_promised else 1.0


def _sample_chunks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """First byte and promised length of the samples of a WAV, RF64, Wave64 or CAF file."""
    kind = file.read(4)
    name_length, form, n_head, start = {
        b"riff": (16, "<Q", 24, 40),
        b"caff": (4, ">q", 0, 8),
    }.get(kind, (4, "<I", 0, 12))
    n_wide = 0
    file.seek(start)
    for _ in range(_MAX_CHUNKS):
        name, size = file.read(name_length)[:4], file.read(struct.calcsize(form))
        if len(size) < struct.calcsize(form):
            return
        (n_bytes,) = struct.unpack(form, size)
        here, n_bytes = file.tell(), n_bytes - n_head
        if name == b"ds64":
            _, n_wide = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        if name == b"data":
            is_open = kind not in {b"caff", b"riff"} and n_bytes >= _UNKNOWN_BYTES
            yield here, n_wide or (0 if is_open else n_bytes)
            return
        if n_bytes < 0:
            return
        step = 8 if kind == b"riff" else 2
        file.seek(here + n_bytes + (-n_bytes % step if kind != b"caff" else 0))
