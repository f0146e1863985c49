"""Frames → overlapping segments of fixed length, without the silent ones.

Letters: F frequency bins, T frames, S segments.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_HEARD: Final = 0.1  # a segment with a smaller share of frames that are heard is silent


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


def cut_each(
    recordings: Sequence[NDArray[np.uint8]],
    owners: NDArray[np.int64],
    starts: NDArray[np.int64],
    length: int,
) -> NDArray[np.uint8]:
    """Cut segments out of several recordings.

    Parameters
    ----------
    recordings : sequence of uint8 arrays, shape (F, T) each
        T differs; a recording without frames shows zeros.
    owners : int64 array, shape (S,), rising
        Which recording each segment is of.
    starts : int64 array, shape (S,)
        Frame that each segment begins with.
    length : int
        Frames of a segment.

    Returns
    -------
    uint8 array, shape (S, F, length)
    """
    cuts = []
    for owner in np.unique(owners):
        frames, firsts = recordings[owner], starts[owners == owner]
        if frames.shape[1]:
            cuts.append(cut(frames, firsts, length))
        else:
            cuts.append(np.zeros((len(firsts), len(frames), length), np.uint8))
    return np.concatenate(cuts)
