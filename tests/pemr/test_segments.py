import numpy as np
import pytest

from pemr.signal.segments import cut, segment_starts

LENGTH, HOP = 10, 5


def ramp(n_frames):
    return np.arange(2 * n_frames, dtype=np.uint8).reshape(2, n_frames)


def starts_of(n_frames, hop_length=HOP):
    return segment_starts(np.ones(n_frames, bool), LENGTH, hop_length)


@pytest.mark.parametrize("n_frames", [10, 11, 14, 15, 16, 37, 100])
@pytest.mark.parametrize("hop_length", [3, 5, 10])
def test_every_frame_is_in_a_segment_and_segments_hold_what_is_there(n_frames, hop_length):
    frames = ramp(n_frames)
    starts = starts_of(n_frames, hop_length)
    covered = set()
    for segment, start in zip(cut(frames, starts, LENGTH), starts, strict=True):
        np.testing.assert_array_equal(segment, frames[:, start : start + LENGTH])
        covered.update(range(start, start + LENGTH))
    assert covered == set(range(n_frames))
    assert (np.diff(starts) > 0).all()


def test_segments_are_a_hop_apart_but_for_the_last():
    assert starts_of(37).tolist() == [0, 5, 10, 15, 20, 25, 27]


def test_segments_lie_in_memory_one_after_the_other():
    assert cut(ramp(37), starts_of(37), LENGTH).flags.c_contiguous


def test_a_short_recording_is_padded_to_one_segment():
    segments = cut(ramp(3) + 1, starts_of(3), LENGTH)
    assert segments.shape == (1, 2, LENGTH)
    np.testing.assert_array_equal(segments[0, :, 3:], 1)


@pytest.mark.parametrize("n_frames", [0, 3, 40])
def test_silence_has_no_segments(n_frames):
    assert segment_starts(np.zeros(n_frames, bool), LENGTH, HOP).shape == (0,)


def test_no_segments_are_cut_where_none_begin():
    assert cut(ramp(40), np.zeros(0, np.int64), LENGTH).shape == (0, 2, LENGTH)


def test_a_silent_passage_is_left_out_and_the_rest_keeps_its_place():
    is_heard = np.ones(50, bool)
    is_heard[15:35] = False
    assert segment_starts(is_heard, LENGTH, HOP).tolist() == [0, 5, 10, 30, 35, 40]


@pytest.mark.parametrize("n_heard", [0, 1, 2])
def test_a_segment_counts_when_a_tenth_of_it_is_heard(n_heard):
    is_heard = np.arange(20) < n_heard
    assert len(segment_starts(is_heard, 20, HOP)) == (n_heard >= 2)
