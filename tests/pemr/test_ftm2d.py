import numpy as np
import pytest

from pemr.model import ftm2d


@pytest.fixture
def segments(rng):
    return rng.uniform(0, 1, (3, 12, ftm2d.SEGMENT_LENGTH)).astype(np.float32)


def test_embeddings_are_unit_vectors(segments):
    embeddings = ftm2d.embed(segments)
    assert embeddings.shape == (3, ftm2d.DIM)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("shift", range(1, 12))
def test_key_makes_no_difference(segments, shift):
    np.testing.assert_allclose(
        ftm2d.embed(np.roll(segments, shift, axis=1)), ftm2d.embed(segments), atol=1e-6
    )


def test_a_rotation_in_time_makes_no_difference(segments):
    np.testing.assert_allclose(
        ftm2d.embed(np.roll(segments, 31, axis=2)), ftm2d.embed(segments), atol=1e-6
    )


def test_loudness_makes_no_difference(segments):
    np.testing.assert_allclose(ftm2d.embed(segments * 0.1), ftm2d.embed(segments), atol=1e-6)


def test_other_passages_differ(segments):
    embeddings = ftm2d.embed(segments)
    assert (embeddings @ embeddings.T)[0, 1] < 0.99


def test_no_segments_give_no_embeddings():
    assert ftm2d.embed(np.zeros((0, 12, ftm2d.SEGMENT_LENGTH), np.float32)).shape == (0, ftm2d.DIM)


def test_constant_chroma_gives_finite_numbers():
    ones = np.ones((1, 12, ftm2d.SEGMENT_LENGTH), np.float32)
    assert np.isfinite(ftm2d.embed(ones)).all()
