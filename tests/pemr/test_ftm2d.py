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


def test_where_a_segment_begins_matters_little(rng):
    notes = np.repeat(rng.uniform(0, 1, (12, 60)), 5, axis=1).astype(np.float32)
    first, late, other = (notes[:, start : start + 100] for start in (0, 4, 150))
    cosines = ftm2d.embed(np.stack([first, late, other])) @ ftm2d.embed(first[None])[0]
    assert cosines[1] > 0.95 > cosines[2]


def test_the_magnitudes_are_those_of_the_plain_transform(segments):
    window = np.hanning(102)[1:-1]
    pitch, time = np.arange(12), np.arange(100)
    expected = [
        abs(
            np.exp(-2j * np.pi * row * pitch / 12)
            @ (segments[0] * window)
            @ np.exp(-2j * np.pi * column * time / 100)
        )
        ** 0.7
        for row in range(1, 7)
        for column in range(-16, 17)
    ]
    ours = ftm2d.embed(segments)[0]
    np.testing.assert_allclose(ours, expected / np.linalg.norm(expected), atol=1e-5)


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
