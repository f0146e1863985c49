"""Make docs/map.md from the first line of every module: where in the code is what.

python scripts/map.py            # writes it
python scripts/map.py --check    # says whether it is up to date
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("pemr", "indexer", "retrieval", "scripts")
ALONE = "cli.py"
SKIPPED = {"__pycache__", "versions", "__init__.py", "env.py"}
WITHOUT_A_DOOR = {
    "page": "The web page: HTML, style and modules, served as they are",
    "migrations": "Alembic's own layout: a step for each change of the tables",
    "scripts": "What is run in a checkout",
    "bench": "Measurements: each writes a result file",
}
N_COLUMN = 24  # characters that a name and its indent take
INTRODUCTION = """# Map

Made by `python scripts/map.py` from the first line of every module; do not edit. A folder's line is
the first line of its `__init__.py`.

```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--root", type=Path, default=ROOT)
    chosen = parser.parse_args()
    text = map_of(chosen.root)
    path = chosen.root / "docs" / "map.md"
    if not chosen.check:
        path.write_text(text, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path} is out of date; run `python scripts/map.py`")


def map_of(root: Path) -> str:
    lines = [line(ALONE, root / ALONE, 0)]
    for room in ROOMS:
        lines += ["", line(f"{room}/", root / room, 0), *inside(root / room, 1)]
    return INTRODUCTION + "\n".join(lines) + "\n```\n"


def inside(folder: Path, depth: int) -> Iterator[str]:
    """Yield a line for each module of a folder, and of its folders, in the order of names."""
    for path in sorted(folder.iterdir()):
        if path.name in SKIPPED or path.name.startswith("."):
            continue
        if path.is_dir():
            yield line(f"{path.name}/", path, depth)
            yield from inside(path, depth + 1)
        elif path.suffix == ".py" or is_script(path):
            yield line(path.name, path, depth)


def is_script(path: Path) -> bool:
    return not path.suffix and path.read_bytes().startswith(b"#!")


def line(name: str, path: Path, depth: int) -> str:
    return f"{'  ' * depth + name:<{N_COLUMN}} {first_line(path)}".rstrip()


def first_line(path: Path) -> str:
    """Read what a module says of itself; the first comment of a shell script says it there."""
    if path.is_dir():
        door = path / "__init__.py"
        return first_line(door) if door.is_file() else WITHOUT_A_DOOR[path.name]
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text.splitlines()[1].removeprefix("# ").rstrip(".")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].rstrip(".")


if __name__ == "__main__":
    main()
