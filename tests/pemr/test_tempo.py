"""Segments cut anew at another tempo."""

import numpy as np
import pytest

from pemr.signal.segments import Cutter
from pemr.signal.tempo import at_tempo

LENGTH, HOP = 10, 5


def cut(frames, is_heard=None):
    is_heard = np.ones(frames.shape[1], bool) if is_heard is None else is_heard
    cutter = Cutter(LENGTH, HOP)
    parts = [part for part in (cutter.push(frames, is_heard), cutter.finish()) if len(part[0])]
    return [np.concatenate(some) for some in zip(*parts, strict=True)]


@pytest.fixture
def frames():
    """47 frames, each of its own number, in two bins."""
    return np.tile(np.arange(47, dtype=np.float32), (2, 1))


def test_at_its_own_tempo_a_recording_is_cut_as_it_was(frames):
    segments, starts = cut(frames)
    np.testing.assert_array_equal(at_tempo(segments, starts, 1.0, HOP), segments)


def test_twice_as_fast_it_has_half_of_its_frames(frames):
    segments, starts = cut(frames)
    heard = np.unique(at_tempo(segments, starts, 2.0, HOP)[:, 0])
    np.testing.assert_array_equal(heard, np.minimum(np.arange(24) * 2 + 1, 46))


def test_slower_it_has_each_frame_several_times(frames):
    segments, starts = cut(frames)
    slow = at_tempo(segments, starts, 0.5, HOP)
    np.testing.assert_array_equal(slow[0, 0], np.repeat(np.arange(5), 2))
    assert slow[-1, 0, -1] == 46


def test_what_is_silent_stays_out(frames):
    is_heard = np.arange(47) < 20
    segments, starts = cut(frames, is_heard)
    fast = at_tempo(segments, starts, 1.25, HOP)
    assert fast.shape[1:] == (2, LENGTH)
    assert np.unique(fast).max() < 30


def test_what_is_shorter_than_a_segment_becomes_one(frames):
    segments, starts = cut(frames[:, :4])
    assert at_tempo(segments, starts, 1.25, HOP).shape == (1, 2, LENGTH)
