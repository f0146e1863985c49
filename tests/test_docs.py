"""Documents that lie fail the build."""

import re
from pathlib import Path

import pytest
import typer.main

import cli

ROOT = Path(__file__).parents[1]
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


def test_the_map_in_the_readme_is_the_tree():
    block = README.split("## Map")[1].split("```")[1]
    named = set(re.findall(r"^\s*([a-z_0-9]+/|[a-z_0-9]+\.py)", block, flags=re.MULTILINE))
    tree = {
        (p.name + "/" if p.is_dir() else p.name)
        for room in ("pemr", "indexer", "retrieval")
        for p in [ROOT / room, *(ROOT / room).rglob("*")]
        if (p.is_dir() or p.suffix == ".py")
        and "__pycache__" not in p.parts
        and "versions" not in p.parts
        and p.name not in {"__init__.py", "env.py"}
    }
    assert tree - named == set()
    assert named - tree - {"cli.py", "tests/", "scripts/", "docs/", "bench/", "results/"} == set()


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
