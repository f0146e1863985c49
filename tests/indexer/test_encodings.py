"""Tags of the nineties: read as they were meant where that is certain, left where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encodings import bytes_of, encoding_of
from indexer.tags import Tags, read_tags
from tests.indexer.test_tags import encode

ALBUMS = {
    "gb18030": ["周杰伦", "七里香", "我的地盘", "借口", "外婆"],
    "big5": ["張惠妹", "聽海", "姊妹", "原來你什麼都不想要"],
    "cp932": ["宇多田ヒカル", "オートマチック", "上を向いて歩こう"],
    "cp949": ["김광석", "서른 즈음에", "이등병의 편지"],
    "koi8_r": ["Кино", "Группа крови", "Звезда по имени Солнце"],
    "cp1251": ["Кино", "Группа крови", "Звезда по имени Солнце"],
    "cp1253": ["Νάνα Μούσχουρη", "Χάρτινο το φεγγαράκι", "Μισιρλού"],
    "cp1250": [
        "Czesław Niemen",
        "Dziwny jest ten świat",
        "Płonąca stodoła",
        "Sen o Warszawie żółty",
    ],
}
WESTERN = [
    ["Beyoncé", "Déjà vu"],
    ["Motörhead", "Mötley Crüe", "Blue Öyster Cult"],
    ["Sigur Rós", "Ágætis byrjun", "Svefn-g-englar", "Viðrar vel til loftárása"],
    ["Françoise Hardy", "Tous les garçons et les filles", "L'été à l'île", "Où êtes-vous"],
    ["Mañana", "Corazón", "Canción", "Niño", "El cóndor pasa"],
    ["Für Elise", "Größe", "Süße Träume", "Über den Wolken"],
    ["½ price", "£ 5", "¿Qué? ¡Olé!"],
]


@pytest.mark.parametrize("name", ALBUMS)
def test_an_album_is_read_in_its_own_encoding(name):
    assert encoding_of([title.encode(name) for title in ALBUMS[name]]) == name


@pytest.mark.parametrize("titles", WESTERN, ids=lambda titles: titles[0])
def test_western_european_is_left_alone(titles):
    assert encoding_of([title.encode("cp1252") for title in titles]) is None


def test_one_short_word_is_too_doubtful():
    assert encoding_of(["Кино".encode("cp1251")]) is None


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bytes_are_judged_without_an_error(pieces):
    name = encoding_of(pieces)
    assert name is None or b"\n".join(pieces).decode(name)


def test_what_was_utf_8_has_no_bytes_of_its_own():
    assert bytes_of("plain", is_latin_1=True) is None
    assert bytes_of("日本", is_latin_1=True) is None
    assert bytes_of("é", is_latin_1=False) is None
    assert bytes_of("é", is_latin_1=True) == b"\xe9"
    assert bytes_of("caf\udce9", is_latin_1=False) == b"caf\xe9"


def old_mp3(path, title, artist, encoding, *, version):
    """Write an MP3 whose tags claim to be Latin-1, and are not."""
    encode(path)
    content = path.read_bytes()
    frames = content[content.index(b"\xff\xfb") :]
    if version == 1:
        tag = (
            b"TAG"
            + title.encode(encoding).ljust(30, b"\0")
            + artist.encode(encoding).ljust(30, b"\0")
        )
        path.write_bytes(frames + tag.ljust(128, b"\0"))
        return
    tag = b""
    for name, text in ((b"TIT2", title), (b"TPE1", artist)):
        body = b"\0" + text.encode(encoding)
        tag += name + len(body).to_bytes(4, "big") + b"\0\0" + body
    path.write_bytes(b"ID3\x03\0\0" + bytes([0, 0, len(tag) >> 7, len(tag) & 127]) + tag + frames)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "koi8_r", "cp1251"])
def test_a_short_title_is_read_with_the_rest_of_its_album(tmp_path, encoding, version):
    artist, *titles = ALBUMS[encoding]
    for place, title in enumerate(titles):
        old_mp3(tmp_path / f"{place}.mp3", title, artist, encoding, version=version)
    found = [read_tags(tmp_path / f"{place}.mp3") for place in range(len(titles))]
    assert found == [Tags(title, artist) for title in titles]


def test_what_says_utf_8_is_believed(tmp_path):
    for place, title in enumerate(("Èêèíî", "Ãðóïïà êðîâè")):  # odd, and what is written
        encode(tmp_path / f"{place}.flac", title=title)
    assert read_tags(tmp_path / "1.flac").title == "Ãðóïïà êðîâè"
