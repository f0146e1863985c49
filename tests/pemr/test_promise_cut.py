"""A file that is nothing but frames is cut off where the last of them is shorter than it says."""

import pytest

from pemr.signal.promise import is_cut_off
from tests.pemr.test_promise import encoded, told_of

FRAMES = [("a.aac", "aac"), ("a.ac3", "ac3"), ("a.eac3", "eac3"), ("a.ts", "aac"), ("a.ts", "ac3")]


@pytest.mark.parametrize(("name", "codec"), FRAMES)
def test_a_whole_file_is_not_cut_off_and_a_part_of_it_is(tmp_path, name, codec):
    path = encoded(tmp_path / name, codec, 3.0)
    content = path.read_bytes()
    assert not is_cut_off(path)
    assert told_of(path).damage == ""
    for share in (0.3, 0.61, 0.97):
        path.write_bytes(content[: int(share * len(content)) // 2 * 2 + 1])
        assert is_cut_off(path), share
    assert told_of(path).damage.endswith("(cut off)")


def test_tags_around_the_frames_are_no_cut(tmp_path):
    path = encoded(tmp_path / "a.aac", "aac", 1.0)
    frames = path.read_bytes()
    head = b"ID3\x03\0\0\0\0\0\x14" + bytes(20)
    for tail in (b"TAG" + bytes(125), b"APETAGEX" + bytes(60), bytes(500)):
        path.write_bytes(head + frames + tail)
        assert not is_cut_off(path)
    path.write_bytes(head + frames[:-5])
    assert is_cut_off(path)


@pytest.mark.parametrize(
    ("magic", "frame", "n_bytes"),
    [(b"#!AMR\n", b"\x3c", 32), (b"#!AMR-WB\n", b"\x44", 61), (b"", b"\x7f\xfe\x80\x01", 96)],
)
def test_frames_of_speech_and_of_films(tmp_path, magic, frame, n_bytes):
    if frame[:1] == b"\x7f":  # DTS says its length less one in 14 bits
        frame += bytes([0, n_bytes - 1 >> 12, n_bytes - 1 >> 4 & 255, (n_bytes - 1 & 15) << 4])
    path = tmp_path / "a.amr"
    path.write_bytes(magic + 9 * frame.ljust(n_bytes, b"\1"))
    assert not is_cut_off(path)
    path.write_bytes(magic + (9 * frame.ljust(n_bytes, b"\1"))[:-7])
    assert is_cut_off(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"Og", b"OggS", b"OggS" + bytes(40), b"RIFF" * 9, b"\xff\xf1" * 9, b"G" * 50, b"ID3" * 9],
)
def test_what_is_hardly_a_file_is_no_error(tmp_path, content):
    path = tmp_path / "a.ogg"
    path.write_bytes(content)
    assert is_cut_off(path) in {True, False}
