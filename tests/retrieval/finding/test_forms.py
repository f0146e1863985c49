"""Tracks that are one recording, whatever encodes it."""

import shutil
import wave

import av
import numpy as np
import pytest

from indexer import Catalog, build
from pemr import load_embedder
from retrieval import PLAIN, duplicate_rows, find_duplicates
from retrieval.finding import forms
from tests.test_cli import melody, write_wav

TUNES = [[60, 64, 67, 65, 64, 62, 69, 67, 60, 65, 62, 71] * 8, [72, 70, 67, 63, 65, 68, 60] * 12]


def encode(source, target, codec, start=0):
    """Encode a part of a WAV file anew."""
    with wave.open(str(source)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")[start:]
    with av.open(str(target), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        size = stream.frame_size or 1024
        cut = av.AudioResampler(stream.format.name, "mono", 16_000, frame_size=size)
        for one in [*cut.resample(frame), None]:
            container.mux(stream.encode(one))


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """One recording as WAV, twice, as FLAC, as MP3 and cut; its cover; another tune."""
    folder = tmp_path_factory.mktemp("forms")
    music = folder / "music"
    music.mkdir()
    write_wav(music / "a.wav", melody(TUNES[0]))
    shutil.copy(music / "a.wav", music / "b copy.wav")
    encode(music / "a.wav", music / "c.flac", "flac")
    encode(music / "a.wav", music / "d.mp3", "libmp3lame", 16_000 * 6)
    write_wav(music / "e cover.wav", melody(TUNES[0], transposition=3, note_s=0.45, seed=1))
    write_wav(music / "f other.wav", melody(TUNES[1], seed=2))
    encoder = load_embedder("cover", "cpu")
    with Catalog.write(folder / "catalog", encoder) as catalog:
        list(build(catalog, encoder, [music]))
    return folder / "catalog"


def names(groups):
    return [[track.path.name for track in group] for group in groups]


def test_every_form_of_a_recording_is_found_and_no_cover(indexed):
    with Catalog.open(indexed) as catalog:
        groups = find_duplicates(catalog, PLAIN)
        assert names(groups) == [["a.wav", "b copy.wav", "c.flac", "d.mp3"]]
        assert [row["audio"] for row in duplicate_rows(groups)] == [1, 1, 2, 3]


def test_copies_alone_are_found_without_a_look_at_any_sound(indexed, monkeypatch):
    monkeypatch.setattr(forms, "_compared", None)
    with Catalog.open(indexed) as catalog:
        assert names(find_duplicates(catalog, PLAIN, is_exact=True)) == [["a.wav", "b copy.wav"]]


def test_only_tracks_that_are_near_are_compared(filled, tmp_path, rng, monkeypatch):
    """Strangers cost nothing but a look at the list of nearest."""
    tracks = [rng.standard_normal((5, 64)) for _ in range(30)]
    unit = [(t / np.linalg.norm(t, axis=1, keepdims=True)).astype(np.float32) for t in tracks]
    catalog, _ = filled(tmp_path / "catalog", unit)
    monkeypatch.setattr(forms, "_is_form", None)
    seen = []
    with catalog:
        assert find_duplicates(catalog, PLAIN, watch=lambda told: map(seen.append, told)) == []
    assert len(seen) == 30


def test_an_empty_catalog_has_no_duplicates(catalog):
    assert find_duplicates(catalog, PLAIN) == []
