"""Commands that find more than one list: two files, a set, a whole catalog."""

import json
import wave

import av
import numpy as np
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


def test_another_encoding_is_the_same_recording_and_noise_is_no_work(two, tmp_path):
    with wave.open(str(two[0])) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    encoded, noise = tmp_path / "encoded.mp3", tmp_path / "noise.wav"
    with av.open(str(encoded), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        stream.bit_rate = 32_000
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        frames = av.AudioResampler("s16p", "mono", 16_000, frame_size=576).resample(frame)
        for one in [*frames, None]:
            container.mux(stream.encode(one))
    write_wav(noise, 0.1 * np.random.default_rng(3).standard_normal(16_000 * 40))

    def answer(other):
        return json.loads(run("compare", two[0], other, "--device", "cpu", "--json").stdout)

    copy, same, strange = answer(two[0]), answer(encoded), answer(noise)
    assert (copy["is_one_file"], same["is_one_file"]) == (True, False)
    assert same["is_same_recording"]
    assert same["probability"] > 0.9
    assert strange["probability"] < 0.5
    assert not strange["is_same_recording"]


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


def test_what_was_deleted_since_is_answered_and_marked(two, tmp_path):
    music, catalog = tmp_path / "music", tmp_path / "catalog"
    music.mkdir()
    for one in two:
        (music / one.name).write_bytes(one.read_bytes())
    assert run("index", music, "--catalog", catalog, "--device", "cpu").exit_code == 0
    (music / "a.wav").unlink()
    asked = ["search", music / "b.wav", "--catalog", catalog, "--device", "cpu", "--all"]
    (found,) = json.loads(run(*asked, "--json").stdout)["candidates"]
    assert (found["path"], found["is_missing"]) == (str(music / "a.wav"), True)
    assert "missing" in run(*asked).stdout
    asked = ["setlist", two[0], "--catalog", catalog, "--device", "cpu"]
    (entry, *_) = json.loads(run(*asked, "--json").stdout)["entries"]
    assert (entry["path"], entry["is_missing"]) == (str(music / "a.wav"), True)
    assert "missing" in run(*asked).stdout


def test_a_setlist_of_noise_knows_nothing_and_a_bad_picture_costs_no_answer(catalog, tmp_path):
    noise = tmp_path / "noise.wav"
    write_wav(noise, 0.1 * np.random.default_rng(5).standard_normal(16_000 * 60))
    out = tmp_path / "absent" / "out.png"
    result = run("setlist", noise, "--catalog", catalog, "--json", "--picture", out)
    assert [entry["path"] for entry in json.loads(result.stdout)["entries"]] == [None]
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


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


def test_nothing_to_show_is_said_in_a_sentence(catalog):
    asked = {
        ("group", "--min-probability", 1.0): "no two tracks are likely to be of one work",
        ("duplicates",): "no recording is in the catalog twice",
        ("list", "--artist", "Nobody"): "no such track",
    }
    for command, sentence in asked.items():
        result = run(*command, "--catalog", catalog)
        assert (result.exit_code, result.stdout) == (0, ""), command
        assert sentence in result.stderr
