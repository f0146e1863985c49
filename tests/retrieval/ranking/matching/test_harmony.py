import numpy as np
import pytest

from pemr.model.harmony import shipped_listener
from pemr.signal.recording import record
from retrieval.ranking.matching.align import align, best_shifts, pool
from retrieval.ranking.matching.harmony import no_harmony, tonal, turned
from retrieval.ranking.matching.qmax import STACK_LENGTH, stacked_distances
from retrieval.ranking.ranking import PLAIN


@pytest.fixture
def pictures(rng):
    chroma = rng.integers(0, 256, (12, 300), dtype=np.uint8)
    return tonal(chroma, rng.integers(0, 256, (36, 300), dtype=np.uint8))


def test_without_harmony_chroma_alone_is_aligned(rng):
    chroma = rng.integers(0, 256, (12, 50), dtype=np.uint8)
    np.testing.assert_array_equal(tonal(chroma, no_harmony()), chroma)


def test_squared_distances_add_up_by_their_weights(rng):
    n_frames = STACK_LENGTH
    chroma = rng.integers(0, 256, (2, 12, n_frames), dtype=np.uint8)
    chroma[:, 0] = 255  # so that pooling leaves the others as they are
    harmony = rng.integers(0, 256, (2, 36, n_frames), dtype=np.uint8)
    ours, theirs = (pool(tonal(chroma[i], harmony[i]), 1) for i in range(2))
    parts = (chroma, harmony[:, :12], harmony[:, 12:24])
    gaps = [(part[0].astype(float) - part[1]) ** 2 for part in parts]
    expected = sum(w * gap.sum() for w, gap in zip(PLAIN.harmony_weights, gaps, strict=True))
    assert stacked_distances(ours, theirs, 0)[0, 0] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("semitones", [1, 5, -4])
def test_a_transposed_recording_is_found_in_its_key(pictures, semitones):
    found = align(pictures, turned(pictures, semitones))
    assert found.transposition == semitones
    assert found.score == align(pictures, pictures).score


def test_every_picture_turns_by_itself(pictures):
    moved = turned(pictures, 2)
    for first in (0, 12, 24):
        part = pictures[first : first + 12]
        np.testing.assert_array_equal(moved[first : first + 12], np.roll(part, 2, axis=0))
    assert best_shifts(pictures, moved)[0] == 2


def test_where_one_side_has_no_harmony_chroma_decides(pictures):
    chroma = pictures[:12]
    assert align(pictures, chroma) == align(chroma, chroma)
    assert align(chroma, pictures) == align(chroma, chroma)


def test_pooling_keeps_how_sure_the_network_is(pictures):
    faint = pictures.copy()
    faint[12:] //= 2
    assert pool(faint, 2)[:12].max(axis=0).min() == 255
    assert pool(faint, 2)[12:].max() < 160


def heard(waveform):
    recording = record([waveform.astype(np.float32)], listener=shipped_listener())
    return tonal(recording.chroma, recording.harmony)


def test_noise_and_drums_match_nothing(rng):
    """Noise is heard as chords of some kind; what matters is that they follow no music."""
    rate, duration_s = 16_000, 60
    time = np.arange(rate * duration_s) / rate
    roots = rng.choice([0, 5, 7, 9, 2, 4], size=duration_s // 2).repeat(2 * rate)
    music = sum(np.sin(2 * np.pi * 220 * 2 ** ((roots + k) / 12) * time) for k in (0, 4, 7))
    noise = rng.standard_normal(len(time))
    drums = noise * np.exp(-(time % 0.5) * 30)
    song, hiss, beat = heard(0.1 * music), heard(0.2 * noise), heard(0.5 * drums)
    itself = align(song, song).score
    for other in (hiss, beat):
        assert align(other, song).score < 0.15 * itself
        assert align(song, other).score < 0.15 * itself
    assert align(hiss, beat).score < 0.15 * itself
