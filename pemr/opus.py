"""An audio file, from any second on → Ogg Opus, for players that cannot read the file itself."""

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from pemr.errors import NoAudioStreamError
from pemr.signal.media import Told, frames, in_playing_order, opened

SAMPLE_RATE: Final = 48_000
BIT_RATE: Final = 96_000
_PACKET_LENGTH: Final = 960  # samples: 20 ms
_N_BYTES: Final = 16_384  # are gathered before they are passed on


def opus_stream(path: Path, start_s: float = 0.0) -> Iterator[bytes]:
    """Encode a file as Ogg Opus while it is read.

    Parameters
    ----------
    path : Path
        An audio file.
    start_s : float
        Where to begin, in seconds.

    Yields
    ------
    bytes
        Parts of the stream, of some kilobytes each; stereo, 48 kHz.

    Raises
    ------
    UnreadableAudioError, NoAudioStreamError
        If there is no sound to be had from the file.
    """
    with opened(path) as container:
        streams = in_playing_order(container)
        if not streams:
            raise NoAudioStreamError(path)
        if start_s > 0:
            container.seek(round(start_s * av.time_base))
        kept = _from(frames(container, streams[0], Told()), start_s)
        held = _Sink()
        with av.open(held, "w", format="ogg") as out:
            written = out.add_stream("libopus", rate=SAMPLE_RATE, layout="stereo")
            written.bit_rate = BIT_RATE
            for part in _packets_long(kept):
                out.mux(written.encode(part))
                if len(held.parts) >= _N_BYTES:
                    yield held.taken()
            out.mux(written.encode(None))
        yield held.taken()


def _from(decoded: Iterator[AudioFrame], start_s: float) -> Iterator[AudioFrame]:
    """Leave out what ends before a second: a file is sought to a place before it."""
    for frame in decoded:
        if frame.time is None or frame.time + frame.samples / frame.rate > start_s:
            yield frame


def _packets_long(decoded: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """Cut sound into frames as long as a packet of Opus, and number their samples from 0."""
    resampler = AudioResampler("fltp", "stereo", SAMPLE_RATE, frame_size=_PACKET_LENGTH)
    at = 0
    for frame in chain(decoded, [None]):
        if frame is not None:
            frame.pts = None
        for part in resampler.resample(frame):
            part.pts, part.time_base = at, Fraction(1, SAMPLE_RATE)
            at += part.samples
            yield part


class _Sink(io.RawIOBase):
    """What has been written and not yet been taken."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        self.parts += content
        return len(content)

    def taken(self) -> bytes:
        content = bytes(self.parts)
        self.parts.clear()
        return content
