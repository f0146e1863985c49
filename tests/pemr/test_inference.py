"""The model in NumPy against the same model in torch, which trains it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from pemr import load_embedder, weights
from pemr.config import CoverConfig, PairConfig
from pemr.model.cover import build_model
from pemr.model.inference import CoverNetwork
from pemr.presets import cover, tiny

ROOT = Path(__file__).parents[2]
SMALL = CoverConfig(n_stem=4, n_narrow=8, n_wide=12, dilations=(1, 2), dim=16, n_dims=8)
HEARS = replace(SMALL, n_harmony=3, dilations=(2,), n_narrow=12)
ENCODERS = {
    "one": SMALL,
    "one that reads harmony": HEARS,
    "a pair": PairConfig(first=SMALL, second=HEARS),
}


def trained(encoder):
    """A model with batch statistics as after some training."""
    torch.manual_seed(3)
    config = replace(cover(), encoder=encoder)
    model = build_model(config).train()
    with torch.no_grad():
        for _ in range(10):
            model(torch.from_numpy(shown(np.random.default_rng(1), 8)))
    return config, model.eval()


def shown(rng, n_segments, n_rows=120, n_frames=100):
    spectrogram = rng.normal(-50, 10, (n_segments, 84, n_frames))
    harmony = rng.random((n_segments, n_rows - 84, n_frames))
    return np.concatenate([spectrogram, harmony], axis=1).astype(np.float32)


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("n_rows", [84, 120], ids=["without harmony", "with harmony"])
def test_it_embeds_as_the_model_that_was_trained(encoder, n_rows, rng):
    config, model = trained(encoder)
    segments = shown(rng, 9, n_rows)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(torch.from_numpy(segments)).numpy()
    np.testing.assert_allclose(CoverNetwork(config, arrays)(segments), expected, atol=1e-5)


@pytest.mark.parametrize("n_frames", [99, 102])
def test_segments_may_have_any_length(n_frames, rng):
    config, model = trained(HEARS)
    segments = shown(rng, 2, n_frames=n_frames)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(torch.from_numpy(segments)).numpy()
    np.testing.assert_allclose(CoverNetwork(config, arrays)(segments), expected, atol=1e-5)


def test_the_shipped_weights_embed_as_in_torch(rng):
    card, arrays = weights.describe("cover"), weights.load_arrays("cover")
    model = build_model(card.config)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    segments = shown(rng, 5)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(segments)).numpy()
    np.testing.assert_allclose(CoverNetwork(card.config, arrays)(segments), expected, atol=1e-4)


def test_no_segments_have_no_embeddings():
    network = CoverNetwork(weights.describe("cover").config, weights.load_arrays("cover"))
    assert network(np.zeros((0, 120, 100), np.float32)).shape == (0, 256)


def test_another_kind_of_encoder_is_refused():
    with pytest.raises(ValueError, match="no cover encoder"):
        CoverNetwork(tiny(), {})


HEARD = """
import sys, wave
from pathlib import Path
import numpy as np
from pemr import load_embedder
with wave.open(sys.argv[1], "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(np.random.default_rng(0).integers(-9000, 9000, 400000, np.int16).tobytes())
embedder = load_embedder("cover", "cpu")
recording = embedder.listen(Path(sys.argv[1]))
assert embedder.embed([recording])[0].shape == (2, 256)
sys.exit("torch" in sys.modules)
"""


def test_a_file_is_heard_and_embedded_without_torch(tmp_path):
    command = [sys.executable, "-c", HEARD, str(tmp_path / "a.wav")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_products_take_one_core_each_once_an_embedder_is_loaded():
    load_embedder("ftm2d")
    used = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
    assert used == {1}
