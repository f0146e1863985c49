"""Archives on disk: zipped, unpacked, malformed, cached."""

import zipfile

import pytest

from pemr.corpus.notes import readers
from pemr.corpus.notes.readers import cached_scores, fingerprint
from pemr.errors import CorpusError

TUNE = "X:{n}\nT:Tune {n}\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|\n\n"
FILES = {
    "folk/volume/one.abc": TUNE.format(n=1) + TUNE.format(n=2),
    "folk/volume/two.abc": TUNE.format(n=1) + "X:2\nT:Silent\nM:4/4\nK:C\nz4|\n",
    "folk/licence.txt": "no score",
    "hymns/volume/broken.mid": "MThd and no more",
    "openewld/dataset/broken.mxl": "no zip file",
    "pop909/001/001.mid": "",
}


@pytest.fixture
def unpacked(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "scores" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "scores"


@pytest.fixture
def zipped(tmp_path):
    folder = tmp_path / "zipped"
    folder.mkdir()
    for archive in {name.split("/")[0] for name in FILES}:
        with zipfile.ZipFile(folder / f"{archive}.zip", "w") as packed:
            for name, text in FILES.items():
                if name.startswith(archive + "/"):
                    packed.writestr(name, text)
    return folder


@pytest.fixture
def read(tmp_path):
    """Scores, and what is no score, of a folder."""
    return lambda folder, n_jobs=1: cached_scores(folder, tmp_path / f"read by {n_jobs}", n_jobs)


def test_an_archive_may_be_zipped_or_not(unpacked, zipped, read):
    assert read(unpacked) == read(zipped)


def test_scores_are_named_by_book_file_and_number(unpacked, read):
    sources = [score.source for score in read(unpacked)[0]]
    assert sources == ["folk/volume/one.1", "folk/volume/one.2", "folk/volume/two.1"]


def test_what_is_malformed_is_skipped_and_named(unpacked, read):
    skipped = {item.source: item.reason for item in read(unpacked)[1]}
    assert set(skipped) == {
        "folk/volume/two.2",
        "hymns/volume/broken",
        "openewld/broken",
        "pop909/001",
    }
    assert "no melody" in skipped["folk/volume/two.2"]
    assert all("\n" not in reason for reason in skipped.values())


def test_chords_and_form_are_added_where_there_are_none(unpacked, read):
    score = read(unpacked)[0][0]
    assert score.chords
    assert score.sections


def test_several_processes_read_the_same(unpacked, read):
    assert read(unpacked, n_jobs=2) == read(unpacked)


def test_a_folder_without_archives_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"pop909\.zip"):
        cached_scores(tmp_path, tmp_path / "cache")


def test_a_zip_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "folk.zip").write_text("no zip")
    with pytest.raises(CorpusError, match=r"folk\.zip"):
        cached_scores(tmp_path, tmp_path / "cache")


def test_what_is_cached_is_not_read_again(unpacked, tmp_path, monkeypatch):
    first = cached_scores(unpacked, tmp_path / "cache")
    monkeypatch.setattr(readers, "_attempt", None)
    assert cached_scores(unpacked, tmp_path / "cache") == first
    assert len(first[0]) == 3
    assert len(first[1]) == 4


def test_a_changed_archive_is_read_again(unpacked, tmp_path):
    before = fingerprint(unpacked)
    cached_scores(unpacked, tmp_path / "cache")
    (unpacked / "folk/volume/three.abc").write_text(TUNE.format(n=3))
    scores, _ = cached_scores(unpacked, tmp_path / "cache")
    assert len(scores) == 4
    assert fingerprint(unpacked) != before


def test_an_unwritable_cache_is_named(unpacked, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CorpusError, match="cannot keep"):
        cached_scores(unpacked, tmp_path / "cache")


def test_all_archives_are_read(shared_data):
    """Every archive of the real data opens, and its first scores are whole."""
    for archive, read in readers.ARCHIVES.items():
        files = readers._files(shared_data / "scores", archive)
        for (source, make), _ in zip(read(files), range(2), strict=False):
            score = make()
            assert score.source == source
            assert len(score.melody) > 8


def test_what_reads_scores_is_an_extra(unpacked, read, monkeypatch):
    read(unpacked)
    monkeypatch.setattr(readers, "find_spec", lambda name: None if name == "mido" else name)
    assert read(unpacked)[0]  # was read before
    with pytest.raises(CorpusError, match=r"pip install 'pemr-covers\[corpus\]'"):
        read(unpacked, 2)
