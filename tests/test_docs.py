"""Documents that lie fail the build."""

import json
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
LOG = (ROOT / "docs" / "log.md").read_text()
ENTRIES = re.split(r"^## ", LOG, flags=re.MULTILINE)[1:]
QUOTED = json.loads((ROOT / "docs" / "quoted.json").read_text())
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pemr/weights/README.md"]


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
    inside = re.findall(r"^  ([a-z_]+)/", block, flags=re.MULTILINE)
    rooms = [
        path.name
        for room in ("pemr", "indexer", "retrieval")
        for path in (ROOT / room).iterdir()
        if (path / "__init__.py").is_file()
    ]
    assert sorted(inside) == sorted(rooms)


def figures(text):
    """Find every number with two decimals or more, outside of code and of versions of Python."""
    prose = re.sub(r"```.*?```|`[^`\n]*`|Python [\d.]+", "", text, flags=re.DOTALL)
    return re.findall(r"(?<![\w.])\d*\.\d{2,}(?![\w.]*\d)", prose)


def value_at(key, result):
    """Follow a key: names in a mapping, and in a list the row that holds the name."""
    for step in key.split(" > "):
        if isinstance(result, list):
            (result,) = [row for row in result if step in row.values()]
        else:
            result = result[step]
    return abs(float(result))


@pytest.mark.parametrize("name", QUOTED)
def test_every_figure_of_a_document_is_listed_with_its_file_and_key(name):
    listed = [figure for figure, _, _ in QUOTED[name]]
    assert figures((ROOT / name).read_text()) == listed, "docs/quoted.json lists other figures"


@pytest.mark.parametrize(
    ("figure", "file", "key"), [quoted for quotes in QUOTED.values() for quoted in quotes]
)
def test_a_figure_quoted_is_the_value_of_its_key(figure, file, key):
    value = value_at(key, json.loads((ROOT / "docs" / "results" / file).read_text()))
    n_decimals = len(figure.split(".")[1])
    assert float(figure) == pytest.approx(value, abs=0.5000001 * 10**-n_decimals)


def test_figures_are_told_from_code_and_versions():
    assert figures("**.951**, 0.12 s, Python 3.11, `.777`, v2.11.0, 0.7") == [".951", "0.12"]


def test_lines_of_the_log_are_short():
    assert [line for line in LOG.splitlines() if len(line) > 120] == []


def test_the_log_begins_with_what_stands_now_and_goes_back_in_time():
    now = re.findall(r"\*\*What stands now \((\d{4}-\d\d-\d\d)\)", LOG)
    dates = [entry[:10] for entry in ENTRIES]
    assert [*now, *dates] == sorted([*now, *dates], reverse=True)
    assert len(now) == 1
    assert dates


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.splitlines()[0][:60])
def test_an_entry_of_the_log_has_all_its_parts_in_order(entry):
    parts = list(dict.fromkeys(re.findall(r"^- \*(\w+)\*: \S", entry, flags=re.MULTILINE)))
    assert parts == ["Question", "Change", "Command", "Figure", "Verdict"]
    command = re.search(r"\*Command\*: (.*?)\n- ", entry, flags=re.DOTALL)[1]
    assert re.search(r"\([0-9a-f]{7,}\)$", command), "the command has no commit"


def test_every_owner_in_the_path_of_data_is_a_module():
    text = (ROOT / "docs" / "path.md").read_text()
    owners = set(re.findall(r"`((?:pemr|indexer|retrieval)\.[a-z_.]+)`", text))
    places = [ROOT / owner.replace(".", "/") for owner in owners]
    assert places
    assert [p for p in places if not (p.is_dir() or p.with_suffix(".py").is_file())] == []


def test_the_readme_is_short():
    assert len(README.split()) <= 1500


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_documents_name_no_path_of_a_machine():
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.json"),
    ]:
        found = re.findall(r"(?<![\w.])/(?:home|root|tmp|work|mnt)/\S*", path.read_text())
        assert found == [], path
