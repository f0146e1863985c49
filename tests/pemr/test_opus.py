"""Sound for browsers."""

import av
import pytest

from pemr.errors import UnreadableAudioError
from pemr.opus import opus_stream
from tests.conftest import tone


def decoded_s(path):
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / 48_000


@pytest.mark.parametrize(("start_s", "expected_s"), [(0.0, 5.0), (3.5, 1.5)])
def test_a_file_is_heard_from_a_second_on(start_s, expected_s, tmp_path):
    file = tone(tmp_path / "a.wav", duration_s=5)
    out = tmp_path / "a.opus"
    out.write_bytes(b"".join(opus_stream(file, start_s)))
    assert decoded_s(out) == pytest.approx(expected_s, abs=0.1)


def test_it_comes_in_parts(tmp_path):
    file = tone(tmp_path / "a.wav", duration_s=30)
    first, *rest = opus_stream(file)
    assert first.startswith(b"OggS")
    assert len(rest) > 5


def test_what_is_no_sound_is_refused(tmp_path):
    text = tmp_path / "a.mp3"
    text.write_text("no music")
    with pytest.raises(UnreadableAudioError):
        next(opus_stream(text))
