import os

import pytest

from indexer import build, label
from indexer.errors import LabelError


@pytest.fixture
def music(tmp_path, tone, catalog, fake_embedder):
    for seed in range(3):
        tone(tmp_path / "music" / f"{seed}.wav", seed=seed)
    list(build(catalog, fake_embedder, [tmp_path / "music"]))
    return tmp_path / "music"


def test_tracks_are_labelled_by_absolute_and_by_relative_path(catalog, music):
    source = music.parent / "works.csv"
    source.write_text(f'work,path\nOde,music/0.wav\n"Lied, das",{music / "1.wav"}\n')
    assert label(catalog, source) == []
    works = {catalog.track(id_).path.name: work for id_, work in catalog.labels().items()}
    assert works == {"0.wav": "Ode", "1.wav": "Lied, das"}


def test_files_that_are_not_in_the_catalog_are_handed_back(catalog, music):
    source = music / "works.csv"
    source.write_text("path,work\nnone.wav,Ode\n2.wav,Lied\n")
    assert label(catalog, source) == [music / "none.wav"]
    assert list(catalog.labels().values()) == ["Lied"]


def test_a_byte_order_mark_is_no_part_of_a_name(catalog, music):
    source = music / "works.csv"
    source.write_text("path,work\n2.wav,Lied\n", encoding="utf-8-sig")
    assert label(catalog, source) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no column path and work in its first line"),
        ("file,work\n0.wav,Ode\n", "no column path in its first line"),
        ("path,work\n0.wav,Ode\n1.wav\n", "line 3: path or work is empty"),
        ("path,work\n0.wav,Ode\n1.wav,  \n", "line 3: path or work is empty"),
        ('path,work\n"0.wav,Ode\n', "unexpected end of data"),
        ("path,work\n0.wav,O\0de\n", "line 2: work is not UTF-8 text"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_labelled(catalog, music, text, fault):
    (music / "works.csv").write_text(text)
    with pytest.raises(LabelError, match=fault):
        label(catalog, music / "works.csv")
    assert catalog.labels() == {}


def test_a_missing_file_of_labels_is_one_sentence(catalog, music):
    with pytest.raises(LabelError, match="No such file"):
        label(catalog, music / "none.csv")


def test_semicolons_and_tabs_part_cells_too(catalog, music):
    for mark in ";\t":
        (music / "works.csv").write_text(f"path{mark}work\n2.wav{mark}Lied, das\n")
        assert label(catalog, music / "works.csv") == []
        assert list(catalog.labels().values()) == ["Lied, das"]


def test_bytes_that_are_no_text_may_stand_in_a_path_alone(catalog, music):
    source = music / "works.csv"
    source.write_bytes(b"path,work\nb\xfcrger.wav,Lied\n")
    assert label(catalog, source) == [music / os.fsdecode(b"b\xfcrger.wav")]
    source.write_bytes(b"path,work\n2.wav,B\xfcrger\n")
    with pytest.raises(LabelError, match="line 2: work is not UTF-8 text") as caught:
        label(catalog, source)
    assert (caught.value.path, caught.value.line) == (source, 2)
