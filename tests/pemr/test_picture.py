"""The picture of the mask shows what the model computes."""

import sys

import numpy as np
import pytest
import torch

from pemr.errors import CheckpointError, PemrError, UnreadableAudioError
from pemr.model.checkpoint import Checkpoint, save
from pemr.model.pemr import Pemr
from pemr.picture import draw_mask, masked_stretch
from pemr.presets import tiny
from pemr.signal.crops import decoded, pieces


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "c", Checkpoint(config=tiny(), step=0, weights=Pemr(tiny()).state_dict()))
    return tmp_path / "c"


@pytest.fixture
def song(tmp_path, tone):
    return tone(tmp_path / "song.wav", duration_s=5.0)


def test_a_stretch_is_what_the_model_reads(song, checkpoint):
    stretch = masked_stretch(song, checkpoint)
    cut = pieces(decoded(song, tiny().front_end), tiny().front_end)
    assert len(cut) == 2
    np.testing.assert_array_equal(stretch.spectrogram[:, :65], cut[0].numpy())
    assert stretch.n_crops == 2
    assert stretch.end_s == pytest.approx(2 * 8192 / 4000)


def test_a_tenth_of_each_crop_is_inessential_and_least_attended(song, checkpoint):
    stretch = masked_stretch(song, checkpoint)
    for crop in range(2):
        part = slice(65 * crop, 65 * (crop + 1))
        is_crucial, scores = stretch.is_crucial[part], stretch.importance[part]
        assert (~is_crucial).sum() == 6
        assert scores[~is_crucial].max() <= scores[is_crucial].min()
        assert scores.mean() == pytest.approx(1.0, abs=1e-4)


def test_a_stretch_starts_where_asked(song, checkpoint):
    stretch = masked_stretch(song, checkpoint, start_s=2.5)
    assert (stretch.start_s, stretch.end_s) == (2.5, pytest.approx(2.5 + 8192 / 4000))


def test_a_start_too_late_is_said(song, checkpoint):
    with pytest.raises(UnreadableAudioError, match=r"less than the 2.0 s of one crop"):
        masked_stretch(song, checkpoint, start_s=4.0)


def test_a_missing_checkpoint_is_said(song, tmp_path):
    with pytest.raises(CheckpointError, match="there is none"):
        masked_stretch(song, tmp_path / "nowhere")


def test_a_picture_is_written(song, checkpoint, tmp_path):
    draw_mask(masked_stretch(song, checkpoint), "song", tmp_path / "mask.png")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_said(song, checkpoint, tmp_path):
    stretch = masked_stretch(song, checkpoint)
    with pytest.raises(PemrError, match="cannot be written"):
        draw_mask(stretch, "song", tmp_path / "no such folder" / "mask.png")
    with pytest.raises(PemrError, match="cannot be written"):
        draw_mask(stretch, "song", tmp_path / "mask.tune")


def test_a_picture_needs_matplotlib(song, checkpoint, tmp_path, monkeypatch):
    stretch = masked_stretch(song, checkpoint)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PemrError, match=r"pemr-covers\[picture\]"):
        draw_mask(stretch, "song", tmp_path / "mask.png")
