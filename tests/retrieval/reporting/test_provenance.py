"""Where figures come from."""

import re
import subprocess

from retrieval.ranking.ranking import PLAIN
from retrieval.reporting.provenance import commit, hardware, run_values, trace


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_trace_names_everything_a_reader_needs():
    now = trace("pemr evaluate DATA/x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", now.date)
    assert {"python", "numpy"} <= set(now.versions)
    written = run_values(now, "cover@1a2b3c4d", PLAIN)
    assert (written["command"], written["embedder"]) == ("pemr evaluate DATA/x", "cover@1a2b3c4d")
    assert written["ranking"] == PLAIN.values()
    assert set(vars(now)) <= set(written)


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
