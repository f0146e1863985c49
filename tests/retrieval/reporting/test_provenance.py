"""Where figures come from."""

import re
import subprocess

from retrieval.ranking.ranking import PLAIN
from retrieval.reporting.provenance import commit, hardware, trace


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_trace_names_everything_a_reader_needs():
    run = trace("pemr evaluate DATA/x", "cover@1a2b3c4d", PLAIN)
    assert (run.command, run.weights_hash, run.ranking) == (
        "pemr evaluate DATA/x",
        "1a2b3c4d",
        PLAIN.values(),
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", run.date)
    assert {"python", "numpy"} <= set(run.versions)


def test_hardware_counts_cores():
    assert re.match(r"\d+ CPU cores?, \w+", hardware())


def test_commit_has_a_plus_when_files_differ_from_it(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    clean = commit(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{10}", clean)
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == clean + "+"


def test_code_outside_a_repository_has_no_commit(tmp_path):
    assert commit(tmp_path) is None
