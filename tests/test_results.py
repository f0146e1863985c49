"""docs/results/README.md is made from the result files, and nothing names this machine."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "results.py"
RESULTS = sorted((ROOT / "docs" / "results").glob("*.json"))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_of_the_results_is_up_to_date():
    command = [sys.executable, SCRIPT, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_result_file_has_its_command_commit_and_date_and_no_path_of_a_machine(path):
    text = path.read_text()
    result = json.loads(text)
    facts = {**result, **result.get("run", {})}
    assert facts["command"]
    assert facts["commit"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts["date"])
    assert not re.search(r"(^|[\s\"'=])/(home|root|tmp|work|Users)/", text)


def commit_of(path):
    result = json.loads(path.read_text())
    return {**result, **result.get("run", {})}["commit"]


def test_result_files_come_from_a_clean_tree():
    assert [path.stem for path in RESULTS if commit_of(path).endswith("+")] == []


def test_a_tree_that_was_not_clean_is_marked(script):
    text = "\n".join(script.section(Path("a.json"), {"command": "c", "commit": "abc1234+"}))
    assert "- commit: abc1234+ (**not a clean tree**)" in text


def test_check_notices_a_new_figure(script, tmp_path):
    (tmp_path / "speed_x_2cpu_2026-11-23.json").write_text(
        '{"command": "run me", "commit": "abc", "date": "2026-11-23", "figures": {"wall_s": 1.5}}'
    )
    command = [sys.executable, SCRIPT, "--folder", tmp_path]
    check = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "out of date" in check.stderr
    subprocess.run(command, check=True)
    subprocess.run([*command, "--check"], check=True)
    text = (tmp_path / "README.md").read_text()
    assert "- command: `run me`" in text
    assert "| wall_s |\n| --- |\n| 1.5 |" in text


def test_rows_of_any_name_become_a_table_and_odd_cells_stay_in_it(script):
    text = "\n".join(
        script.section(Path("a_b.json"), {"command": "c", "songs": [{"x": 1 / 3}, {"y": "a|b"}]})
    )
    assert text.startswith("## a b")
    assert "| x | y |\n| --- | --- |\n| 0.3333 |  |\n|  | a\\|b |" in text


def test_figures_with_intervals_and_systems_by_name_are_tabulated(script):
    figure = {"value": 0.5, "low": 0.25, "high": 1.0}
    result = {"command": "c", "queries": 67, "systems": {"ours": {"map": figure, "ms": 3.25}}}
    text = "\n".join(script.section(Path("a.json"), result))
    assert "| queries |\n| --- |\n| 67 |" in text
    assert "| ours | 0.500 (0.250 to 1.000) | 3.25 |" in text
