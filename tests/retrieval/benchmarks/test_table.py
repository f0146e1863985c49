"""A user's own table of performances."""

import pytest

from retrieval.benchmarks.table import load
from retrieval.errors import BenchmarkError


@pytest.fixture
def table(tmp_path):
    for name in ("a/1.mp3", "a/2.mp3", "other/3.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    path = tmp_path / "works.csv"
    path.write_text(
        "path,work,title\na/1.mp3,w,One\na/2.mp3,w,\nother/../other/3.mp3,v,\ngone.mp3,v,Gone\n"
    )
    return path


def test_paths_are_seen_from_the_table(table):
    benchmark = load(table)
    assert [(p.name, p.work, p.title) for p in benchmark.performances] == [
        ("a/1.mp3", "w", "One"),
        ("a/2.mp3", "w", None),
        ("other/3.mp3", "v", None),
        ("gone.mp3", "v", "Gone"),
    ]
    assert [p.name for p in benchmark.missing] == ["gone.mp3"]


def test_absolute_path_gets_a_name_that_says_nothing_of_the_machine(table):
    table.write_text(f"path,work\n{table.parent}/a/1.mp3,w\n{table.parent}/a/2.mp3,w\n")
    assert [p.name for p in load(table).performances] == ["a/1.mp3", "a/2.mp3"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_separators_and_quotes_are_understood(table, delimiter):
    rows = [["path", "work", "name"], ["a/1.mp3", '"a; ""b""\tc, d"', "x"], ["a/2.mp3", "w", "y"]]
    table.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig")
    performances = load(table).performances
    assert performances[0].work == 'a; "b"\tc, d'
    assert [p.name for p in performances] == ["x", "y"]


def test_missing_column_is_named(table):
    table.write_text("path,song\na/1.mp3,w\n")
    with pytest.raises(BenchmarkError, match="no column work in its first line"):
        load(table)


def test_empty_table_is_refused(table):
    table.write_text("")
    with pytest.raises(BenchmarkError, match="no column path and work"):
        load(table)


def test_empty_cell_names_its_row(table):
    table.write_text("path,work\na/1.mp3,w\na/2.mp3,\n")
    with pytest.raises(BenchmarkError, match="line 3: path or work is empty"):
        load(table)


def test_performance_named_twice_is_refused(table):
    table.write_text("path,work\na/1.mp3,w\na/1.mp3,v\n")
    with pytest.raises(BenchmarkError, match=r"name 1 performances twice, 'a/1.mp3' first"):
        load(table)


def test_folder_in_place_of_the_table_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="no such file; table expects a CSV file"):
        load(tmp_path)
