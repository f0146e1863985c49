"""The walls between the rooms, and the doors in them."""

import ast
import importlib
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("pemr", "indexer", "retrieval")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_door_resolves(room):
    door = importlib.import_module(room)
    assert door.__all__
    for name in door.__all__:
        assert getattr(door, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_refuses_unknown_names(room):
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module(room).no_such_name


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import pemr", "torch"),
        ("import indexer", "faiss"),
        ("import retrieval", "numba"),
        ("import cli", "torch"),
        ("import cli", "numpy"),
        ("import cli; from indexer import Catalog", "torch"),
        ("from pemr import embedder_names; embedder_names()", "torch"),
    ],
)
def test_importing_a_door_stays_light(statement, heavy):
    code = f"import sys; {statement}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_rooms_talk_through_doors():
    corridors = []
    for room in ROOMS:
        others = [other for other in ROOMS if other != room]
        for path in modules(room):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    head, _, rest = node.module.partition(".")
                    if head in others and rest not in {"", "errors", "embedder"}:
                        corridors.append(f"{path.relative_to(ROOT)}: {node.module}")
    assert corridors == []


def test_no_file_is_longer_than_a_reader_bears():
    lengths = {p: len(p.read_text().splitlines()) for room in ROOMS for p in modules(room)}
    assert [str(p) for p, length in lengths.items() if length > 400] == []
    assert len((ROOT / "cli.py").read_text().splitlines()) <= 1000


def test_every_config_field_is_read_somewhere():
    from dataclasses import fields, is_dataclass

    from pemr import config

    read = set()
    for room in (*ROOMS, "scripts"):
        for path in modules(room):
            if path.name in {"config.py", "presets.py"}:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    read.add(node.attr)
    owners = [value for value in vars(config).values() if is_dataclass(value)]
    assert owners
    dead = [f"{o.__name__}.{f.name}" for o in owners for f in fields(o) if f.name not in read]
    assert dead == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_names_to_type_checkers_what_it_offers(room):
    tree = ast.parse((ROOT / room / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    named = {a.asname or a.name for node in block.body for a in node.names}
    assert named == set(importlib.import_module(room).__all__)


def test_the_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_name_means_one_class_and_one_module():
    """But for what one room offers under the name of the protocol that another asks for."""
    shared = {"Embedder", "Recording"}
    places = defaultdict(list)
    for room in ROOMS:
        for path in modules(room):
            if path.name != "__init__.py" and room == "pemr":
                places[path.name].append(str(path))
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert {name for name in twice if name not in shared} == set(), twice
