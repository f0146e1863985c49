import os
from pathlib import Path

import av
import numpy as np
import pytest

from indexer.tags import Tags, mend, read_tags

CODECS = {
    ".flac": ("flac", "s16"),
    ".mp3": ("mp3", "s16p"),
    ".ogg": ("libopus", "s16"),
    ".opus": ("libopus", "s16"),
    ".m4a": ("aac", "fltp"),
    ".mkv": ("pcm_s16le", "s16"),
}


def encode(path: Path, **tags: str) -> Path:
    codec, format_ = CODECS[path.suffix]
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="mono", format=format_)
        container.metadata.update(tags)
        dtype = np.float32 if format_ == "fltp" else np.int16
        silence = np.zeros((1, 48000), dtype)
        frame = av.AudioFrame.from_ndarray(silence, format=format_, layout="mono")
        frame.sample_rate = 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_tags_are_read_from_any_container(tmp_path, suffix):
    path = encode(tmp_path / f"a{suffix}", title="Für Elise", artist="Łukasz", album="Ü")
    assert read_tags(path) == Tags("Für Elise", "Łukasz", "Ü")


@pytest.mark.parametrize(
    ("said", "year"), [("1966", 1966), ("1966-10-01", 1966), ("1 Oct 1966", 1966), ("66", None)]
)
def test_the_year_is_found_in_a_date(tmp_path, said, year):
    path = encode(tmp_path / "a.flac", title="A", date=said, album_artist="Anon.")
    tags = read_tags(path)
    assert (tags.year, tags.album_artist) == (year, "Anon.")


RECORDING = "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
WORK = "0b1d9c1e-6f4f-3a4c-9c0b-0f5a3f1d2e3f"


@pytest.mark.parametrize("suffix", [".flac", ".opus", ".mkv"])
def test_numbers_and_identifiers_are_read(tmp_path, suffix):
    tags = read_tags(
        encode(
            tmp_path / f"a{suffix}",
            track="3/12", isrc="gb-aye-69-00123", MUSICBRAINZ_TRACKID=RECORDING.upper(),
            MUSICBRAINZ_WORKID=f"{WORK}; {RECORDING}", MUSICBRAINZ_ALBUMID=RECORDING,
            MUSICBRAINZ_ARTISTID=WORK,
        )
    )  # fmt: skip
    assert (tags.track_number, tags.isrc) == (3, "GBAYE6900123")
    assert (tags.mb_recording, tags.mb_work) == (RECORDING, WORK)
    assert (tags.mb_release, tags.mb_artist) == (RECORDING, WORK)


def test_identifiers_of_id3_are_read_as_programs_write_them(tmp_path):
    path = encode(tmp_path / "a.mp3", track="07", **{"MusicBrainz Work Id": WORK, "TSRC": "x"})
    owner = b"http://musicbrainz.org\0" + RECORDING.encode()
    frame = b"UFID" + len(owner).to_bytes(4, "big") + b"\0\0" + owner
    content = path.read_bytes()
    assert content[:3] == b"ID3"
    length = sum((content[6 + place] & 0x7F) << (7 * (3 - place)) for place in range(4))
    longer = length + len(frame)
    size = bytes(longer >> (7 * place) & 0x7F for place in (3, 2, 1, 0))
    path.write_bytes(content[:6] + size + content[10:10] + frame + content[10:])
    tags = read_tags(path)
    assert (tags.track_number, tags.isrc) == (7, None)
    assert (tags.mb_recording, tags.mb_work) == (RECORDING, WORK)


@pytest.mark.parametrize("said", ["0", "-3", "A1", "99999", "", "\n", "three"])
def test_a_number_that_is_none_is_left_out(tmp_path, said):
    tags = read_tags(encode(tmp_path / "a.flac", track=said, isrc=said, musicbrainz_trackid=said))
    assert (tags.track_number, tags.isrc, tags.mb_recording) == (None, None, None)


def test_bytes_in_a_doubtful_encoding_are_not_lost(tmp_path):
    path = encode(tmp_path / "a.mp3")
    frames = path.read_bytes()[path.read_bytes().index(b"\xff\xfb") :]
    title, artist = b"\x8d\x90\x81 \x9dA", b"Mot\xf6rhead"
    old = b"TAG" + title.ljust(30, b"\0") + artist.ljust(30, b"\0")
    path.write_bytes(frames + old.ljust(128, b"\0"))
    tags = read_tags(path)
    assert "\N{REPLACEMENT CHARACTER}" in tags.title
    kept = dict(pair.split(b"=", 1) for pair in tags.raw_tags.split(b"\0"))
    assert kept == {b"title": title, b"artist": artist}
    assert read_tags(encode(tmp_path / "a.flac", title="Für")).raw_tags is None


def test_a_file_without_a_title_goes_by_its_name(tmp_path):
    assert read_tags(encode(tmp_path / "La Paloma.flac")) == Tags("La Paloma", None, None)


def test_the_artist_of_the_album_stands_in(tmp_path):
    assert read_tags(encode(tmp_path / "a.flac", album_artist="Anon.")).artist == "Anon."


def test_a_file_that_is_no_audio_has_its_name_for_a_title(tmp_path):
    (tmp_path / "text.mp3").write_text("no sound here")
    assert read_tags(tmp_path / "text.mp3") == Tags("text")


def test_a_name_that_is_not_utf8_can_be_shown(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.flac"))
    encode(tmp_path / "plain.flac").rename(path)
    assert read_tags(path).title == "caf\N{REPLACEMENT CHARACTER}"


def test_old_tags_in_latin_1_are_read_right(tmp_path):
    """What programs of the nineties wrote at the end of an MP3, and still do into WAVs."""
    path = encode(tmp_path / "a.mp3")
    frames = path.read_bytes()[path.read_bytes().index(b"\xff\xfb") :]
    old = b"TAG" + b"Beyonc\xe9".ljust(30, b"\0") + b"Mot\xf6rhead".ljust(30, b"\0")
    path.write_bytes(frames + old.ljust(128, b"\0"))
    assert read_tags(path) == Tags("Beyoncé", "Motörhead")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("plain", "plain"),
        ("Dvořák", "Dvořák"),
        ("DvoÅ™Ã¡k", "Dvořák"),
        ("Beyonc\udce9", "Beyoncé"),
        ("café", "café"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "café"),
        ("夜曲", "夜曲"),
        (" a\0b\n c ", "a b c"),
        ("\N{MUSICAL NOTE}", "\N{MUSICAL NOTE}"),
    ],
)
def test_text_is_mended_only_where_it_is_broken(given, meant):
    assert mend(given) == meant


def test_a_tag_of_megabytes_is_cut(tmp_path):
    path = encode(tmp_path / "a.flac", title="A\0\x1b" * 3_000_000, artist="B" * 20_000)
    tags = read_tags(path)
    assert len(tags.title) <= 10_000
    assert tags.artist == "B" * 10_000
    assert tags.title.isprintable()
