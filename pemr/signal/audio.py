"""An audio file → blocks of mono waveform at one sample rate.

FFmpeg decodes, through PyAV. Memory is bounded by the block, not by the file.
Two to eight channels are mixed to stereo and then to mono, more are averaged; where left and right
are in opposite phase, so that their sum would cancel, their difference is taken
instead (see `MixDown`). Gaps between time stamps are filled with silence, so
that a sample's position is its time in the file.

Letters: C channels, L audio samples.
"""

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, Final

import av.error
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from pemr.errors import NoAudioStreamError, UnreadableAudioError
from pemr.signal.media import (
    Told,
    frames,
    has_sane_clock,
    in_playing_order,
    links,
    opened,
    opened_stream,
)
from pemr.signal.promise import is_cut_off, promised_s

log = logging.getLogger(__name__)

SAMPLE_RATE: Final = 16_000

_MIN_SAMPLE_RATE = 1_000  # less comes from a damaged header
_RESAMPLED_AT_ONCE = 1 << 15  # samples: for each frame by itself it costs as much as decoding
_MIN_GAP_S = 0.25  # time stamps jitter by less than this
_MAX_SAMPLE_RATE = 6_144_000  # likewise; DSD's highest is less
_MAX_MIXED = 8  # channels that FFmpeg knows how to mix
_MAX_GAP_S = 90.0  # a longer one is a broken clock, not silence
_CANCELLED = 0.1  # mid energy over side energy: below this the sum is given up,
_RESTORED = 0.5  # above this it is taken again


def blocks(
    path: Path, *, sample_rate: int = SAMPLE_RATE, block_s: int = 60, told: Told | None = None
) -> Iterator[NDArray[np.float32]]:
    """Decode a file block by block.

    Parameters
    ----------
    path : Path
        Any file that FFmpeg reads and that holds sound.
    sample_rate : int
        Rate of the waveform in Hz.
    block_s : int
        Length of a block in whole seconds. The waveform does not depend on it.
    told : Told or None
        Where to note how much was decoded and what was damaged; damage is logged too, in one line.

    Yields
    ------
    float32 array, shape (L,), in [-1, 1]
        Mono waveform. Every block is full but the last, which is never empty.

    Raises
    ------
    UnreadableAudioError
        If the file cannot be opened, or nothing in it decodes.
    NoAudioStreamError
        If it opens but holds no sound, such as a video without a sound track.
    """
    told = Told() if told is None else told
    mix_down = MixDown(sample_rate)
    for block in _recut(_decode(path, sample_rate, told), block_s * sample_rate):
        yield mix_down(_cleaned(block))
    if told.damage:
        log.warning("%s: %s", path, told.damage)


def stream_blocks(file: BinaryIO, *, block_s: int = 60) -> Iterator[NDArray[np.float32]]:
    """Decode a stream of bytes block by block, as it comes.

    It need not be a file, nor end soon: nothing is asked but to be read. Gaps between time stamps
    are not filled, since whether they can be trusted is only known at the end.

    Parameters
    ----------
    file : binary file
        Such as standard input, in any format that can be read without going back.
    block_s : int
        Length of a block in whole seconds.

    Yields
    ------
    float32 array, shape (L,), in [-1, 1]
        Mono waveform at 16,000 Hz. Every block is full but the last, which is never empty. A
        stream that breaks off ends there; a line of the log says so.

    Raises
    ------
    UnreadableAudioError
        If it is no sound, or nothing in it decodes.
    NoAudioStreamError
        If it holds no sound, such as a video without a sound track.
    """
    told = Told()
    mix_down = MixDown(SAMPLE_RATE)
    name = Path(str(getattr(file, "name", "<stream>")))
    for block in _recut(_decode_stream(file, name, told), block_s * SAMPLE_RATE):
        yield mix_down(_cleaned(block))
    if told.damage:
        log.warning("%s: %s", name, told.damage)


def load(path: Path, *, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Decode a whole file.

    Parameters
    ----------
    path : Path
        Any file that FFmpeg reads and that holds sound.
    sample_rate : int
        Rate of the waveform in Hz.

    Returns
    -------
    float32 array, shape (L,), in [-1, 1]
        Mono waveform.

    Raises
    ------
    UnreadableAudioError, NoAudioStreamError
        As `blocks` does.
    """
    return np.concatenate(list(blocks(path, sample_rate=sample_rate)))


class MixDown:
    """Stereo to mono, without losing what is in opposite phase.

    Decided for each second of sound: mid = (left + right) / 2, unless its energy
    is below a tenth of that of side = (left - right) / 2; then side, until mid
    is back at half the energy of side.

    Parameters
    ----------
    sample_rate : int
        Samples a second; calls take whole seconds, except for the last.
    """

    def __init__(self, sample_rate: int) -> None:
        self._second = sample_rate
        self._is_opposite = False

    def __call__(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix the next stretch.

        Parameters
        ----------
        channels : float32 array, shape (C, L)
            One or two channels.

        Returns
        -------
        float32 array, shape (L,)
        """
        if len(channels) == 1:
            return np.asarray(channels[0])
        mid = (channels[0] + channels[1]) * np.float32(0.5)
        side = (channels[0] - channels[1]) * np.float32(0.5)
        for start in range(0, len(mid), self._second):
            second = slice(start, start + self._second)
            ratio = _CANCELLED if not self._is_opposite else _RESTORED
            mid_energy = float(np.dot(mid[second], mid[second]))
            self._is_opposite = mid_energy < ratio * float(np.dot(side[second], side[second]))
            if self._is_opposite:
                mid[second] = side[second]
        return np.asarray(mid)


def _cleaned(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Silence what is not a number, and clip to [-1, 1]."""
    if not np.isfinite(np.sum(waveform)):
        waveform = np.nan_to_num(waveform, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(waveform, -1.0, 1.0))


def _recut(pieces: Iterator[NDArray[np.float32]], length: int) -> Iterator[NDArray[np.float32]]:
    """Join pieces (C, any) and cut them into blocks (C, length), the last one shorter."""
    held: list[NDArray[np.float32]] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += piece.shape[1]
        if n_held < length:
            continue
        joined = np.concatenate(held, axis=1)
        n_full = n_held - n_held % length
        for start in range(0, n_full, length):
            yield joined[:, start : start + length]
        held = [joined[:, n_full:]]
        n_held -= n_full
    if n_held:
        yield np.concatenate(held, axis=1)


def _decode(path: Path, sample_rate: int, told: Told) -> Iterator[NDArray[np.float32]]:
    """Pieces (C, any) of the first sound track, default ones first, in which anything decodes."""
    layout = ""
    with opened(path) as container:
        order = [stream.index for stream in in_playing_order(container)]
        if not container.streams.audio:
            raise NoAudioStreamError(path)
    for index in order:
        n_samples = 0
        for link in links(path):
            with opened(path, link) as container:
                stream = next((s for s in container.streams.audio if s.index == index), None)
                if stream is None:
                    continue
                told.promised_s = promised_s(container, stream) if link is None else None
                resampler = _Resampler(sample_rate, layout, partial(has_sane_clock, path, index))
                for piece in _pieces(resampler, frames(container, stream, told)):
                    n_samples += piece.shape[1]
                    told.decoded_s = n_samples / sample_rate
                    yield piece
                layout = resampler.layout
        if n_samples:
            told.stopped = told.stopped or ("cut off" if is_cut_off(path) else "")
            return
    raise UnreadableAudioError(path, "nothing in it can be decoded as sound")


def _decode_stream(file: BinaryIO, name: Path, told: Told) -> Iterator[NDArray[np.float32]]:
    """Pieces (C, any) of the first sound track of what can be read but once."""
    with opened_stream(file, name) as container:
        stream = next(iter(in_playing_order(container)), None)
        if stream is None:
            raise NoAudioStreamError(name)
        resampler = _Resampler(SAMPLE_RATE, "", trusts_clock=lambda: False)
        for piece in _pieces(resampler, frames(container, stream, told)):
            told.decoded_s += piece.shape[1] / SAMPLE_RATE
            yield piece
    if not told.decoded_s:
        raise UnreadableAudioError(name, "nothing in it can be decoded as sound")


def _pieces(
    resampler: "_Resampler", decoded: Iterator[AudioFrame]
) -> Iterator[NDArray[np.float32]]:
    for frame in decoded:
        if frame.samples and _MIN_SAMPLE_RATE <= frame.sample_rate <= _MAX_SAMPLE_RATE:
            yield from resampler.push(frame)
    yield from resampler.flush()


def _averaged(frame: AudioFrame) -> AudioFrame:
    """Average all channels of a frame; FFmpeg has no rule for more than eight."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    scale = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
    mean = samples.mean(axis=0, dtype=np.float64)
    mono = (mean - scale if samples.dtype == np.uint8 else mean) / scale
    averaged = AudioFrame.from_ndarray(mono[None].astype(np.float32), format="fltp", layout="mono")
    averaged.sample_rate = frame.sample_rate
    averaged.time_base, averaged.pts = frame.time_base, frame.pts
    return averaged


class _Resampler:
    """Decoded frames of any format → float32 (C, L) at one rate, with silence in the gaps.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    layout : str
        What to mix to, `mono` or `stereo`; empty to go by the first frame.
    trusts_clock : callable
        Asked at the first gap, whether gaps are to be filled.
    """

    def __init__(self, sample_rate: int, layout: str, trusts_clock: Callable[[], bool]) -> None:
        self.layout = layout
        self._sample_rate = sample_rate
        self._trusts_clock = cache(trusts_clock)
        self._source: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._waiting = AudioFifo()
        self._next_s: float | None = None

    def push(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        if frame.layout.nb_channels > _MAX_MIXED:
            frame = _averaged(frame)
        gap_s = self._gap_s(frame)
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if gap_s > 0 or source != self._source:
            yield from self.flush()
            self._start(frame)
            yield self._silence(gap_s)
            self._source = source
        frame.pts = None  # what comes one after the other is put together, whatever its clock says
        self._waiting.write(frame)
        if self._waiting.samples >= _RESAMPLED_AT_ONCE:
            yield from self._resampled(self._waiting.read())

    def flush(self) -> Iterator[NDArray[np.float32]]:
        if self._waiting.samples:
            yield from self._resampled(self._waiting.read())
        if self._resampler is not None:
            yield from self._resampled(None)
            self._resampler = None

    def _start(self, frame: AudioFrame) -> None:
        self._waiting = AudioFifo()
        self.layout = self.layout or ("mono" if frame.layout.nb_channels == 1 else "stereo")
        self._resampler = AudioResampler(
            format="fltp", layout=self.layout, rate=self._sample_rate, frame_size=16_384
        )

    def _resampled(self, frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
        if self._resampler is None:
            return
        try:
            resampled = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:
            log.debug("a stretch of sound cannot be resampled (%s)", error)
            self._resampler = self._source = None
            return
        for piece in resampled:
            yield np.asarray(piece.to_ndarray(), dtype=np.float32)

    def _silence(self, duration_s: float) -> NDArray[np.float32]:
        n_channels = 1 if self.layout == "mono" else 2
        return np.zeros((n_channels, round(duration_s * self._sample_rate)), np.float32)

    def _gap_s(self, frame: AudioFrame) -> float:
        """Seconds of silence that belong before this frame.

        The clock goes on by what is decoded; it is compared, and set anew where they differ, only
        with a frame that has a time stamp: decoders stamp the first frame of a packet alone.
        """
        expected_s, stamped_s = self._next_s, frame.time
        late_s = 0.0
        if stamped_s is not None:
            late_s = 0.0 if expected_s is None else stamped_s - expected_s
            if expected_s is None or abs(late_s) >= _MIN_GAP_S:
                expected_s = stamped_s
        if expected_s is not None:
            self._next_s = expected_s + frame.samples / frame.sample_rate
        is_gap = _MIN_GAP_S <= late_s <= _MAX_GAP_S
        return late_s if is_gap and self._trusts_clock() else 0.0
