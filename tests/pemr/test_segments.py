import numpy as np
import pytest

from pemr.signal.segments import Cutter, Segments


def cut(frames, n_pushes=1, *, is_heard=None, segment_length=10, hop_length=5):
    """Cut frames that come in so many stretches; return segments and starts."""
    heard = np.ones(frames.shape[1], bool) if is_heard is None else is_heard
    cutter = Cutter(segment_length, hop_length)
    parts = [
        cutter.push(*stretch)
        for stretch in zip(
            np.array_split(frames, n_pushes, axis=1), np.array_split(heard, n_pushes), strict=True
        )
    ]
    parts.append(cutter.finish())
    return (np.concatenate([part[index] for part in parts]) for index in (0, 1))


def ramp(n_frames):
    return np.arange(2 * n_frames, dtype=np.float32).reshape(2, n_frames)


@pytest.mark.parametrize("n_frames", [10, 11, 14, 15, 16, 37, 100])
@pytest.mark.parametrize("n_pushes", [1, 3, 7])
def test_every_frame_is_in_a_segment_and_segments_hold_what_is_there(n_frames, n_pushes):
    frames = ramp(n_frames)
    segments, starts = cut(frames, n_pushes)
    covered = set()
    for segment, start in zip(segments, starts, strict=True):
        np.testing.assert_array_equal(segment, frames[:, start : start + 10])
        covered.update(range(start, start + 10))
    assert covered == set(range(n_frames))
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("hop_length", [3, 10])
def test_how_frames_arrive_makes_no_difference(hop_length):
    frames = ramp(83)
    whole, whole_starts = cut(frames, hop_length=hop_length)
    parts, part_starts = cut(frames, 20, hop_length=hop_length)
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(whole_starts, part_starts)


def test_a_short_recording_is_padded_to_one_segment():
    segments, starts = cut(ramp(3) + 1)
    assert segments.shape == (1, 2, 10)
    assert starts.tolist() == [0]
    np.testing.assert_array_equal(segments[0, :, 3:], 1)


def test_silence_yields_no_segments():
    segments, starts = cut(ramp(40), is_heard=np.zeros(40, bool))
    assert segments.shape == (0, 2, 10)
    assert starts.shape == (0,)


def test_a_silent_passage_is_left_out_and_the_rest_keeps_its_place():
    is_heard = np.ones(50, bool)
    is_heard[15:35] = False
    _, starts = cut(ramp(50), is_heard=is_heard)
    assert starts.tolist() == [0, 5, 10, 30, 35, 40]


def test_a_recording_without_frames_has_no_segments():
    assert len(Cutter(10, 5).finish()[0]) == 0


def test_segments_say_where_they_are():
    segments = Segments(
        segments=np.zeros((1, 2, 10), np.float32),
        start_s=np.zeros(1),
        end_s=np.ones(1),
        chroma=np.zeros((12, 5), np.uint8),
        duration_s=1.0,
    )
    assert segments.end_s - segments.start_s == segments.duration_s
    assert segments.segments.shape[0] == len(segments.start_s)
    assert segments.chroma.shape == (12, 5)
