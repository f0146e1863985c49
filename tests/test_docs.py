"""Documents that lie fail the build."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import cli

ROOT = Path(__file__).parents[1]
MAP = ROOT / "scripts" / "map.py"
README = (ROOT / "README.md").read_text()


def commands(group, prefix="pemr"):
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{prefix} {name}")
        else:
            found[f"{prefix} {name}"] = command
    return found


COMMANDS = commands(typer.main.get_command(cli.app))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name):
    assert re.search(rf"{name}\b", README), f"README.md does not mention `{name}`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    assert f"{name} " in (COMMANDS[name].help or ""), f"`{name} --help` has no example"


def test_every_command_in_the_readme_exists():
    named = set(re.findall(r"^\$? ?(pemr(?: [a-z]+){1,2})", README, flags=re.MULTILINE))
    assert {n for n in named if not any(n == c or n.startswith(f"{c} ") for c in COMMANDS)} == set()


def test_the_map_is_the_tree():
    command = [sys.executable, MAP, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_map_notices_a_module_that_is_new_or_moved(tmp_path):
    (tmp_path / "docs").mkdir()
    for room in ("pemr", "indexer", "retrieval", "scripts"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(f'"""The room {room}."""')
    (tmp_path / "cli.py").write_text('"""The commands."""')
    command = [sys.executable, MAP, "--root", tmp_path]
    subprocess.run(command, check=True)
    subprocess.run([*command, "--check"], check=True)
    (tmp_path / "pemr" / "new.py").write_text('"""A noun.\n\nAnd more."""')
    check = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "python scripts/map.py" in check.stderr
    subprocess.run(command, check=True)
    assert f"{'  new.py':<24} A noun\n" in (tmp_path / "docs" / "map.md").read_text()


def test_the_short_map_in_the_readme_names_the_rooms():
    block = README.split("## Map")[1].split("```")[1]
    named = set(re.findall(r"^([a-z_]+(?:/|\.py))", block, flags=re.MULTILINE))
    assert named == {"cli.py", "pemr/", "indexer/", "retrieval/", "tests/", "scripts/", "docs/"}


def test_every_figure_quoted_in_the_readme_stands_in_a_result_file():
    results = "\n".join(p.read_text() for p in (ROOT / "docs" / "results").glob("*.md"))
    section = README.split("## Results")[1].split("\n## ")[0]
    quoted = re.findall(r"(?<![\d.])0?\.\d{2,4}\b", section)
    assert quoted, "the results section quotes no figure"
    missing = [q for q in quoted if q.lstrip("0") not in results]
    assert missing == []


def test_documents_name_no_path_of_a_machine():
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.json"),
    ]:
        found = re.findall(r"(?<![\w.])/(?:home|root|tmp|work|mnt)/\S*", path.read_text())
        assert found == [], path
