"""Files are written with PyAV or as raw WAV, so that what they hold is known."""

import os
import struct
import zipfile

import av
import numpy as np
import pytest

from pemr.errors import NoAudioStreamError, UnreadableAudioError
from pemr.signal import audio
from pemr.signal.media import Told, frames, has_sane_clock

RATE = 16_000


def sine(duration_s, sample_rate=44_100, frequency_hz=440.0, level=0.5):
    times = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def write(path, channels, codec, *, sample_rate=44_100, layout="stereo", sample_format="fltp"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        stream.format = sample_format
        stream.bit_rate = 128_000
        resampler = av.AudioResampler(sample_format, layout, sample_rate)
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate = sample_rate
        frame.pts = 0
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def write_wav(path, samples, *, sample_rate=RATE, is_float=False):
    """Write (C, L) samples of any NumPy type as WAV; no encoder stands between."""
    payload = np.ascontiguousarray(samples.T).tobytes()
    width = samples.dtype.itemsize
    n_channels = len(samples)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(payload), b"WAVE", b"fmt ", 16, 3 if is_float else 1, n_channels),
        *(sample_rate, sample_rate * n_channels * width, n_channels * width, width * 8),
        *(b"data", len(payload)),
    )
    path.write_bytes(header + payload)
    return path


def loudest_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return np.argmax(spectrum) * RATE / len(waveform)


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "sample_rate"),
    [
        ("a.mp3", "libmp3lame", "fltp", 44_100),
        ("a.flac", "flac", "s16", 44_100),
        ("a.ogg", "libopus", "flt", 48_000),
        ("a.opus", "libopus", "flt", 48_000),
        ("a.m4a", "aac", "fltp", 44_100),
        ("a.aac", "aac", "fltp", 44_100),
        ("a.wma", "wmav2", "fltp", 44_100),
        ("a.aiff", "pcm_s16be", "s16", 44_100),
        ("a.wav", "pcm_u8", "u8", 11_025),
        ("a.wav", "pcm_s16le", "s16", 8_000),
        ("a.wav", "pcm_s24le", "s32", 96_000),
        ("a.wav", "pcm_s32le", "s32", 44_056),
        ("a.wav", "pcm_f32le", "flt", 22_050),
        ("a.wav", "pcm_f64le", "dbl", 37_800),
        ("a.mp4", "aac", "fltp", 44_100),
        ("a.mkv", "flac", "s16", 44_100),
        ("a.webm", "libopus", "flt", 48_000),
    ],
)
def test_every_format_decodes_to_the_tone_it_holds(
    tmp_path, name, codec, sample_format, sample_rate
):
    channels = np.stack([sine(2.0, sample_rate)] * 2)
    path = write(
        tmp_path / name, channels, codec, sample_rate=sample_rate, sample_format=sample_format
    )
    waveform = audio.load(path)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    assert loudest_hz(waveform) == pytest.approx(440, abs=1)
    assert np.std(waveform[4000:-4000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_blocks_join_to_the_whole_waveform_whatever_their_length(tmp_path, rng):
    noise = rng.uniform(-0.5, 0.5, (2, 5 * 44_100 + 17)).astype(np.float32)
    noise[1, 100_000:] = -noise[0, 100_000:]
    path = write(tmp_path / "a.wav", noise, "pcm_f32le", sample_format="flt")
    short = list(audio.blocks(path, block_s=1))
    assert [len(block) for block in short[:-1]] == [RATE] * (len(short) - 1)
    assert len(short[-1]) > 0
    np.testing.assert_array_equal(np.concatenate(short), audio.load(path))


def test_opposite_phase_does_not_cancel(tmp_path):
    left = sine(3.0, RATE)
    waveform = audio.load(write_wav(tmp_path / "a.wav", np.stack([left, -left]), is_float=True))
    assert np.std(waveform) == pytest.approx(np.std(left), rel=0.01)


def test_opposite_phase_in_one_passage_leaves_the_rest_as_it_was(tmp_path):
    left = sine(3.0, RATE)
    right = left.copy()
    right[RATE : 2 * RATE] *= -1
    waveform = audio.load(write_wav(tmp_path / "a.wav", np.stack([left, right]), is_float=True))
    np.testing.assert_allclose(waveform, left, atol=1e-3)


def test_a_voice_in_the_middle_of_wide_stereo_is_kept(tmp_path, rng):
    voice, wide = sine(2.0, RATE), rng.normal(0, 0.1, 2 * RATE).astype(np.float32)
    channels = np.stack([voice + wide, voice - wide])
    waveform = audio.load(write_wav(tmp_path / "a.wav", channels, is_float=True))
    np.testing.assert_allclose(waveform, voice, atol=1e-3)


@pytest.mark.parametrize("n_channels", [1, 3, 4, 6, 8, 16])
def test_any_number_of_channels_is_mixed_down(tmp_path, n_channels):
    samples = np.stack([sine(1.0, RATE)] * n_channels)
    waveform = audio.load(write_wav(tmp_path / "a.wav", samples, is_float=True))
    assert len(waveform) == RATE
    assert loudest_hz(waveform) == pytest.approx(440, abs=1)


def test_samples_that_are_no_numbers_become_silence(tmp_path):
    samples = sine(1.0, RATE)[None]
    samples[0, 100:110] = np.nan
    samples[0, 5000] = np.inf
    samples[0, 9000] = 1e30
    waveform = audio.load(write_wav(tmp_path / "a.wav", samples, is_float=True))
    assert np.isfinite(waveform).all()
    assert np.abs(waveform).max() <= 1


def test_a_gap_in_the_time_stamps_is_filled_with_silence(tmp_path):
    path = tmp_path / "a.mkv"
    tone = sine(1.0, RATE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start_s in (0, 3):
            frame = av.AudioFrame.from_ndarray(
                (tone[None] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = RATE, start_s * RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    waveform = audio.load(path)
    assert len(waveform) == pytest.approx(4 * RATE, abs=40)
    assert np.abs(waveform[RATE + 50 : 3 * RATE - 50]).max() < 1e-3
    assert np.std(waveform[3 * RATE + 50 :]) == pytest.approx(np.std(tone), rel=0.02)


def test_of_several_sound_tracks_the_default_is_taken(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, frequency_hz in zip(streams, (440.0, 880.0), strict=True):
            samples = (sine(1.0, RATE, frequency_hz)[None] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert loudest_hz(audio.load(path)) == pytest.approx(880, abs=1)


def test_a_truncated_mp3_gives_what_is_left(tmp_path, caplog):
    channels = np.stack([sine(10.0)] * 2)
    path = write(tmp_path / "a.mp3", channels, "libmp3lame")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 11])
    waveform = audio.load(path)
    assert len(waveform) == pytest.approx(5 * RATE, rel=0.1)
    assert "ends after" in caplog.text


def test_a_video_without_sound_has_no_audio_stream(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for _ in range(5):
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(NoAudioStreamError, match="no audio stream"):
        audio.load(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"a list of songs\n" * 50, "not a readable audio file|nothing in it can be decoded"),
        (bytes(5000), "not a readable audio file|nothing in it can be decoded"),
    ],
    ids=["zero bytes", "text", "zeros"],
)
def test_what_is_not_sound_is_unreadable(tmp_path, content, reason):
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError, match=reason) as caught:
        audio.load(path)
    assert caught.value.path == path


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UnreadableAudioError, match="no such file"):
        audio.load(tmp_path / "a.mp3")


def test_a_folder_is_unreadable(tmp_path):
    with pytest.raises(UnreadableAudioError, match=r"folder|not a readable"):
        audio.load(tmp_path)


@pytest.mark.parametrize(
    "name", ["a b.wav", 'it\'s "q".wav', "🎵.wav", "http:x.wav", "%03d.wav", "-i.wav", "\udcff.wav"]
)
def test_odd_names_are_only_names(tmp_path, name):
    path = write_wav(tmp_path / name, sine(1.0, RATE)[None], is_float=True)
    assert len(audio.load(path)) == RATE


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "sample_rate"),
    [
        ("a.wav", "adpcm_ima_wav", "s16p", 22_050),
        ("a.wav", "adpcm_ms", "s16", 22_050),
        ("a.wv", "wavpack", "s16p", 44_100),
        ("a.ac3", "ac3", "fltp", 48_000),
        ("a.m4a", "alac", "s16p", 44_100),
        ("a.mp2", "mp2", "s16", 44_100),
        ("a.wma", "wmav2", "fltp", 44_100),
        ("a.tta", "tta", "s16", 44_100),
        ("a.aiff", "pcm_s16be", "s16", 44_100),
    ],
)
def test_what_is_decoded_lasts_as_long_as_what_was_written(
    tmp_path, name, codec, sample_format, sample_rate
):
    channels = np.tile(sine(6.0, sample_rate), (2, 1))
    path = write(
        tmp_path / name, channels, codec, sample_rate=sample_rate, sample_format=sample_format
    )
    assert len(audio.load(path)) / RATE == pytest.approx(6.0, abs=0.1)


def test_what_is_written_in_cases_lasts_as_long_as_it_should(shared_data, tmp_path):
    cases = shared_data.parent / "cases" / "cases.zip"
    if not cases.is_file():
        pytest.skip("no cases here")
    with zipfile.ZipFile(cases) as archive:
        archive.extractall(tmp_path)
    lasts_s = {"musepack.mpc": 12.0, "ima-adpcm.wav": 8.0, "pts-gaps-59s.mka": 1.0}
    for name, duration_s in lasts_s.items():
        assert len(audio.load(tmp_path / name)) / RATE == pytest.approx(duration_s, abs=0.1)
    with pytest.raises(UnreadableAudioError, match="not a readable audio file"):
        audio.load(tmp_path / "list.mp3")


def test_a_play_list_in_disguise_opens_nothing(tmp_path):
    write_wav(tmp_path / "secret.wav", (sine(1.0, RATE)[None] * 30_000).astype("<i2"))
    (tmp_path / "list.mp3").write_text("ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises(UnreadableAudioError, match="not a readable audio file"):
        audio.load(tmp_path / "list.mp3")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_with_a_name_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.mp3")
    with pytest.raises(UnreadableAudioError, match="not a regular file"):
        audio.load(tmp_path / "a.mp3")


def test_what_is_missing_of_a_file_is_told_and_logged_in_one_line(tmp_path, caplog):
    path = write(tmp_path / "a.flac", np.tile(sine(8.0), (2, 1)), "flac", sample_format="s16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    told = Told()
    decoded = np.concatenate(list(audio.blocks(path, told=told)))
    assert told.decoded_s == pytest.approx(len(decoded) / RATE)
    assert told.promised_s == pytest.approx(8.0, abs=0.01)
    assert [record.getMessage() for record in caplog.records] == [f"{path}: {told.damage}"]


def test_a_whole_file_is_not_called_damaged(tmp_path, caplog):
    path = write(tmp_path / "a.mp3", np.tile(sine(3.0), (2, 1)), "libmp3lame")
    told = Told()
    assert sum(map(len, audio.blocks(path, told=told))) / RATE == pytest.approx(3.0, abs=0.1)
    assert not told.damage
    assert not told.n_damaged
    assert told.n_packets
    assert not told.stopped
    assert not caplog.records


class OneWay:
    """A pipe: it can be read, and that is all."""

    name = "a pipe"

    def __init__(self, content, breaks_after=None):
        self.rest = content
        self.left = breaks_after

    def read(self, size):
        if self.left is not None and self.left <= 0:
            raise OSError("the pipe broke")
        some, self.rest = self.rest[:size], self.rest[size:]
        self.left = None if self.left is None else self.left - len(some)
        return some


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "sample_rate"),
    [
        ("a.mp3", "libmp3lame", "fltp", 44_100),
        ("a.flac", "flac", "s16", 44_100),
        ("a.ogg", "libopus", "flt", 48_000),
        ("a.aac", "aac", "fltp", 44_100),
        ("a.wav", "pcm_s16le", "s16", 44_100),
        ("a.mkv", "flac", "s16", 44_100),
    ],
)
def test_a_stream_decodes_to_what_its_file_holds(tmp_path, name, codec, sample_format, sample_rate):
    sound = np.stack([sine(3.0, sample_rate)] * 2)
    path = write(
        tmp_path / name, sound, codec, sample_rate=sample_rate, sample_format=sample_format
    )
    streamed = np.concatenate(list(audio.stream_blocks(OneWay(path.read_bytes()), block_s=1)))
    whole = audio.load(path)
    assert abs(len(streamed) - len(whole)) < 0.1 * RATE
    assert loudest_hz(streamed) == pytest.approx(440, abs=1)


def test_a_stream_that_breaks_off_ends_there(tmp_path, caplog):
    path = write_wav(tmp_path / "a.wav", (sine(30.0, RATE) * 32767).astype("<i2")[None])
    pipe = OneWay(path.read_bytes(), breaks_after=500_000)
    heard = sum(map(len, audio.stream_blocks(pipe, block_s=1))) / RATE
    assert 10 < heard < 20
    assert "a pipe: " in caplog.text


def test_a_stream_without_sound_is_refused(tmp_path):
    for content in (b"", b"no music", bytes(100_000)):
        with pytest.raises(UnreadableAudioError, match="a pipe"):
            list(audio.stream_blocks(OneWay(content)))


def test_a_stream_that_is_met_only_while_a_file_is_read_ends_nothing(tmp_path):
    """As in a transport stream with a flipped byte: PyAV looks for it behind the last packet."""
    path = tmp_path / "a.wav"
    write(path, sine(1.0)[None], "pcm_s16le", layout="mono", sample_format="s16")
    whole = audio.load(path)

    class Container:
        def __init__(self, container):
            self.container = container

        def demux(self, *streams):
            yield from self.container.demux(*streams)
            raise IndexError("list index out of range")

    with av.open(str(path)) as container:
        told = Told()
        decoded = list(frames(Container(container), container.streams.audio[0], told))
    assert (told.stopped, told.damage) == ("", "")
    assert sum(frame.samples for frame in decoded) / 44_100 == pytest.approx(len(whole) / RATE)
    assert has_sane_clock(path, 0)
    assert not has_sane_clock(path, 1)
