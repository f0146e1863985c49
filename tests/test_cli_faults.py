"""Files that went wrong for others, on the command line."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from tests.test_cli import melody, write_wav

RUNNER = CliRunner()
ROOT = Path(__file__).parents[1]


def run(*arguments: object):
    return RUNNER.invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture
def cases(tmp_path):
    """The small inputs that went wrong; tests that need them are skipped where they are absent."""
    archive = ROOT / "../shared/cases/cases.zip"
    if not archive.exists():
        pytest.skip("no small inputs here")
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "cases")
    return tmp_path / "cases"


def listed(catalog, *options):
    rows = json.loads(run("list", "--catalog", catalog, "--json", *options).stdout)
    return {Path(row["path"]).name: row for row in rows}


def test_each_small_input_does_what_is_right(cases, tmp_path):
    catalog = tmp_path / "catalog"
    outcome = run("index", cases, "--catalog", catalog, "--embedder", "ftm2d", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert "\x1b" not in outcome.stderr
    counts, tracks = json.loads(outcome.stdout), listed(catalog)
    assert tracks["musepack.mpc"]["duration_s"] == pytest.approx(12.0, abs=0.1)
    assert tracks["ima-adpcm.wav"]["duration_s"] == pytest.approx(8.0, abs=0.1)
    assert tracks["half-gone.mp3"]["state"] == "damaged"
    assert tracks["half-gone.mp3"]["duration_s"] == pytest.approx(3.7, abs=0.1)
    assert tracks["pts-gaps-59s.mka"]["duration_s"] < 120
    assert counts["damaged"] == len(listed(catalog, "--damaged")) >= 1
    assert "list.mp3" not in tracks  # it plays `secret.aiff`
    duplicates = listed(catalog, "--duplicates")
    assert not {"a-damaged-header.wav", "b-good.wav"} & set(duplicates)
    assert tracks["b-good.wav"]["duration_s"] != tracks["a-damaged-header.wav"]["duration_s"]


@pytest.fixture
def cut_short(tmp_path):
    """Four seconds of music, of which the header promises ten."""
    path = tmp_path / "music" / "cut.wav"
    write_wav(path, melody([60, 64, 67, 72] * 5))
    path.write_bytes(path.read_bytes()[: 44 + 16000 * 2 * 4])
    write_wav(tmp_path / "music" / "whole.wav", melody([60, 62] * 5))
    return path


def test_half_a_file_leaves_a_trace(cut_short, tmp_path):
    options = (cut_short.parent, "--catalog", tmp_path / "catalog", "--embedder", "ftm2d", "--json")
    first = run("index", *options)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["damaged"] == 1
    (row,) = listed(tmp_path / "catalog", "--damaged").values()
    assert row["damage"] == "ends after 4.0 of 10.0 seconds"
    for _ in range(2):  # whether it is new or not
        strict = run("index", *options, "--strict")
        assert strict.exit_code == 1
        assert "1 are damaged (`pemr list --damaged`)" in strict.stderr
    info = json.loads(run("info", "--catalog", tmp_path / "catalog", "--json").stdout)
    assert info["damaged"] == 1


def test_a_damaged_file_is_named_in_one_line(cut_short, tmp_path):
    options = ("--catalog", tmp_path / "catalog", "--embedder", "ftm2d")
    told = run("index", cut_short.parent, *options).stderr.splitlines()
    expected = f"pemr: {cut_short}: ends after 4.0 of 10.0 seconds"
    assert [line for line in told if "cut.wav" in line] == [expected]


def test_a_rescan_finds_what_was_changed_in_place(cut_short, tmp_path):
    options = (cut_short.parent, "--catalog", tmp_path / "catalog", "--embedder", "ftm2d", "--json")
    run("index", *options)
    whole = cut_short.with_name("whole.wav")
    status = whole.stat()
    write_wav(whole, melody([67, 65] * 5, seed=1))
    os.utime(whole, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert json.loads(run("index", *options).stdout)["unchanged"] == 2
    counts = json.loads(run("index", *options, "--rescan").stdout)
    assert (counts["added"], counts["unchanged"]) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_stop_says_one_sentence(tmp_path, number):
    """While files are decoded: everything stored before is kept."""
    for place in range(40):
        noise = np.random.default_rng(place).standard_normal(16000 * 20)
        write_wav(tmp_path / "music" / f"{place}.wav", 0.1 * noise)
    process = subprocess.Popen(
        [sys.executable, "cli.py", "-v", "index", str(tmp_path / "music"), "--embedder", "ftm2d",
         "--catalog", str(tmp_path / "catalog")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    while not (tmp_path / "catalog" / "catalog.db").exists() and process.poll() is None:
        pass
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1].startswith("pemr: interrupted; what was done is kept")
    assert "Traceback" not in stderr
