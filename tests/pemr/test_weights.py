import numpy as np
import pytest
import torch

from pemr import load_embedder, weights
from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.playing.arrange import arrange
from pemr.corpus.playing.recipe import DIFFICULTIES, draw
from pemr.corpus.sounding.sketch import sketch
from pemr.export import export_weights
from pemr.model.checkpoint import Checkpoint, save
from pemr.model.cover import load_shipped
from pemr.signal.disguise import roll
from pemr.signal.frontend import pack, unpack

N_WORKS = 6


@pytest.fixture(scope="module")
def segments():
    """Two sketched performances of each of some tunes, 20 s each: (works, 2, 84, 100)."""
    shown = []
    for tune in TUNES[:N_WORKS]:
        score = transcribe(tune)
        for seed in range(2):
            rng = np.random.default_rng(seed)
            played = arrange(score, draw(score, DIFFICULTIES["standard"], rng))
            shown.append(unpack(sketch(played, rng))[:, 10:110])
    return np.stack(shown).reshape(N_WORKS, 2, 84, 100)


@pytest.fixture(scope="module")
def embedder():
    return load_embedder("cover", device="cpu")


def embedded(embedder, segments):
    """Embed segments as recordings that are as long as they are."""
    packed = [embedder.restore({"spectrogram": pack(segment)}) for segment in segments]
    return np.concatenate(embedder.embed(packed))


def test_the_shipped_weights_are_small_and_known_by_their_hash(embedder):
    card = weights.describe("cover")
    assert embedder.name == f"cover@{card.hash[:8]}"
    assert embedder.dim == card.n_dims == 256
    assert card.config.preset.startswith("cover")
    assert {"step", "data", "commit"} <= card.provenance.keys()


def test_the_default_embedder_is_the_shipped_one(embedder):
    assert load_embedder().name == embedder.name


def test_embeddings_are_unit_vectors_and_the_same_every_time(embedder, segments):
    flat = np.ascontiguousarray(segments.reshape(-1, 84, 100))
    once, again = embedded(embedder, flat), embedded(embedder, flat)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_allclose(np.linalg.norm(once, axis=1), 1, rtol=1e-5)


def test_a_segment_does_not_depend_on_its_batch(embedder, segments):
    flat = np.ascontiguousarray(segments.reshape(-1, 84, 100))
    alone = np.concatenate([embedded(embedder, segment[None]) for segment in flat])
    np.testing.assert_allclose(embedded(embedder, flat), alone, atol=1e-4)


def test_a_transposed_segment_stays_closest_to_itself(embedder, segments):
    originals = embedded(embedder, np.ascontiguousarray(segments[:, 0]))
    for semitones in (-6, -3, -1, 1, 4, 6):
        shift = torch.full((N_WORKS,), semitones)
        moved = roll(torch.from_numpy(np.ascontiguousarray(segments[:, 0])), shift)
        cosines = embedded(embedder, moved.numpy()) @ originals.T
        np.testing.assert_array_equal(cosines.argmax(1), np.arange(N_WORKS))


def test_louder_or_softer_is_the_same_music_to_the_model(segments):
    softer = torch.from_numpy(np.ascontiguousarray(segments[:, 0] - 10))
    model = load_shipped("cover")
    with torch.no_grad():
        assert (model(softer) * model(softer + 10)).sum(1).min() > 0.999


def test_louder_or_softer_is_nearly_the_same_recording(embedder, segments):
    """What is packed is rounded to 0.4 dB and ends at -100 dB, wherever the music lies."""
    softer = np.ascontiguousarray(segments[:, 0] - 10)
    cosines = (embedded(embedder, softer) * embedded(embedder, softer + 10)).sum(1)
    assert cosines.min() > 0.998


def test_the_weights_survive_another_export(embedder, segments, tmp_path):
    card = weights.describe("cover")
    model = load_shipped("cover")
    save(tmp_path / "c", Checkpoint(config=card.config, step=1, weights=model.state_dict()))
    content = export_weights(tmp_path / "c", tmp_path / "w").read_bytes()
    assert len(content) < 10 * 2**20
    flat = torch.from_numpy(np.ascontiguousarray(segments[:, 0]))
    with torch.no_grad():
        np.testing.assert_allclose(model(flat), embedded(embedder, flat.numpy()), atol=1e-5)
