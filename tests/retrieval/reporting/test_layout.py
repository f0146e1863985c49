"""Rows laid out for people and for programs."""

import json

import pytest

from retrieval.reporting.layout import laid_out

ROWS = [{"name": "a, b", "score": 0.25, "also": None}, {"name": "♪", "score": 1, "also": ["x", 2]}]


def test_a_table_has_columns_of_one_width_and_no_blanks_at_the_end():
    assert laid_out(ROWS) == "name  score  also\na, b  0.250  -\n♪     1      x, 2\n"


def test_one_row_stands_upright():
    assert laid_out(ROWS[0]) == "name   a, b\nscore  0.250\nalso   -\n"


def test_csv_quotes_and_keeps_full_precision():
    assert laid_out(ROWS[:1], "csv") == 'name,score,also\n"a, b",0.25,\n'


@pytest.mark.parametrize("answer", [ROWS, ROWS[0], []], ids=["rows", "row", "none"])
def test_json_reads_back(answer):
    assert json.loads(laid_out(answer, "json")) == answer


def test_no_rows_are_no_lines():
    assert laid_out([], "table") == laid_out([], "csv") == ""


@pytest.mark.parametrize("answer", [ROWS, ROWS[:1], [{}, ROWS[0]], ROWS[0], {}, []])
def test_json_is_indented_by_one_as_the_library_does_it(answer):
    wanted = json.dumps(answer, indent=1, ensure_ascii=False) + "\n"
    assert laid_out(answer, "json") == wanted
