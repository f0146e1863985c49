"""An audio file → how long it says of itself that it is, and whether it ends before its end.

FFmpeg takes what is there for what was promised in formats that are one long chunk of samples;
there the chunk's own size is read. Formats that are nothing but frames, one after the other, do not
say how long they are: there a cut shows in the last frame alone, which is shorter than its own
header says. MP3 without a count, MPEG programme streams and raw samples are not looked at: whole
files of these end in the middle of a frame often enough.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
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
_OGG: Final = b"OggS"
_TAIL_BYTES = 1 << 17  # an Ogg page is shorter
_HEAD_BYTES = 16  # of a frame; all that its length needs

_AC3_KBIT = (
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
)  # fmt: skip
_AC3_RATES = (48_000, 44_100, 32_000)
_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
_AMR_WIDE_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
_TS_BYTES = 188

FrameLength = Callable[[bytes], int]
"""The first bytes of a frame → how many bytes it has; 0 where it is none."""


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


def is_cut_off(path: Path) -> bool:
    """Whether a file of frames or pages ends in the middle of one.

    Parameters
    ----------
    path : Path
        Any file; of other formats nothing is said.

    Returns
    -------
    bool
    """
    if path.stat().st_size < _HEAD_BYTES:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        if held[:4] == _OGG:
            return _is_page_cut(held[max(0, len(held) - _TAIL_BYTES) :])
        at = _after_id3(held)
        for magic, length in ((b"#!AMR-WB\n", _amr_wide), (b"#!AMR\n", _amr)):
            if held[: len(magic)] == magic:
                return _is_frame_cut(held, len(magic), length)
        for length in (_adts, _ac3, _dts, _ts):
            second = at + length(held[at : at + _HEAD_BYTES])
            if second > at and length(held[second : second + _HEAD_BYTES]):  # no chance find
                return _is_frame_cut(held, second, length)
    return False


def _after_id3(held: mmap.mmap) -> int:
    head = held[:10]
    if head[:3] != b"ID3":
        return 0
    sizes = zip(head[6:], (21, 14, 7, 0), strict=True)
    return 10 + sum((byte & 127) << shift for byte, shift in sizes)


def _is_page_cut(tail: bytes) -> bool:
    at = tail.rfind(_OGG)
    if at < 0 or at + 27 > len(tail):
        return at >= 0
    table = tail[at + 27 : at + 27 + tail[at + 26]]
    return at + 27 + tail[at + 26] + sum(table) > len(tail)


def _is_frame_cut(held: mmap.mmap, at: int, length: FrameLength) -> bool:
    """Go from frame to frame; what is none, such as tags at the end, is no cut."""
    mark = held[at : at + 2]
    while at < len(held):
        head = held[at : at + _HEAD_BYTES]
        n_bytes = length(head.ljust(_HEAD_BYTES, b"\0"))
        if not n_bytes:
            return len(head) < _HEAD_BYTES and mark.startswith(head[:2])  # cut in the header
        at += n_bytes
    return at > len(held)


def _adts(head: bytes) -> int:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5


def _ac3(head: bytes) -> int:
    """AC-3, and Enhanced AC-3, which says its length itself."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, size = head[4] >> 6, head[4] & 63
    if rate > 2 or size > 37:
        return 0
    n_words = 96_000 * _AC3_KBIT[size // 2] // _AC3_RATES[rate]
    return 2 * (n_words + (size & 1 if rate == 1 else 0))


def _dts(head: bytes) -> int:
    if head[:4] != b"\x7f\xfe\x80\x01" or len(head) < 8:
        return 0
    return ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1


def _ts(head: bytes) -> int:
    return _TS_BYTES if head[:1] == b"G" else 0


def _amr(head: bytes) -> int:
    return _AMR_BYTES[head[0] >> 3 & 15] if not head[0] & 0x83 else 0


def _amr_wide(head: bytes) -> int:
    return _AMR_WIDE_BYTES[head[0] >> 3 & 15] if not head[0] & 0x83 else 0
