"""MagnaTagATune and GTZAN, on stand-ins with the layout in which they are distributed."""

import csv

import pytest
from torchaudio.datasets import gtzan as lists

from pemr.errors import TrainingError
from pemr.training.probing.tagging import GENRES, gtzan, magnatagatune

TAGS = [f"tag {i}" for i in range(60)]


def write_table(path, header, rows):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture
def mtat(tmp_path):
    """Two clips in each of the sixteen folders; tag i is on clip j where i + j is small."""
    paths = [f"{folder}/clip-{i}-0-29.mp3" for folder in "0123456789abcdef" for i in range(2)]
    rows = []
    for j, path in enumerate(paths):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"sound")
        rows.append([j, *(int(i < 55 - j) for i in range(60)), path])
    write_table(tmp_path / "annotations_final.csv", ["clip_id", *TAGS, "mp3_path"], rows)
    info = [[j, "title", path] for j, path in enumerate(paths)]
    write_table(tmp_path / "clip_info_final.csv", ["clip_id", "title", "mp3_path"], info)
    return tmp_path


@pytest.fixture
def genres(tmp_path):
    """One excerpt of each genre in each part of the fault-filtered split."""
    for part in (lists.filtered_train, lists.filtered_valid, lists.filtered_test):
        for genre in GENRES:
            name = next(name for name in part if name.startswith(genre))
            file = tmp_path / "genres" / genre / f"{name}.au"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"sound")
    return tmp_path


def test_folders_make_the_split_of_pons(mtat):
    found = magnatagatune(mtat)
    folders = [
        {c.path.parent.name for c in part} for part in (found.train, found.valid, found.test)
    ]
    assert folders == [set("0123456789ab"), {"c"}, set("def")]
    assert (found.name, found.task, found.n_missing) == ("magnatagatune", "tags", 0)


def test_the_50_most_frequent_tags_are_kept_in_order(mtat):
    found = magnatagatune(mtat)
    assert found.names == tuple(TAGS[:50])
    assert found.train[10].labels == tuple(range(45))


def test_targets_are_zeros_and_ones(mtat):
    found = magnatagatune(mtat)
    targets = found.targets(found.train[10:12])
    assert targets.shape == (2, 50)
    assert targets.sum(axis=1).tolist() == [45, 44]


def test_missing_and_empty_audio_is_counted(mtat):
    (mtat / "0" / "clip-0-0-29.mp3").unlink()
    (mtat / "e" / "clip-1-0-29.mp3").write_bytes(b"")
    found = magnatagatune(mtat)
    assert found.n_missing == 2
    assert len(found.train) + len(found.valid) + len(found.test) == 30


def spoil_header(root):
    write_table(root / "annotations_final.csv", ["id", "x"], [])


def spoil_cell(root):
    table = root / "annotations_final.csv"
    table.write_text(table.read_text().replace('"1"', '"yes"', 1).replace('"0"', '"no"', 99))


def spoil_audio(root):
    (root / "c" / "clip-0-0-29.mp3").unlink()
    (root / "c" / "clip-1-0-29.mp3").unlink()


def spoil_info(root):
    write_table(root / "clip_info_final.csv", ["clip_id", "mp3_path"], [[0, "9/other.mp3"]])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda root: (root / "annotations_final.csv").unlink(), "expected annotations_final.csv"),
        (spoil_header, "other columns"),
        (spoil_cell, "not zeros and ones"),
        (spoil_audio, "no audio of the valid part"),
        (spoil_info, r"clip_info_final.csv: 32 annotated clips are not in it"),
    ],
    ids=["no table", "header", "cell", "no audio", "other version"],
)
def test_what_is_not_magnatagatune_is_said(mtat, spoil, sentence):
    spoil(mtat)
    with pytest.raises(TrainingError, match=sentence):
        magnatagatune(mtat)


def test_gtzan_is_split_without_its_faults(genres):
    found = gtzan(genres)
    assert (found.name, found.task, found.names) == ("gtzan", "genres", GENRES)
    assert [len(part) for part in (found.train, found.valid, found.test)] == [10, 10, 10]
    assert found.n_missing == 443 + 197 + 290 - 30
    assert all(clip.path.parent.name == GENRES[clip.labels[0]] for clip in found.train)


def test_gtzan_may_be_wav(genres):
    for file in genres.rglob("*.au"):
        file.rename(file.with_suffix(".wav"))
    assert gtzan(genres / "genres").train[0].path.suffix == ".wav"


def test_what_is_not_gtzan_is_said(tmp_path):
    with pytest.raises(TrainingError, match="expected genres/blues"):
        gtzan(tmp_path)
