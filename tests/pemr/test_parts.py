"""Which recordings of a folder are its training part."""

import numpy as np
import pytest

from pemr.errors import TrainingError
from pemr.presets import paper
from pemr.training.probing.parts import training_files

FRONT_END = paper().front_end


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "audio"
    for name in ("1_0.mp3", "1_1.mp3", "more/2_0.wav", "notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(folder, split=None):
    return [path.name for path in training_files(folder, FRONT_END, split)]


def test_without_a_split_all_music_is_trained_on(folder):
    assert names(folder) == ["1_0.mp3", "1_1.mp3", "2_0.wav"]


def test_lists_are_read_in_the_forms_that_data_sets_come_with(folder, tmp_path, caplog):
    np.save(tmp_path / "sub.npy", np.array(["1_1", "2_0", "9_9"]))
    assert names(folder, str(tmp_path / "sub.npy")) == ["1_1.mp3", "2_0.wav"]
    assert "1 of 3 names" in caplog.text
    (tmp_path / "SHS100K-TRAIN").write_text("1\t0\n2\t0\n")
    assert names(folder, str(tmp_path / "SHS100K-TRAIN")) == ["1_0.mp3", "2_0.wav"]
    (tmp_path / "mine.csv").write_text("path,clique\naudio/more/2_0.wav,2\n")
    assert names(folder, str(tmp_path / "mine.csv")) == ["2_0.wav"]
    (tmp_path / "names").write_text("more/2_0\n1_0.mp3\n")
    assert names(folder, str(tmp_path / "names")) == ["1_0.mp3", "2_0.wav"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "nor one of: magnatagatune, gtzan"), ("9_9\n", "names no file of")],
    ids=["absent", "strangers"],
)
def test_a_list_that_helps_nothing_is_refused(folder, tmp_path, text, sentence):
    if text:
        (tmp_path / "list").write_text(text)
    with pytest.raises(TrainingError, match=sentence):
        training_files(folder, FRONT_END, str(tmp_path / "list"))
