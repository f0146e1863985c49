"""Commands that find more than one list: two files, a set, a whole catalog."""

import json

import pytest

import cli
from tests.test_cli import RUNNER, melody, run, write_wav

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


@pytest.fixture(scope="module")
def catalog(two, tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    assert run("index", two[0].parent, "--catalog", folder, "--device", "cpu").exit_code == 0
    return folder


def test_a_setlist_is_a_table_json_csv_or_a_cue_sheet(two, catalog):
    asked = ["setlist", two[0], "--catalog", catalog, "--device", "cpu"]
    answer = json.loads(run(*asked, "--json").stdout)
    assert answer["entries"][-1]["end_s"] == pytest.approx(answer["duration_s"], abs=0.2)
    assert answer["entries"][0]["path"] == str(two[0])
    assert run(*asked).stdout.split()[:3] == ["start", "end", "title"]
    assert run(*asked, "--csv").stdout.startswith("start_s,end_s,title")
    assert run(*asked, "--cue").stdout.startswith('FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n')


def test_a_setlist_of_standard_input(two, catalog):
    asked = ["setlist", "-", "--catalog", str(catalog), "--device", "cpu", "--json"]
    result = RUNNER.invoke(cli.app, asked, input=two[1].read_bytes())
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["duration_s"] == pytest.approx(43.2, abs=0.1)
    broken = RUNNER.invoke(cli.app, asked, input=b"no sound")
    assert broken.exit_code == 1
    assert "no sound that can be read as a stream" in broken.stderr


def test_a_catalog_is_grouped(two, catalog):
    asked = ["group", "--catalog", catalog, "--min-probability", 0.0]
    result = run(*asked, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert {row["path"] for row in rows} == {str(path) for path in two}
    assert [row["group"] for row in rows] == [1, 1]
    assert run(*asked).stdout.startswith("group  probability  recording  title")
    assert run(*asked, "--csv").stdout.startswith("group,is_representative,probability")
