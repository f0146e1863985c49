"""Names of strangers' files, made fit to be shown."""

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.reporting.display import csv_safe, json_safe, shown, width
from retrieval.reporting.layout import laid_out

ANY_TEXT = st.text(st.characters(codec=None, categories=None))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b\x1b[31mred", "b\\x1b[31mred"),
        ("bell\x07", "bell\\x07"),
        ("one\ntwo\rthree", "one\\ntwo\\rthree"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj.\u202e3pm", "gpj.\\u202e3pm"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("next\u2028line", "next\\u2028line"),
        ("\ufeffmark", "\\ufeffmark"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("caf\udce9", "caf\\xe9"),
        ("日本 ♪ e\u0301 👩\u200d🎤", "日本 ♪ e\u0301 👩\u200d🎤"),
    ],
    ids=ascii,
)
def test_what_a_terminal_would_obey_is_escaped(text, expected):
    assert shown(text) == expected


@given(ANY_TEXT, st.integers(1, 40))
def test_whatever_is_shown_is_one_printable_line_within_its_width(text, max_width):
    line = shown(text, max_width)
    assert width(line) <= max_width
    assert not {unicodedata.category(letter) for letter in line} & {"Cc", "Cs", "Zl", "Zp"}
    line.encode("utf-8")


@given(ANY_TEXT)
def test_json_keeps_its_values_and_is_utf_8(text):
    written = json_safe(json.dumps([text], ensure_ascii=False))
    assert json.loads(written.encode("utf-8")) == [text]
    assert "\x9b" not in written
    assert "\u202e" not in written


def test_a_title_of_a_megabyte_does_not_widen_the_table():
    rows = [{"title": "a" * 1_000_000, "path": "/1"}, {"title": "日本", "path": "/" + "p" * 300}]
    first, second = laid_out(rows).splitlines()[1:]
    assert len(first) < 120
    assert second.endswith("p" * 300)
    assert width(first[: first.index("/")]) == width(second[: second.index("/")])


def test_a_newline_in_a_name_forges_no_line():
    assert len(laid_out([{"path": "/a\n1  1.000  /b"}]).splitlines()) == 2
    assert len(laid_out({"path": "/a\nb"}).splitlines()) == 1


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"], ids=ascii)
def test_a_cell_of_csv_is_no_formula(cell):
    written = laid_out([{"title": cell, "score": -0.5}], "csv")
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row == {"title": f"'{cell}", "score": "-0.5"}


def test_numbers_are_left_alone():
    assert csv_safe(-1) == -1
