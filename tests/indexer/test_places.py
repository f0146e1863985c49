"""Where the catalog is."""

from pathlib import Path

import pytest

from indexer import FolderError, catalog_folder


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert catalog_folder(Path("~/x")) == tmp_path / "x"


def test_what_is_given_is_taken(tmp_path):
    assert catalog_folder(tmp_path) == tmp_path


def test_without_a_home_folder_the_way_out_is_said(monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(FolderError, match="no home folder here; name a folder with --catalog"):
        catalog_folder()
