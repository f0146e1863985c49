"""What a file says of its own length, and whether it keeps it."""

import av
import numpy as np
import pytest

from pemr.signal import media
from pemr.signal.audio import blocks

FORMATS = [
    ("a.wav", "pcm_s16le"), ("a.w64", "pcm_s16le"), ("a.caf", "pcm_s16be"), ("a.aiff", "pcm_s16be"),
    ("a.au", "pcm_s16be"), ("b.wav", "adpcm_ms"), ("a.flac", "flac"), ("a.mp3", "libmp3lame"),
    ("a.opus", "libopus"), ("a.tta", "tta"), ("a.wv", "wavpack"),
]  # fmt: skip


def encoded(path, codec, duration_s=6.0):
    """Write a tone with a little noise, which no codec makes nothing of."""
    rate = 48_000 if codec == "libopus" else 44_100
    time = np.arange(round(duration_s * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * 440 * time) + np.random.default_rng(0).normal(
        0, 0.02, len(time)
    )
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = rate
        cut = av.AudioResampler(stream.format.name, "mono", rate, stream.frame_size or 1024)
        for piece in (*cut.resample(frame), *cut.resample(None), None):
            out.mux(stream.encode(piece))
    return path


def told_of(path):
    told = media.Told()
    list(blocks(path, told=told))
    return told


@pytest.mark.parametrize(("name", "codec"), FORMATS)
def test_a_whole_file_keeps_its_promise_and_half_of_it_does_not(tmp_path, name, codec):
    path = encoded(tmp_path / name, codec)
    told = told_of(path)
    assert told.damage == ""
    assert told.promised_s == pytest.approx(6.0, abs=0.1)
    assert told.decoded_s == pytest.approx(6.0, abs=0.1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    told = told_of(path)
    assert told.decoded_s < 3.5
    assert told.damage.startswith(("ends after", "reading stopped after"))


def test_a_wav_of_unknown_length_promises_nothing_more(tmp_path):
    path = encoded(tmp_path / "a.wav", "pcm_s16le")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert told_of(path).damage == ""
