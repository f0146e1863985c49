import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest

import pemr.embed
from pemr import embedder_names, load_embedder
from pemr.errors import AudioError, UnfitEmbedderError, UnknownEmbedderError, UnreadableAudioError

RATE = 16_000


@pytest.fixture
def embedder():
    return load_embedder("ftm2d")


def melody(rng, duration_s):
    """One random note after another, half a second each."""
    times = np.arange(RATE // 2) / RATE
    notes = rng.integers(48, 72, round(duration_s * 2))
    tones = [np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * times) for note in notes]
    return (0.3 * np.concatenate(tones)).astype(np.float32)


def write(path, waveform):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        samples = np.rint(waveform * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_becomes_segments_and_chroma_that_cover_it(embedder, tmp_path, rng):
    path = write(tmp_path / "a.wav", melody(rng, 300.0)[:-1000])
    batches = list(embedder.stream(path))
    duration_s = 300 - 1000 / RATE
    assert len(batches) > 1
    assert sum(batch.duration_s for batch in batches) == pytest.approx(duration_s)
    assert sum(batch.chroma.shape[1] for batch in batches) == 1500
    starts_s = np.concatenate([batch.start_s for batch in batches])
    ends_s = np.concatenate([batch.end_s for batch in batches])
    assert starts_s[0] == 0
    assert ends_s[-1] == pytest.approx(duration_s)
    assert (starts_s[1:] < ends_s[:-1]).all()
    assert ((ends_s - starts_s) <= embedder.segment_length / 5).all()


def test_segments_of_several_files_share_a_batch(embedder, rng):
    parts = [
        batch.segments
        for duration_s in (30, 45)
        for batch in embedder.cut([melody(rng, duration_s)])
    ]
    together = embedder.embed(np.concatenate(parts))
    apart = np.concatenate([embedder.embed(part) for part in parts])
    assert together.dtype == np.float32
    assert together.flags.c_contiguous
    assert together.shape == (sum(map(len, parts)), embedder.dim)
    np.testing.assert_allclose(together, apart, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)


def test_more_segments_than_a_batch_holds_are_embedded_in_order(embedder, rng):
    segments = rng.uniform(0, 1, (200, 12, embedder.segment_length)).astype(np.float32)
    np.testing.assert_allclose(
        embedder.embed(segments)[150], embedder.embed(segments[150:151])[0], atol=1e-6
    )


def test_no_segments_give_no_embeddings(embedder):
    nothing = np.zeros((0, 12, embedder.segment_length), np.float32)
    assert embedder.embed(nothing).shape == (0, embedder.dim)


def test_a_silent_file_yields_chroma_but_no_segments(embedder, tmp_path):
    batches = list(embedder.stream(write(tmp_path / "a.wav", np.zeros(30 * RATE, np.float32))))
    assert sum(len(batch.segments) for batch in batches) == 0
    assert sum(batch.chroma.shape[1] for batch in batches) == 150
    assert sum(batch.duration_s for batch in batches) == 30


def test_a_one_second_file_yields_one_segment(embedder, tmp_path, rng):
    batches = list(embedder.stream(write(tmp_path / "a.wav", melody(rng, 1.0))))
    segments = np.concatenate([batch.segments for batch in batches])
    assert segments.shape == (1, 12, embedder.segment_length)
    assert np.concatenate([batch.end_s for batch in batches]).tolist() == [1.0]
    assert np.isfinite(embedder.embed(segments)).all()


def test_a_spectrogram_embedder_is_given_decibels(rng):
    reader = pemr.embed.Embedder(
        name="mean",
        dim=84,
        reads="spectrogram",
        segment_length=50,
        hop_length=25,
        load_encoder=lambda: lambda segments: segments.mean(axis=2),
    )
    segments = next(reader.cut([melody(rng, 20)])).segments
    assert segments.shape[1:] == (84, 50)
    assert segments.min() >= -100
    assert segments.max() <= 0
    assert reader.embed(segments).shape == (len(segments), 84)


def test_chroma_alone_gives_the_embeddings_of_its_audio(embedder, tmp_path, rng):
    batches = list(embedder.stream(write(tmp_path / "a.wav", melody(rng, 47.0))))
    chroma = np.concatenate([batch.chroma for batch in batches], axis=1)
    expected = np.concatenate([embedder.embed(batch.segments) for batch in batches])
    np.testing.assert_allclose(embedder.embed_chroma(chroma), expected, atol=1e-6)
    assert embedder.embed_chroma(np.zeros((12, 500), np.uint8)).shape == (0, embedder.dim)


def test_chroma_alone_is_not_enough_for_a_spectrogram_embedder():
    reader = replace(load_embedder("ftm2d"), reads="spectrogram", name="cover@1")
    with pytest.raises(UnfitEmbedderError, match="'cover@1' reads audio and there is only chroma"):
        reader.embed_chroma(np.zeros((12, 500), np.uint8))


def test_a_bad_file_raises_one_of_the_file_errors(embedder, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"")
    assert embedder.file_errors == (AudioError,)
    with pytest.raises(UnreadableAudioError):
        list(embedder.stream(path))


def test_the_default_embedder_is_one_of_those_named():
    assert load_embedder().name.partition("@")[0] in embedder_names()


@pytest.mark.parametrize("name", ["chromaprint", "ftm2d@12345678", ""])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(UnknownEmbedderError, match="ftm2d"):
        load_embedder(name)


def test_name_dim_and_sample_rate_are_known_without_torch():
    script = (
        "import sys, pemr; e = pemr.load_embedder('ftm2d'); "
        "print(e.name, e.dim, e.sample_rate, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    name, dim, sample_rate, has_torch = done.stdout.split()
    assert (name, sample_rate, has_torch) == ("ftm2d@r1", "16000", "False")
    assert int(dim) > 0
