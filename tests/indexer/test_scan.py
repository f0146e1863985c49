import os
import sys
from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from indexer.errors import FolderError
from indexer.scan import (
    AUDIO_SUFFIXES,
    FORMATS,
    AudioFile,
    Unreachable,
    find_audio,
    hash_audio,
    open_media,
)
from pemr.signal import media
from pemr.signal.audio import load


def names(folder: Path) -> list[str]:
    return [str(found.path.relative_to(folder)) for found in find_audio([folder])]


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def encode(path: Path, seed: int = 0, **tags: str) -> Path:
    """One second of noise as FLAC, or as what the suffix says."""
    codec, format_ = {
        ".flac": ("flac", "s16"),
        ".mp3": ("mp3", "s16p"),
        ".mka": ("pcm_s16le", "s16"),
        ".wav": ("pcm_s16le", "s16"),
    }[path.suffix]
    noise = np.random.default_rng(seed).integers(-9000, 9000, (1, 8000)).astype(np.int16)
    with av.open(path, "w") as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec, rate=8000, layout="mono", format=format_)
        frame = av.AudioFrame.from_ndarray(noise, format=format_, layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def test_audio_is_found_recursively_in_the_order_of_names(tmp_path):
    for name in (
        "b/2.mp3",
        "b/1.FLAC",
        "a.wav",
        "a/z.opus",
        "notes.txt",
        "b/cover.jpg",
        "film.mkv",
    ):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a.wav", "film.mkv", "a/z.opus", "b/1.FLAC", "b/2.mp3"]


def test_a_found_file_has_its_size_and_date(tmp_path):
    path = touch(tmp_path / "a.wav", b"four")
    os.utime(path, ns=(1, 1_600_000_000_000_000_123))
    assert list(find_audio([tmp_path])) == [AudioFile(path, 4, path.stat().st_mtime_ns)]


def test_hidden_files_and_shadows_of_other_systems_are_passed_over(tmp_path):
    for name in ("._song.mp3", ".hidden.mp3", ".trash/song.mp3", "song.mp3"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["song.mp3"]


@pytest.mark.skipif(sys.platform == "win32", reason="names are bytes on POSIX alone")
def test_odd_names_come_back_as_the_bytes_they_are(tmp_path):
    odd = [b"with space.mp3", b'it\'s "quoted".mp3', "\N{GUITAR}.mp3".encode(), b"caf\xe9.mp3"]
    for name in odd:
        touch(tmp_path / os.fsdecode(name))
    assert sorted(os.fsencode(found.path.name) for found in find_audio([tmp_path])) == sorted(odd)


def test_a_loop_of_links_ends(tmp_path):
    touch(tmp_path / "a" / "song.mp3")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = list(find_audio([tmp_path]))
    assert [one.path.name for one in found if isinstance(one, AudioFile)] == ["song.mp3"]
    assert [one.path.name for one in found if isinstance(one, Unreachable)] == ["self"]


def test_a_linked_folder_is_followed_once_and_goes_by_its_own_name(tmp_path):
    touch(tmp_path / "music" / "z" / "song.mp3")
    touch(tmp_path / "elsewhere" / "other.mp3")
    (tmp_path / "music" / "a link").symlink_to(tmp_path / "music" / "z")
    (tmp_path / "music" / "b link").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "music") == ["z/song.mp3", "b link/other.mp3"]


def test_a_link_that_leads_nowhere_is_reported(tmp_path):
    touch(tmp_path / "song.mp3")
    (tmp_path / "disk").symlink_to(tmp_path / "unmounted")
    assert Unreachable(tmp_path / "disk", "a link that leads nowhere") in list(
        find_audio([tmp_path])
    )


def test_a_folder_inside_another_is_looked_at_once(tmp_path):
    touch(tmp_path / "a" / "song.mp3")
    assert len(list(find_audio([tmp_path, tmp_path / "a"]))) == 1
    assert len(list(find_audio([tmp_path / "a", tmp_path]))) == 1


def test_single_files_are_taken_once(tmp_path):
    one, two = touch(tmp_path / "a" / "1.mp3"), touch(tmp_path / "a" / "2.mp3")
    found = [file.path for file in find_audio([two, tmp_path / "a", one])]
    assert found == [two, one]


def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "song.mp3")
    touch(tmp_path / "b" / "song.mp3")
    really = os.scandir

    def refuse(folder):
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return really(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(find_audio([tmp_path]))
    assert found[0] == Unreachable(tmp_path / "a", "cannot be read: Permission denied")
    assert found[1].path == tmp_path / "b" / "song.mp3"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "no such folder"), ("file.txt", "neither a folder"), ("empty", "no audio file")],
)
def test_a_folder_that_cannot_be_indexed_is_an_error(tmp_path, name, reason):
    touch(tmp_path / "file.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match=reason) as caught:
        list(find_audio([tmp_path / name]))
    assert caught.value.path == tmp_path / name


@pytest.mark.parametrize("suffix", [".flac", ".mp3"])
def test_new_tags_and_another_name_leave_the_hash_alone(tmp_path, suffix):
    plain = encode(tmp_path / f"a{suffix}")
    tagged = encode(tmp_path / f"b{suffix}", title="Greensleeves", artist="Trad.")
    assert plain.read_bytes() != tagged.read_bytes()
    assert hash_audio(plain) == hash_audio(tagged)


def test_another_container_of_the_same_packets_has_the_same_hash(tmp_path):
    assert hash_audio(encode(tmp_path / "a.wav")) == hash_audio(encode(tmp_path / "a.mka"))


def test_other_audio_has_another_hash(tmp_path):
    assert hash_audio(encode(tmp_path / "a.flac", 1)) != hash_audio(encode(tmp_path / "b.flac", 2))


def test_a_file_that_is_no_audio_is_hashed_by_its_bytes(tmp_path):
    first, same = touch(tmp_path / "a.mp3", b"text"), touch(tmp_path / "b.mp3", b"text")
    assert hash_audio(first) == hash_audio(same)
    assert hash_audio(first) != hash_audio(touch(tmp_path / "c.mp3", b""))


def test_a_hashed_record_differs_in_nothing_but_the_hash(tmp_path):
    (found,) = find_audio([encode(tmp_path / "a.flac").parent])
    assert found.audio_hash is None
    assert found.hashed() == AudioFile(
        found.path, found.size_bytes, found.mtime_ns, hash_audio(found.path)
    )


@pytest.mark.parametrize("name", ["a.dsf", "a.w64", "a.m4r", "a.EAC3", "a.mts", "a.vob", "a.voc"])
def test_what_ffmpeg_decodes_counts_as_audio(tmp_path, name):
    touch(tmp_path / name)
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("bin_", ["#recycle", "@eaDir", "$RECYCLE.BIN"])
def test_recycle_bins_and_thumbnails_are_no_music(tmp_path, bin_):
    touch(tmp_path / "a.mp3")
    touch(tmp_path / bin_ / "b.mp3")
    assert names(tmp_path) == ["a.mp3"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_pipes_and_devices_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "zero.mp3").symlink_to("/dev/zero")
    touch(tmp_path / "z.mp3")
    found = list(find_audio([tmp_path]))
    assert [one.path.name for one in found] == ["pipe.mp3", "z.mp3", "zero.mp3"]
    assert [getattr(one, "reason", "") for one in found] == [
        "not a regular file",
        "",
        "not a regular file",
    ]


def silence(path, n_samples, rate=44100):
    """Encode nothing but silence, of a length in samples."""
    codec = {".mp3": "libmp3lame", ".m4a": "aac", ".opus": "libopus", ".flac": "flac"}[path.suffix]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48000 if codec == "libopus" else rate)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, n_samples), np.float32), "fltp", "mono")
        frame.sample_rate = stream.rate
        stream.layout = "mono"
        resampler = av.AudioResampler(
            stream.format.name, "mono", stream.rate, stream.frame_size or 1024
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None), None):
            out.mux(stream.encode(piece))
    return path


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".opus", ".flac"])
def test_silence_of_another_length_has_another_hash(tmp_path, suffix):
    lengths = (44_100, 44_250, 45_000, 88_200)
    hashes = {hash_audio(silence(tmp_path / f"{n}{suffix}", n)) for n in lengths}
    assert len(hashes) == len(lengths)
    again = silence(tmp_path / f"again{suffix}", lengths[0])
    assert hash_audio(again) == hash_audio(tmp_path / f"{lengths[0]}{suffix}")


@pytest.mark.parametrize(("place", "value"), [(24, 4000), (22, 2)], ids=["rate", "channels"])
def test_the_same_packets_under_another_header_have_another_hash(tmp_path, tone, place, value):
    good, wrong = tone(tmp_path / "a.wav"), tone(tmp_path / "b.wav")
    assert hash_audio(good) == hash_audio(wrong)
    content = bytearray(wrong.read_bytes())
    content[place : place + 2] = value.to_bytes(2, "little")
    wrong.write_bytes(content)
    assert hash_audio(good) != hash_audio(wrong)


def test_what_may_be_opened_is_the_same_here_and_where_it_is_decoded():
    assert FORMATS == media.FORMATS
    assert AUDIO_SUFFIXES == media.AUDIO_SUFFIXES


def with_streams(path, *seeds, default=None):
    """Write a file with a stream of noise for each seed; one is said to be the default."""
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in seeds]
        for number, stream in enumerate(streams):
            is_default = number == default
            stream.disposition = Disposition.default if is_default else Disposition(0)
        for stream, seed in zip(streams, seeds, strict=True):
            noise = np.random.default_rng(seed).integers(-9000, 9000, (1, 8000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def test_what_is_decoded_of_several_streams_is_what_was_hashed(tmp_path):
    files = [
        with_streams(tmp_path / f"{number}.mka", *seeds, default=default)
        for number, (*seeds, default) in enumerate(
            [(1, 2, 0), (1, 2, 1), (1, 3, 0), (3, 1, 1), (2, 1, 0), (1, 2, 0), (1, None), (1, 0)]
        )
    ]
    hashes = [hash_audio(path) for path in files]
    heard = [load(path).tobytes() for path in files]
    assert len(set(heard)) == 2
    assert heard[0] != heard[1]
    for one, other in combinations(range(len(files)), 2):
        assert hashes[one] != hashes[other] or heard[one] == heard[other]
    assert hashes[0] == hashes[5]
    assert hashes[6] == hashes[7]  # of a single stream it does not matter what it is said to be
    assert len(set(hashes)) == 6


def test_a_play_list_opens_no_other_file(tmp_path, tone):
    tone(tmp_path / "secret.wav")
    listed = touch(tmp_path / "list.mp3", b"ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises((av.error.FFmpegError, OSError, ValueError)):
        open_media(listed)
    assert hash_audio(listed) == hash_audio(touch(tmp_path / "same.txt", listed.read_bytes()))


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    with pytest.raises(OSError, match="not a regular file"):
        hash_audio(tmp_path / "pipe.mp3")


def test_a_folder_of_unknown_files_says_what_is_in_it(tmp_path):
    for name in ("a.txt", "b.TXT", "c.pdf", "README"):
        touch(tmp_path / name)
    with pytest.raises(FolderError, match=r"by their names: 4 files \(\.txt, ") as caught:
        list(find_audio([tmp_path]))
    assert "mounted" not in str(caught.value)
