"""Errors carry data; their sentences are built from it."""

import pickle
from pathlib import Path

import pytest

from retrieval.errors import BenchmarkError, EmbeddingsFileError


@pytest.mark.parametrize("kind", [BenchmarkError, EmbeddingsFileError])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (("no work here",), "no work here"),
        (("no such file", Path("a/b")), "a/b: no such file"),
        (("no path", Path("t.csv"), "row 2"), "t.csv, row 2: no path"),
    ],
    ids=["alone", "file", "place"],
)
def test_a_sentence_names_file_and_place_first(kind, data, sentence):
    error = kind(*data)
    assert str(error) == sentence
    again = pickle.loads(pickle.dumps(error))
    padded = (*data, None, None)[:3]
    assert (again.reason, again.where, again.place) == padded
