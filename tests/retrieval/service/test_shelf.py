"""A catalog's folder that is gone, or whose path is none, is a sentence."""

from pathlib import Path

import pytest

from indexer import CatalogError, NoCatalogError
from retrieval.service.shelf import Shelf


@pytest.mark.parametrize("name", ["gone", "a\0b", "x" * 300, "\udcff" * 200])
def test_a_path_where_there_is_nothing_is_a_sentence(tmp_path, name):
    with pytest.raises(CatalogError) as caught:
        Shelf(tmp_path / name, "fake").stamp()
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_catalog_is_told(tmp_path):
    with pytest.raises(NoCatalogError):
        Shelf(Path(tmp_path), "fake").stamp()
