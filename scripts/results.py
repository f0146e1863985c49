"""Make docs/results/README.md from the result files: every figure with the command behind it.

python scripts/results.py            # writes it
python scripts/results.py --check    # says whether it is up to date
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval import ranking_from

FOLDER = Path(__file__).parents[1] / "docs" / "results"
INTRODUCTION = """# Results

Made by `python scripts/results.py` from the result files beside it; do not edit. Every figure of
the project is here with the command that prints it again, whose options are those of its commit.
Figures of a benchmark are over its complete ranking, with 95 % intervals bootstrapped over cliques.
A commit with a plus is marked: files differed from it when the figure was measured.
"""
FACTS = ("command", "commit", "embedder", "hardware", "machine", "date", "versions")
REPORT_FIGURES = {
    "MAP": "map",
    "MR1": "mr1",
    "P@10": "p10",
    "hit@1": "hit1",
    "NAR (%)": "nar",
    "recall at 1 % false alarms": "recall_fa1",
}
N_WIDEST = 14  # columns of a table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    text = readme(chosen.folder)
    path = chosen.folder / "README.md"
    if not chosen.check:
        path.write_text(text, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path} is out of date; run `python scripts/results.py`")


def readme(folder: Path) -> str:
    parts = [INTRODUCTION]
    for path in sorted(folder.glob("*.json")):
        parts += section(path, json.loads(path.read_text(encoding="utf-8")))
    alone = [p for p in sorted(folder.glob("*.md")) if not p.with_suffix(".json").is_file()]
    links = [f"- [{path.name}]({path.name})" for path in alone if path.name != "README.md"]
    if links:
        parts.append("\n".join(["## Results in words\n", *links]) + "\n")
    return "\n".join(parts)


def section(path: Path, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {path.stem.replace('_', ' ')}\n"
    beside = path.with_suffix(".md")
    files = [f"[{p.name}]({p.name})" for p in (path, beside) if p.is_file()]
    facts = {**result, **result.get("run", {})}
    lines = [f"- {name}: {in_line(name, facts[name])}" for name in FACTS if facts.get(name)]
    yield "\n".join([*lines, f"- files: {', '.join(files)}", ""])
    for rows in tables(result):
        yield table(rows) + "\n"


def in_line(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if name == "commit" and str(value).endswith("+"):
        return f"{value} (**not a clean tree**)"
    return f"`{value}`" if name == "command" else str(value)


def tables(result: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """Find what can be tabulated, however the script that wrote the file has called it."""
    if "metrics" in result and "queries" in result:
        yield [report_row(result)]
        return
    rest = {name: value for name, value in result.items() if name not in (*FACTS, "run")}
    single = {name: value for name, value in rest.items() if not isinstance(value, Mapping | list)}
    if single:
        yield [single]
    for name, value in rest.items():
        if isinstance(value, Mapping) and value:
            rows = all(isinstance(one, Mapping) for one in value.values()) and not is_figure(value)
            yield [{name: key, **one} for key, one in value.items()] if rows else [value]
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            yield value


def is_figure(value: object) -> bool:
    return isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)


def ranking(run: Mapping[str, Any]) -> str:
    """Say what decided the order; before schema 2 a report told of the alignment alone."""
    if "ranking" in run:
        return ranking_from(run["ranking"]).words() if run["ranking"] else "none"
    if run["embedder"] == "none":
        return "alignment of every candidate"
    return f"alignment of the best {run['n_aligned']}" if run["n_aligned"] else "no alignment"


def report_row(result: Mapping[str, Any]) -> dict[str, str]:
    run, counts = result["run"], result["counts"]
    row = {"ranking": ranking(run)}
    for label, name in REPORT_FIGURES.items():
        row[label] = cell(result["metrics"][name])
    lost = len(result["missing"]) + len(result["unusable"])
    return {**row, "queries": str(counts["queries"]), "missing": str(lost)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))[:N_WIDEST]
    lines = [columns, ["---"] * len(columns)]
    lines += [[cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping) and is_figure(value):
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping | list):
        return cell(json.dumps(value))
    return str(value).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main()
