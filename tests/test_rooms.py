"""The walls between the rooms, and the doors in them."""

import ast
import importlib
import subprocess
import sys
from collections import defaultdict
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

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
        ("from retrieval import tracks_text", "numba"),
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
    everything = [p for room in (*ROOMS, "tests", "scripts") for p in modules(room)]
    lengths = {p: len(p.read_text().splitlines()) for p in everything}
    assert [str(p) for p, length in lengths.items() if length > 400] == []
    assert len((ROOT / "cli.py").read_text().splitlines()) <= 1000


def test_commands_parse_call_and_show_and_do_no_more():
    functions = [n for n in ast.parse((ROOT / "cli.py").read_text()).body if hasattr(n, "args")]
    counts = {f.name: sum(isinstance(n, ast.stmt) for n in ast.walk(f)) - 1 for f in functions}
    assert {name: n for name, n in counts.items() if n > 25} == {}


class ConfigReads(ast.NodeVisitor):
    """Which fields of which config a module reads: by annotation, and by the part's name."""

    def __init__(self, owners, parts):
        self.owners, self.parts = owners, parts
        self.known, self.read = {}, set()

    def named(self, annotation):
        if annotation is None:
            return set()
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        names |= {"MelConfig", "SemitoneConfig"} if "FrontEnd" in names else set()
        return names & self.owners

    def owner(self, node):
        if isinstance(node, ast.Attribute) and node.attr in self.parts:
            return self.parts[node.attr]
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "cast":
            return self.named(node.args[0])
        return self.known.get(ast.unparse(node), set())

    def visit_ClassDef(self, node):
        before = self.known
        self.known = {**before, "self": {node.name} & self.owners}
        for line in node.body:  # fields
            if isinstance(line, ast.AnnAssign):
                self.known[f"self.{ast.unparse(line.target)}"] = self.named(line.annotation)
        self.generic_visit(node)
        self.known = before

    def visit_FunctionDef(self, node):
        if node.name == "__post_init__":  # a check of a field is no use of it
            return
        for arg in (*node.args.args, *node.args.kwonlyargs):
            if arg.annotation is not None:
                self.known[arg.arg] = self.named(arg.annotation)
        self.generic_visit(node)

    def visit_Assign(self, node):
        target = node.targets[0]
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
        for one, value in pairs:
            self.known[ast.unparse(one)] = self.owner(value)
        self.generic_visit(node)

    def visit_Attribute(self, node):
        self.read |= {(owner, node.attr) for owner in self.owner(node.value)}
        self.generic_visit(node)


def test_every_config_field_is_read_of_its_owner():
    """A field is alive where it is read of its own config, not of anything that has such a name."""
    config = importlib.import_module("pemr.config")
    owners = {name: o for name, o in vars(config).items() if is_dataclass(o)}
    parts = {
        field.name: {o.__name__ for o in (*get_args(hint), hint) if is_dataclass(o)}
        for field in fields(config.Config)
        for hint in [get_type_hints(config.Config)[field.name]]
        if field.name != "preset"
    }
    read = {(name, "kind") for name in owners}  # `from_json` picks a part by it
    read |= {("ModelConfig", part) for part in parts}  # parts are reached by name, below
    reached = set()
    for path in modules("pemr"):
        if path.name != "presets.py":
            reads = ConfigReads(set(owners), parts)
            reads.visit(ast.parse(path.read_text()))
            read |= reads.read
            reached |= {
                n.attr
                for n in ast.walk(ast.parse(path.read_text()))
                if isinstance(n, ast.Attribute)
            }
    assert parts.keys() <= reached
    dead = [
        f"{name}.{field.name}"
        for name, owner in owners.items()
        for field in fields(owner)
        if not any((one.__name__, field.name) in read for one in owner.__mro__)
    ]
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


def test_no_folder_has_more_modules_than_a_reader_keeps_in_mind():
    folders = [path.parent for room in ROOMS for path in (ROOT / room).rglob("__init__.py")]
    counts = {
        str(folder.relative_to(ROOT)): sum(path.stem != "__init__" for path in folder.glob("*.py"))
        for folder in folders
    }
    assert {name: n for name, n in counts.items() if n > 13 and name != "indexer"} == {}


def test_no_door_offers_a_function_under_the_name_of_one_of_its_modules():
    hidden = [
        f"{room}.{name}"
        for room in ROOMS
        for name in importlib.import_module(room).__all__
        if (ROOT / room / f"{name}.py").is_file() or (ROOT / room / name).is_dir()
    ]
    assert hidden == []


def test_what_two_rooms_must_know_is_the_same_in_both():
    from indexer import FRAME_RATE, N_ROWS
    from pemr.signal import frontend, recording

    assert frontend.FRAME_RATE == FRAME_RATE
    n_rows = {
        "spectrogram": frontend.N_BINS,
        "chroma": recording.N_PITCH_CLASSES,
        "harmony": recording.N_HARMONIES,
    }
    assert n_rows == N_ROWS
