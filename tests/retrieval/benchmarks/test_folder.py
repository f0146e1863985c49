"""The folder benchmark on stand-in trees."""

import pytest

from retrieval.benchmarks.base import duplicates
from retrieval.benchmarks.folder import load
from retrieval.errors import BenchmarkError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_sub_folders_are_works_and_names_are_relative_paths(tmp_path):
    touch(tmp_path, "a b/one.mp3", "a b/two.FLAC", "c/three.opus")
    benchmark = load(tmp_path)
    assert [(p.name, p.work) for p in benchmark.performances] == [
        ("a b/one.mp3", "a b"),
        ("a b/two.FLAC", "a b"),
        ("c/three.opus", "c"),
    ]


def test_deeper_folders_belong_to_the_work_above_them(tmp_path):
    touch(tmp_path, "w/live/1.wav", "w/studio/2.wav")
    assert {p.work for p in load(tmp_path).performances} == {"w"}


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    touch(tmp_path, "w/1.wav", "w/2.wav", "w/cover.jpg", "w/._1.wav", ".trash/x.wav", "sources.csv")
    assert [p.name for p in load(tmp_path).performances] == ["w/1.wav", "w/2.wav"]


def test_loose_audio_is_a_work_of_its_own(tmp_path):
    touch(tmp_path, "w/1.wav", "w/2.wav", "loose.wav")
    loose = load(tmp_path).performances[0]
    assert (loose.name, loose.work) == ("loose.wav", "loose.wav")


def test_linked_folder_is_a_work_too(tmp_path):
    touch(tmp_path, "elsewhere/1.wav", "elsewhere/2.wav", "root/v/3.wav")
    (tmp_path / "root/w").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "linked").symlink_to(tmp_path / "root")
    assert [p.name for p in load(tmp_path / "linked").performances] == [
        "v/3.wav",
        "w/1.wav",
        "w/2.wav",
    ]


def test_odd_characters_survive(tmp_path):
    touch(tmp_path, "Señor; \"x\" | y/♪ 'a'.mp3", 'Señor; "x" | y/b\n.mp3')
    assert len(load(tmp_path).performances) == 2


def test_missing_folder_says_what_was_expected(tmp_path):
    with pytest.raises(BenchmarkError, match=r"no such folder; folder expects one sub-folder"):
        load(tmp_path / "absent")


def test_file_as_root_is_refused(tmp_path):
    touch(tmp_path, "song.mp3")
    with pytest.raises(BenchmarkError, match="not a folder"):
        load(tmp_path / "song.mp3")


@pytest.mark.parametrize("names", [[], ["a/1.wav", "b/1.wav"], ["1.wav", "2.wav"]])
def test_folder_without_a_pair_is_refused(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(BenchmarkError, match="no work has two performances"):
        load(tmp_path)


def test_choices_are_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="has no conventions to choose from"):
        load(tmp_path, convention="160")


def test_byte_identical_files_are_found(tmp_path):
    touch(tmp_path, "w/1.wav", "w/2.wav", "v/3.wav")
    (tmp_path / "v/3.wav").write_bytes((tmp_path / "w/1.wav").read_bytes())
    groups = duplicates(load(tmp_path).performances)
    assert [sorted(p.name for p in group) for group in groups] == [["v/3.wav", "w/1.wav"]]
