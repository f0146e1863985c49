"""Where the catalog is."""

from pathlib import Path

import pytest

from indexer import FolderError, cache_root, catalog_place


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert catalog_place(Path("~/x")) == tmp_path / "x"


def test_what_is_given_is_taken(tmp_path):
    assert catalog_place(tmp_path) == tmp_path


def test_without_a_home_folder_the_way_out_is_said(monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        FolderError, match="no such home folder here; name another folder with --catalog"
    ):
        catalog_place()
    with pytest.raises(FolderError, match="PEMR_CACHE"):
        cache_root("~/caches")
