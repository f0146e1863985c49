"""Segments of a recording → the segments that it would have, played faster or slower.

Letters: S segments, F frequency bins, T frames.
"""

import numpy as np
from numpy.typing import NDArray

from pemr.signal.segments import Cutter


def at_tempo(
    segments: NDArray[np.float32], starts: NDArray[np.int64], tempo: float, hop_length: int
) -> NDArray[np.float32]:
    """Cut a recording anew, at another tempo and in its own key.

    Parameters
    ----------
    segments : float32 array, shape (S, F, T)
        All of the recording that is not silent, S at least 1.
    starts : int64 array, shape (S,)
        First frame of each, rising.
    tempo : float
        Factor; 2 is twice as fast.
    hop_length : int
        Distance between two starts of the new segments, in frames.

    Returns
    -------
    float32 array, shape (S, F, T)
        With S as the new length has it; frames are the nearest ones, not mixed.
    """
    length = segments.shape[2]
    shape = (segments.shape[1], int(starts[-1]) + length)
    frames = np.full(shape, segments.min(), np.float32)
    is_heard = np.zeros(shape[1], bool)
    for segment, start in zip(segments, starts.tolist(), strict=True):
        frames[:, start : start + length] = segment
        is_heard[start : start + length] = True
    n_frames = max(1, round(shape[1] / tempo))
    nearest = np.minimum(((np.arange(n_frames) + 0.5) * tempo).astype(np.int64), shape[1] - 1)
    cutter = Cutter(length, hop_length)
    parts = [cutter.push(frames[:, nearest], is_heard[nearest])[0], cutter.finish()[0]]
    return np.concatenate([part for part in parts if len(part)])
