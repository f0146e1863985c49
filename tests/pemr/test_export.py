import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr import load_embedder, weights
from pemr.config import CoverConfig, ModelConfig, PairConfig
from pemr.errors import CheckpointError
from pemr.export import export_onnx, export_weights
from pemr.model.checkpoint import Checkpoint, save, weights_hash
from pemr.model.cover import build_model, load_model, load_shipped
from pemr.model.encoder import build_encoder
from pemr.presets import cover, tiny
from pemr.signal.frontend import pack, unpack

SMALL = CoverConfig(n_stem=4, n_narrow=8, n_wide=12, dilations=(1, 2), dim=16, n_dims=8)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    config = replace(cover(), encoder=SMALL)
    model = build_model(config)
    with torch.no_grad():  # batch statistics as after some training
        for _ in range(20):
            model(torch.randn(8, 84, 100) * 10 - 50)
    save(tmp_path / "c", Checkpoint(config=config, step=7, weights=model.state_dict(), data="d"))
    return tmp_path / "c"


@pytest.fixture
def pair(tmp_path):
    """Two encoders as the shipped ones are: the second reads harmony."""
    torch.manual_seed(0)
    both = PairConfig(first=SMALL, second=replace(SMALL, n_harmony=4))
    config = ModelConfig(preset="cover-pair", front_end=cover().front_end, encoder=both)
    weights = build_model(config).state_dict()
    save(tmp_path / "pair", Checkpoint(config=config, step=7, weights=weights, data="d"))
    return tmp_path / "pair"


@pytest.fixture
def segments(rng):
    return rng.normal(-50, 10, (5, 84, 100)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n_rows"), [("checkpoint", 84), ("pair", 120)])
def test_onnx_gives_the_same_answers_for_any_number_of_segments(
    kind, n_rows, rng, tmp_path, request
):
    checkpoint = request.getfixturevalue(kind)
    segments = rng.normal(-50, 10, (5, 84, 100)).astype(np.float32)
    harmony = rng.uniform(0, 1, (5, n_rows - 84, 100)).astype(np.float32)
    segments = np.concatenate([segments, harmony], axis=1)
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export_onnx(checkpoint, tmp_path / "cover.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "cover.onnx")
    for n_segments in (1, 2, 5):
        (found,) = session.run(None, {"segments": segments[:n_segments]})
        with torch.no_grad():
            expected = load_model(checkpoint)(torch.from_numpy(segments[:n_segments])).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_half_precision_changes_embeddings_little(checkpoint, segments, tmp_path, monkeypatch):
    path = export_weights(checkpoint, tmp_path / "weights")
    assert path.stat().st_size < 60_000
    monkeypatch.setattr("pemr.weights.resources.files", lambda _: tmp_path / "weights")
    weights.describe.cache_clear()
    with torch.no_grad():
        expected = load_model(checkpoint)(torch.from_numpy(segments))
        found = load_shipped("cover")(torch.from_numpy(segments))
    weights.describe.cache_clear()
    assert (expected * found).sum(1).min() > 0.9999


def test_exported_weights_say_where_they_come_from(checkpoint, tmp_path):
    export_weights(checkpoint, tmp_path / "weights")
    card = json.loads((tmp_path / "weights" / "cover.json").read_text())
    assert card["provenance"]["step"] == 7
    assert card["provenance"]["data"] == "d"
    assert len(card["sha256"]) == 64


def test_a_pretrained_checkpoint_has_no_head_to_export(tmp_path):
    config = tiny()
    encoder = build_encoder(config)
    save(tmp_path / "p", Checkpoint(config=config, step=1, weights=encoder.state_dict()))
    with pytest.raises(CheckpointError, match="no fine-tuned cover encoder"):
        load_model(tmp_path / "p")


def test_an_unwritable_folder_is_one_sentence(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        export_weights(checkpoint, tmp_path / "file")


def test_a_checkpoint_is_an_embedder_known_by_its_preset_and_hash(checkpoint, segments):
    embedder = load_embedder(str(checkpoint), device="cpu")
    assert embedder.name == f"cover@{weights_hash(checkpoint)[:8]}"
    assert embedder.dim == 8
    recordings = [embedder.restore({"spectrogram": pack(segment)}) for segment in segments]
    heard = torch.from_numpy(np.stack([unpack(one.spectrogram) for one in recordings]))
    with torch.no_grad():
        expected = load_model(checkpoint)(heard).numpy()
    np.testing.assert_allclose(np.concatenate(embedder.embed(recordings)), expected, atol=1e-6)


def test_a_folder_without_checkpoint_is_no_embedder(tmp_path):
    with pytest.raises(CheckpointError, match="there is none"):
        load_embedder(str(tmp_path))


def test_a_folder_in_the_way_does_not_hide_the_shipped_weights(tmp_path, monkeypatch):
    (tmp_path / "cover").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_embedder("cover").name.startswith("cover@")
