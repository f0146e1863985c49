"""An audio file → blocks of mono waveform at one sample rate.

FFmpeg decodes, through PyAV. Memory is bounded by the block, not by the file.
Two or more channels are mixed to stereo and then to mono; where left and right
are in opposite phase, so that their sum would cancel, their difference is taken
instead (see `MixDown`). Gaps between time stamps are filled with silence, so
that a sample's position is its time in the file.

Letters: C channels, L audio samples.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from pemr.errors import NoAudioStreamError, UnreadableAudioError

log = logging.getLogger(__name__)

SAMPLE_RATE: Final = 16_000

_MIN_SAMPLE_RATE = 1_000  # less comes from a damaged header
_MIN_GAP_S = 0.25  # time stamps jitter by less than this
_MAX_GAP_S = 60.0  # a longer one is a broken clock, not silence
_CANCELLED = 0.1  # mid energy over side energy: below this the sum is given up,
_RESTORED = 0.5  # above this it is taken again
_SHORT_OF = 0.9  # decoded over promised duration, below which a word is logged


def blocks(
    path: Path, *, sample_rate: int = SAMPLE_RATE, block_s: int = 60
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
    mix_down = MixDown(sample_rate)
    for block in _recut(_decode(path, sample_rate), block_s * sample_rate):
        yield mix_down(_cleaned(block))


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


def _decode(path: Path, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """Pieces (C, any) of the first sound track, default ones first, in which anything decodes."""
    with _opened(path) as container:
        tracks = [s for s in container.streams.audio if s.codec_context is not None]
        tracks.sort(key=lambda stream: not stream.disposition & stream.disposition.default)
        order = [stream.index for stream in tracks]
        if not container.streams.audio:
            raise NoAudioStreamError(path)
    for index in order:
        n_samples = 0
        with _opened(path) as container:
            stream = next(s for s in container.streams.audio if s.index == index)
            for piece in _pieces(path, container, stream, sample_rate):
                n_samples += piece.shape[1]
                yield piece
            _note_early_end(path, container, n_samples / sample_rate)
        if n_samples:
            return
    raise UnreadableAudioError(path, "nothing in it can be decoded as sound")


def _opened(path: Path) -> InputContainer:
    try:
        # The scheme keeps a colon in a name from being read as one; the white
        # list keeps a play list in disguise from opening anything but files.
        return av.open(
            "file:" + os.fspath(path),
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except FileNotFoundError as error:
        raise UnreadableAudioError(path, "no such file") from error
    except IsADirectoryError as error:
        raise UnreadableAudioError(path, "a folder, not a file") from error
    except PermissionError as error:
        raise UnreadableAudioError(path, "no permission to read it") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        is_empty = path.is_file() and path.stat().st_size == 0
        reason = "the file is empty" if is_empty else "not a readable audio file"
        raise UnreadableAudioError(path, reason) from error


def _pieces(
    path: Path, container: InputContainer, stream: AudioStream, sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    resampler = _Resampler(sample_rate)
    for frame in _frames(path, container, stream):
        yield from resampler.push(frame)
    yield from resampler.flush()


def _frames(path: Path, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    packets = container.demux(stream)
    n_damaged = 0
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            log.warning("%s: reading stopped early (%s)", path, error.strerror)
            break
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            n_damaged += 1
            continue
        yield from (
            frame
            for frame in frames
            if isinstance(frame, AudioFrame)
            and frame.samples
            and frame.sample_rate >= _MIN_SAMPLE_RATE
        )
    if n_damaged:
        log.warning("%s: %d damaged packets left out", path, n_damaged)


def _note_early_end(path: Path, container: InputContainer, decoded_s: float) -> None:
    promised_s = (container.duration or 0) / av.time_base
    if 0 < decoded_s < _SHORT_OF * promised_s:
        log.warning("%s: ends after %.1f of %.1f seconds", path, decoded_s, promised_s)


class _Resampler:
    """Decoded frames of any format → float32 (C, L) at one rate, with silence in the gaps."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._layout = ""
        self._source: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._next_s: float | None = None

    def push(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        gap_s = self._gap_s(frame)
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if gap_s > 0 or source != self._source:
            yield from self.flush()
            self._start(frame)
            yield self._silence(gap_s)
            self._source = source
        yield from self._resampled(frame)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        if self._resampler is not None:
            yield from self._resampled(None)
            self._resampler = None

    def _start(self, frame: AudioFrame) -> None:
        self._layout = self._layout or ("mono" if frame.layout.nb_channels == 1 else "stereo")
        self._resampler = AudioResampler(
            format="fltp", layout=self._layout, rate=self._sample_rate, frame_size=16_384
        )

    def _resampled(self, frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
        if self._resampler is None:
            return
        try:
            resampled = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:
            log.warning("a stretch of sound cannot be resampled (%s)", error)
            self._resampler = self._source = None
            return
        for piece in resampled:
            yield np.asarray(piece.to_ndarray(), dtype=np.float32)

    def _silence(self, duration_s: float) -> NDArray[np.float32]:
        n_channels = 1 if self._layout == "mono" else 2
        return np.zeros((n_channels, round(duration_s * self._sample_rate)), np.float32)

    def _gap_s(self, frame: AudioFrame) -> float:
        """Seconds of silence that belong before this frame."""
        expected_s = self._next_s
        start_s = frame.time
        if start_s is None:
            return 0.0
        gap_s = 0.0 if expected_s is None else start_s - expected_s
        is_steady = expected_s is not None and abs(gap_s) < _MIN_GAP_S
        origin_s = expected_s if is_steady and expected_s is not None else start_s
        self._next_s = origin_s + frame.samples / frame.sample_rate
        return gap_s if _MIN_GAP_S <= gap_s <= _MAX_GAP_S else 0.0
