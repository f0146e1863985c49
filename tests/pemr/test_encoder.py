"""Encoders: the paper's sizes and shapes."""

from dataclasses import replace

import pytest
import torch

from pemr.config import FcnConfig, MelConfig, model_from_json, to_json
from pemr.errors import CheckpointError
from pemr.model.checkpoint import Checkpoint, save
from pemr.model.encoder import FcnEncoder, build_encoder, pretrained_encoder
from pemr.model.pemr import Pemr
from pemr.presets import paper, tiny


def test_the_paper_s_encoder_gives_512_values_from_128_bins_and_462_frames():
    assert paper().front_end.shape == (128, 462)
    encoder = build_encoder(paper()).eval()
    assert encoder.dim == 512
    assert encoder(torch.randn(2, 128, 462)).shape == (2, 512)


def test_the_paper_s_encoder_has_the_paper_s_size():
    n_parameters = sum(p.numel() for p in build_encoder(paper()).parameters())
    assert n_parameters == pytest.approx(0.37e6, rel=0.01)


def test_a_permuted_batch_permutes_the_features():
    encoder = build_encoder(tiny()).eval()
    batch = torch.randn(3, *tiny().front_end.shape)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(encoder(batch[order]), encoder(batch)[order])


def test_pooling_away_everything_is_refused():
    config = replace(paper(), front_end=MelConfig(segment_length=2000))
    with pytest.raises(ValueError, match="leave nothing"):
        build_encoder(config)


def test_any_spectrogram_shape_fits():
    config = FcnConfig(channels=(4, 8), pools=((3, 5), (4, 4)))
    assert FcnEncoder((84, 100), config)(torch.randn(2, 84, 100)).shape == (2, 8 * 7 * 5)


def test_a_pretrained_encoder_is_the_checkpoint_s(tmp_path):
    torch.manual_seed(0)
    model = Pemr(tiny()).eval()
    save(tmp_path / "c", Checkpoint(config=tiny(), step=1, weights=model.state_dict()))
    encoder, config = pretrained_encoder(tmp_path / "c")
    assert config == model_from_json(to_json(tiny()))
    batch = torch.randn(2, *config.front_end.shape)
    torch.testing.assert_close(encoder.eval()(batch), model.encoder(batch))


def test_a_checkpoint_without_its_encoder_is_said(tmp_path):
    save(tmp_path / "c", Checkpoint(config=tiny(), step=1, weights={"x": torch.ones(1)}))
    with pytest.raises(CheckpointError, match="holds no encoder of its own config"):
        pretrained_encoder(tmp_path / "c")
