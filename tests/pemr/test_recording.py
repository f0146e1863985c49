import numpy as np
import pytest

from pemr.errors import UnfitEmbedderError
from pemr.signal.frontend import pack, semitone_spectrogram
from pemr.signal.recording import Recording, record

RATE = 16_000


@pytest.fixture
def sound(rng):
    """A minute of notes, of which the middle third is silent."""
    times = np.arange(RATE) / RATE
    tones = [np.sin(2 * np.pi * 110 * 2 ** (n / 12) * times) for n in rng.integers(0, 36, 60)]
    waveform = 0.3 * np.concatenate(tones).astype(np.float32)
    waveform[20 * RATE : 40 * RATE] = 0
    return waveform


def test_a_recording_holds_what_its_sound_becomes(sound):
    recording = record([sound[: 17 * RATE], sound[17 * RATE : -500]])
    np.testing.assert_array_equal(recording.spectrogram, pack(semitone_spectrogram(sound[:-500])))
    assert recording.duration_s == pytest.approx(60 - 500 / RATE)
    assert {name: part.shape for name, part in recording.parts.items()} == {
        "spectrogram": (84, 300),
        "chroma": (12, 300),
        "harmony": (36, 0),
    }


def test_no_sound_at_all_is_a_recording_without_frames():
    recording = record([])
    assert recording.duration_s == 0
    assert recording.is_heard.shape == (0,)
    assert recording.at_tempo(1.25).is_heard.shape == (0,)


def test_chroma_and_spectrogram_agree_on_what_is_heard(sound):
    recording = record([sound])
    by_spectrogram = Recording(
        duration_s=recording.duration_s, spectrogram=recording.spectrogram
    ).is_heard
    np.testing.assert_array_equal(recording.is_heard, by_spectrogram)
    assert recording.is_heard[:99].all()
    assert not recording.is_heard[102:198].any()
    assert recording.is_heard[201:299].all()


@pytest.mark.parametrize(("level_db", "is_heard"), [(-61.0, False), (-59.0, True)])
def test_a_frame_is_heard_from_minus_60_db(level_db, is_heard):
    spectrogram = pack(np.full((84, 3), level_db, np.float32))
    recording = Recording(duration_s=0.6, spectrogram=spectrogram)
    assert recording.is_heard.tolist() == [is_heard] * 3


def frames(n_rows, n_frames=50):
    return np.tile(np.arange(n_frames, dtype=np.uint8), (n_rows, 1))


@pytest.mark.parametrize(("tempo", "n_frames"), [(0.5, 100), (0.8, 62), (1.25, 40), (2.0, 25)])
def test_at_another_tempo_all_parts_are_stretched_alike(tempo, n_frames):
    recording = Recording(duration_s=10, spectrogram=frames(84), chroma=frames(12))
    played = recording.at_tempo(tempo)
    assert played.duration_s == 10 / tempo
    assert played.harmony.shape == (36, 0)
    np.testing.assert_array_equal(played.spectrogram[0], played.chroma[0])
    centres = (np.arange(n_frames) + 0.5) * tempo
    np.testing.assert_allclose(played.chroma[0] + 0.5, centres, atol=0.5)


def test_at_its_own_tempo_it_is_itself():
    recording = Recording(duration_s=10, harmony=frames(36))
    assert recording.at_tempo(1.0) is recording


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"spectrogram": frames(83)}, r"spectrogram should be uint8 of shape \(84, T\)"),
        ({"chroma": frames(12).astype(np.float32)}, "not float32"),
        ({"harmony": frames(36).ravel()}, "harmony should be"),
        ({"spectrogram": frames(84), "chroma": frames(12, 49)}, "differ in length"),
    ],
)
def test_parts_that_are_no_recording_are_refused(parts, told):
    with pytest.raises(ValueError, match=told):
        Recording(duration_s=10, **parts)


@pytest.mark.parametrize(
    ("reads", "part"),
    [("spectrogram", {"chroma": frames(12)}), ("chroma", {"spectrogram": frames(84)})],
)
def test_an_embedder_refuses_a_recording_without_the_part_it_reads(reads, part):
    from dataclasses import replace

    from pemr import load_embedder

    embedder = replace(load_embedder("ftm2d"), reads=reads)
    with pytest.raises(UnfitEmbedderError, match=f"reads the {reads} of a recording"):
        embedder.embed([embedder.restore(part)])
