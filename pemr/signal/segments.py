"""Frames → overlapping segments of fixed length, without the silent ones.

Letters: F frequency bins, T frames, S segments.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_HEARD: Final = 0.1  # a segment with a smaller share of frames that are heard is silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """Some consecutive segments of one file, and the chroma of the stretch they came from.

    Parameters
    ----------
    segments : float32 array, shape (S, F, T)
        What an encoder reads. Silent segments are left out, so S may be 0.
    start_s, end_s : float64 arrays, shape (S,)
        Where each begins and ends, in seconds from the start of the file.
    chroma : uint8 array, shape (12, T)
        Chroma of the newly covered stretch, 5 frames a second.
    duration_s : float
        Length of the newly covered stretch in seconds.
    """

    segments: NDArray[np.float32]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    chroma: NDArray[np.uint8]
    duration_s: float


def segment_starts(
    is_heard: NDArray[np.bool_], segment_length: int, hop_length: int
) -> NDArray[np.int64]:
    """Decide where the segments of a recording begin.

    The last one ends where the recording ends, so that every frame is in one.

    Parameters
    ----------
    is_heard : bool array, shape (T,)
        Which frames of the recording are not silent.
    segment_length, hop_length : int
        Length of a segment, and distance between two starts, in frames.

    Returns
    -------
    int64 array, shape (S,)
        First frames, rising, of the segments in which at least a tenth of the
        frames is heard; none where there are no frames.
    """
    n_frames = len(is_heard)
    if not n_frames:
        return np.zeros(0, np.int64)
    last = max(0, n_frames - segment_length)
    starts = np.unique(np.append(np.arange(0, last + 1, hop_length), last))
    n_heard = np.concatenate([[0], np.cumsum(is_heard)])
    share = (n_heard[np.minimum(starts + segment_length, n_frames)] - n_heard[starts]) / min(
        segment_length, n_frames
    )
    return np.asarray(starts[share >= MIN_HEARD], dtype=np.int64)


def cut(
    frames: NDArray[np.uint8], starts: NDArray[np.int64], segment_length: int
) -> NDArray[np.uint8]:
    """Cut some segments from a recording.

    Parameters
    ----------
    frames : uint8 array, shape (F, T)
        All frames of the recording, T at least 1; one that is shorter than a
        segment is padded to one with the smallest value in it.
    starts : int64 array, shape (S,)
        From `segment_starts`.
    segment_length : int
        In frames.

    Returns
    -------
    uint8 array, shape (S, F, segment_length)
    """
    missing = max(0, segment_length - frames.shape[1])
    if missing:
        frames = np.pad(frames, ((0, 0), (0, missing)), constant_values=frames.min())
    windows = np.lib.stride_tricks.sliding_window_view(frames, segment_length, axis=1)
    return np.ascontiguousarray(windows[:, starts].swapaxes(0, 1))  # (F, S, T) to (S, F, T)


class Cutter:
    """Cuts segments from frames that come in stretches.

    The last segment ends where the recording ends, so that every frame is in
    one. A recording shorter than a segment is padded to one, with the smallest
    value in it.

    Parameters
    ----------
    segment_length, hop_length : int
        Length of a segment, and distance between two starts, in frames.
    """

    def __init__(self, segment_length: int, hop_length: int) -> None:
        self._segment_length = segment_length
        self._hop_length = hop_length
        self._held: NDArray[np.float32] | None = None  # (F, T)
        self._is_heard = np.zeros(0, bool)  # (T,)
        self._first = 0  # frame of the recording at which the held ones begin
        self._next = 0  # where the next segment begins, among those held

    def push(
        self, frames: NDArray[np.float32], is_heard: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut the segments that the next frames complete.

        Parameters
        ----------
        frames : float32 array, shape (F, T)
            The next frames of the recording.
        is_heard : bool array, shape (T,)
            Which of them are not silent.

        Returns
        -------
        segments : float32 array, shape (S, F, segment_length)
            Those in which at least a tenth of the frames is heard.
        starts : int64 array, shape (S,)
            Their first frames, counted from the start of the recording.
        """
        self._held = frames if self._held is None else np.concatenate([self._held, frames], axis=1)
        self._is_heard = np.concatenate([self._is_heard, is_heard])
        end = len(self._is_heard) - self._segment_length + 1
        starts = list(range(self._next, end, self._hop_length))
        cut = self._cut(self._held, starts)
        if starts:
            self._next = starts[-1] + self._hop_length
        # The last segment may have to begin a whole segment before the end.
        n_done = max(0, min(self._next, end - 1))
        self._held = self._held[:, n_done:]
        self._is_heard = self._is_heard[n_done:]
        self._first += n_done
        self._next -= n_done
        return cut

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut the last segment, where frames are in none so far.

        Returns
        -------
        segments, starts
            As `push` does; one segment or none.
        """
        n_held = len(self._is_heard)
        covered = self._next - self._hop_length + self._segment_length
        if self._held is None or (self._first + self._next > 0 and covered >= n_held):
            return self._cut(np.zeros((0, 0), np.float32) if self._held is None else self._held, [])
        missing = max(0, self._segment_length - n_held)
        frames = np.pad(self._held, ((0, 0), (0, missing)), constant_values=self._held.min())
        return self._cut(frames, [max(0, n_held - self._segment_length)])

    def _cut(
        self, frames: NDArray[np.float32], starts: list[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        length = self._segment_length
        loud = [s for s in starts if self._is_heard[s : s + length].mean() >= MIN_HEARD]
        segments = [frames[:, start : start + length] for start in loud]
        shape = (len(segments), len(frames), length)
        stacked = np.stack(segments) if segments else np.zeros(shape, np.float32)
        return np.ascontiguousarray(stacked), np.array(loud, np.int64) + self._first
