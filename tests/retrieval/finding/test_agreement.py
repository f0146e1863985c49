"""Two files and no catalog."""

import numpy as np
import pytest

from indexer import KeptRecording
from retrieval import PLAIN, agreement_row, agreement_table, compare_files
from retrieval.errors import SilentFileError
from retrieval.finding.agreement import Agreement
from tests.conftest import BadSoundError, FakeEmbedder


class Tunes(FakeEmbedder):
    """Hears in a file whatever tune it is told to, and embeds by its seconds."""

    def __init__(self, tunes):
        super().__init__()
        self.tunes = tunes

    def listen(self, source):
        chroma = self.tunes[source.stem]
        spectrogram = np.concatenate([chroma] * 7)
        harmony = np.zeros((36, 0), np.uint8)
        return KeptRecording(
            duration_s=chroma.shape[1] / 5, spectrogram=spectrogram, chroma=chroma, harmony=harmony
        )


def a_tune(rng, n_chords=60, n_frames=10):
    """Chords of two seconds each in one key, uint8 (12, T)."""
    key = np.array([1, 0.1, 0.6, 0.1, 0.8, 0.5, 0.1, 0.9, 0.1, 0.6, 0.1, 0.3])
    chords = rng.integers(0, 255, (12, n_chords)) * key[:, None]
    return np.repeat(chords, n_frames, axis=1).astype(np.uint8)


@pytest.fixture
def compared(tmp_path, tone):
    def compare(**tunes):
        paths = [tone(tmp_path / f"{name}.wav", seed=k) for k, name in enumerate(tunes)]
        return compare_files(Tunes(tunes), *paths, PLAIN)

    return compare


def test_a_transposed_copy_is_found_where_it_lies(compared, rng):
    tune = a_tune(rng)
    inside = np.concatenate([a_tune(rng, 10), np.roll(tune, 3, axis=0)], axis=1)
    agreement = compared(tune=tune, inside=inside)
    assert agreement.transposition == 3
    (longest, *_) = agreement.spans
    assert longest.query_start_s == pytest.approx(0, abs=4)
    assert longest.start_s == pytest.approx(20, abs=4)
    assert longest.end_s - longest.start_s == pytest.approx(120, abs=8)


def test_the_order_of_the_files_does_not_matter(compared, rng):
    tune, other = a_tune(rng), a_tune(rng, 80)
    other[:, 100:400] = tune[:, 50:350]
    other = np.roll(other, -4, axis=0)
    there, back = compared(tune=tune, other=other), compared(other=other, tune=tune)
    assert there.score == back.score
    assert there.alignment_score == pytest.approx(back.alignment_score)
    assert there.transposition == -back.transposition == -4


def test_a_cover_scores_above_a_stranger(compared, rng):
    tune = a_tune(rng)
    cover = np.repeat(tune[:, ::10], 9, axis=1)
    strange = a_tune(rng)
    assert compared(tune=tune, cover=cover).alignment_score > 2 * (
        compared(tune=tune, strange=strange).alignment_score
    )


def test_another_form_of_a_recording_is_told_from_a_performance(compared, rng):
    tune = a_tune(rng)
    quieter = (tune * 0.8).astype(np.uint8)[:, 50:]
    assert compared(tune=tune, quieter=quieter).is_same_recording
    noise = rng.integers(0, 120, tune.shape)
    played = np.clip(np.repeat(tune[:, ::10], 9, axis=1) // 2 + noise[:, :540], 0, 255)
    assert not compared(tune=tune, played=played.astype(np.uint8)).is_same_recording


def test_two_files_that_are_one_are_told(tmp_path, tone, fake_embedder):
    one = tone(tmp_path / "one.wav", seed=3)
    copy = tone(tmp_path / "copy.wav", seed=3)
    other = tone(tmp_path / "other.wav", seed=4)
    assert compare_files(fake_embedder, one, copy, PLAIN).is_one_file
    assert compare_files(fake_embedder, one, one, PLAIN).is_one_file
    assert not compare_files(fake_embedder, one, other, PLAIN).is_one_file


def test_a_silent_file_is_named(tmp_path, tone, fake_embedder):
    one, silent = tone(tmp_path / "one.wav"), tone(tmp_path / "silent.wav", seed=-1)
    with pytest.raises(SilentFileError, match=r"silent\.wav: silent") as told:
        compare_files(fake_embedder, one, silent, PLAIN)
    assert told.value.path == silent


def test_a_bad_file_is_told_by_the_embedder(tmp_path, tone, fake_embedder):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    with pytest.raises(BadSoundError):
        compare_files(fake_embedder, tone(tmp_path / "one.wav"), bad, PLAIN)


def test_files_shorter_than_anything_are_compared(tmp_path, tone, fake_embedder):
    short = [tone(tmp_path / f"{k}.wav", seed=k, duration_s=0.5) for k in range(2)]
    agreement = compare_files(fake_embedder, *short, PLAIN)
    assert agreement.alignment_score == 0
    assert agreement.spans == ()


def test_rows_hold_plain_values(compared, rng):
    tune = a_tune(rng)
    agreement = compared(tune=tune, again=np.roll(tune, 2, axis=0))
    row = agreement_row(agreement)
    assert set(row) == set(Agreement.__dataclass_fields__)
    assert row["first"] == str(agreement.first)
    assert row["spans"][0]["start_s"] == agreement.spans[0].start_s
    table = agreement_table(agreement)
    assert table["semitones"] == "+2"
    assert table["follows"][0].startswith("first 0:0")
    assert table["recording"] == "the same"
