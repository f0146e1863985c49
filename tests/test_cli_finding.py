"""Commands that find more than one list: two files, a set, a whole catalog."""

import json

import pytest

from tests.test_cli import melody, run, write_wav

TUNE = [60, 64, 67, 65, 64, 62, 69, 67, 60, 65, 62, 71] * 8


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """One tune in two keys and tempos."""
    folder = tmp_path_factory.mktemp("two")
    write_wav(folder / "a.wav", melody(TUNE))
    write_wav(folder / "b.wav", melody(TUNE, transposition=3, note_s=0.45, seed=1))
    return folder / "a.wav", folder / "b.wav"


def test_two_files_are_compared_without_a_catalog(two):
    result = run("compare", *two, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["transposition"] == 3
    assert 0 <= answer["probability"] <= 1
    assert answer["first"] == str(two[0])
    assert answer["spans"]
    table = run("compare", *two, "--device", "cpu").stdout
    assert [line.split("  ")[0] for line in table.splitlines()][:3] == [
        "same work",
        "probability",
        "score",
    ]


def test_a_file_that_is_no_sound_is_told_in_a_sentence(two, tmp_path):
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    result = run("compare", two[0], text)
    assert result.exit_code == 1
    assert result.stderr.startswith("pemr: ")
    assert "text.mp3" in result.stderr
