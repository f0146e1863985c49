import io
import subprocess
import sys

import av
import numpy as np
import pytest

import pemr.embed
from pemr import embedder_names, load_embedder
from pemr.errors import AudioError, UnknownEmbedderError, UnreadableAudioError
from pemr.signal.recording import record

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


def test_a_file_becomes_a_recording_whose_segments_cover_it(embedder, tmp_path, rng):
    recording = embedder.listen(write(tmp_path / "a.wav", melody(rng, 300.0)[:-1000]))
    assert recording.duration_s == pytest.approx(300 - 1000 / RATE)
    assert recording.chroma.shape == (12, 1500)
    starts_s, ends_s = embedder.spans_s(recording).T
    assert starts_s[0] == 0
    assert ends_s[-1] == recording.duration_s
    assert (starts_s[1:] < ends_s[:-1]).all()
    assert ((ends_s - starts_s) <= embedder.segment_length / 5).all()
    (vectors,) = embedder.embed([recording])
    assert vectors.shape == (len(starts_s), embedder.dim)


def test_recordings_embedded_together_are_as_they_are_apart(embedder, rng):
    recordings = [record([melody(rng, duration_s)]) for duration_s in (30, 400, 45)]
    together = embedder.embed(recordings)
    assert len(together[1]) > embedder.batch_size
    for recording, vectors in zip(recordings, together, strict=True):
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
        np.testing.assert_allclose(vectors, embedder.embed([recording])[0], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_no_recordings_have_no_embeddings(embedder):
    assert embedder.embed([]) == []


def test_a_silent_recording_has_frames_but_no_segments(embedder):
    silence = record([np.zeros(30 * RATE, np.float32)])
    assert silence.chroma.shape == (12, 150)
    assert embedder.spans_s(silence).shape == (0, 2)
    assert embedder.embed([silence])[0].shape == (0, embedder.dim)
    assert embedder.embed([silence], tempo=0.8)[0].shape == (0, embedder.dim)


def test_a_recording_of_a_second_has_one_segment(embedder, rng):
    recording = record([melody(rng, 1.0)])
    assert embedder.spans_s(recording).tolist() == [[0.0, 1.0]]
    (vectors,) = embedder.embed([recording])
    assert np.isfinite(vectors).all()


def test_a_spectrogram_embedder_is_given_decibels(rng):
    given = []
    reader = pemr.embed.Embedder(
        name="mean",
        dim=84,
        reads="spectrogram",
        segment_length=50,
        hop_length=25,
        load_encoder=lambda: lambda segments: given.append(segments) or segments.mean(axis=2),
    )
    (vectors,) = reader.embed([record([melody(rng, 20)])])
    assert given[0].dtype == np.float32
    assert given[0].shape == (3, 84, 50)
    assert given[0].min() >= -100
    assert given[0].max() <= 0
    assert vectors.shape == (3, 84)
    assert reader.ranking == {}


def test_a_restored_recording_is_embedded_as_it_was(embedder, rng):
    recording = record([melody(rng, 47.0)])
    restored = embedder.restore({**recording.parts, "duration_s": recording.duration_s})
    assert restored.duration_s == recording.duration_s
    np.testing.assert_array_equal(*embedder.embed([recording]), *embedder.embed([restored]))


def test_chroma_alone_is_enough_for_a_chroma_embedder(embedder, rng):
    recording = record([melody(rng, 47.0)])
    alone = embedder.restore({"chroma": recording.chroma})
    assert alone.duration_s == 47.0
    np.testing.assert_array_equal(*embedder.embed([recording]), *embedder.embed([alone]))


def test_faster_is_what_a_faster_performance_gives(embedder, rng):
    recording = record([melody(rng, 60.0)])
    faster = recording.at_tempo(1.25)
    np.testing.assert_array_equal(
        *embedder.embed([recording], tempo=1.25), *embedder.embed([faster])
    )


def test_a_bad_file_raises_one_of_the_file_errors(embedder, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"")
    assert embedder.file_errors == (AudioError,)
    with pytest.raises(UnreadableAudioError):
        embedder.listen(path)


def test_what_is_heard_in_stretches_is_what_the_file_holds(embedder, rng, tmp_path, monkeypatch):
    monkeypatch.setattr("pemr.embed._STRETCH_LENGTH", 1)  # a minute
    path = tmp_path / "a.wav"
    write(path, melody(rng, 90.0))
    stretches = list(embedder.listen_on(path))
    streamed = list(embedder.listen_on(io.BytesIO(path.read_bytes())))
    assert [one.duration_s for one in stretches] == [60.0, 30.0]
    assert [one.chroma.shape[1] for one in stretches] == [300, 150]
    for one, other in zip(stretches, streamed, strict=True):
        np.testing.assert_array_equal(one.spectrogram, other.spectrogram)
    with pytest.raises(UnreadableAudioError, match="no sound"):
        next(embedder.listen_on(io.BytesIO(b"no music")))


def test_the_default_embedder_is_one_of_those_named():
    assert load_embedder().name.partition("@")[0] in embedder_names()


@pytest.mark.parametrize("name", ["chromaprint", "ftm2d@12345678", ""])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(UnknownEmbedderError, match="ftm2d"):
        load_embedder(name)


def test_name_and_dim_are_known_without_torch():
    script = (
        "import sys, pemr; e = pemr.load_embedder('ftm2d'); "
        "print(e.name, e.dim, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    name, dim, has_torch = done.stdout.split()
    assert (name, has_torch) == ("ftm2d@r1", "False")
    assert int(dim) > 0
