"""Which tracks of a catalog occur in a mix of them, cut from the sound of their files."""

import io
import wave
from dataclasses import replace

import numpy as np
import pytest

from indexer import Catalog, build
from retrieval import Ranking, recognise
from retrieval.errors import EmptyCatalogError, SilentQueryError, UncalibratedError
from retrieval.finding.setlist import Entry, Setlist
from retrieval.ranking.calibrate import Calibration
from tests.conftest import BadSoundError, FakeEmbedder, tone

RANKING = Ranking(
    calibration=Calibration(
        intercept=-6.0, embedding=10.0, alignment=1.0, n_tracks=0.0, n_segments=0.0
    )
)
RATE = 8000


@pytest.fixture(scope="module")
def embedder():
    return FakeEmbedder(dim=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight tracks of half a minute, and two recordings that no catalog knows."""
    folder = tmp_path_factory.mktemp("set")
    for seed in range(8):
        tone(folder / "music" / f"{seed}.wav", seed=seed, duration_s=30)
    for seed in (20, 21):
        tone(folder / "other" / f"{seed}.wav", seed=seed, duration_s=30)
    return folder


@pytest.fixture(scope="module")
def catalog(folder, embedder):
    with Catalog.write(folder / "catalog", embedder) as opened:
        list(build(opened, embedder, [folder / "music"]))
        yield opened


def samples(path):
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2")


def mixed(path, *pieces):
    """Write pieces one after another: (path, start and end in seconds), or seconds of silence."""
    cut = [
        np.zeros(piece * RATE, "<i2")
        if isinstance(piece, int)
        else samples(piece[0])[piece[1] * RATE : piece[2] * RATE]
        for piece in pieces
    ]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.concatenate(cut).tobytes())
    return path


def told(setlist):
    """Start, end and file of each entry."""
    return [
        (entry.start_s, entry.end_s, entry.candidate and entry.candidate.path.stem)
        for entry in setlist.entries
    ]


def test_tracks_are_named_where_they_are_played(catalog, embedder, folder):
    music, other = folder / "music", folder / "other"
    pieces = [
        (music / "3.wav", 5, 25),
        (other / "20.wav", 0, 30),
        (music / "1.wav", 0, 30),
        (music / "6.wav", 10, 30),
        15,
    ]
    found = recognise(catalog, embedder, mixed(folder / "mix.wav", *pieces), RANKING)
    assert found.duration_s == 115
    assert [name for _, _, name in told(found)] == ["3", None, "1", "6", None]
    assert [entry.end_s for entry in found.entries] == pytest.approx([20, 50, 80, 100, 115], abs=2)
    first = found.entries[0].candidate
    assert first.spans[0].start_s - first.spans[0].query_start_s == pytest.approx(5, abs=0.5)
    last = found.entries[3].candidate
    assert last.spans[0].query_start_s == pytest.approx(80, abs=2)


def test_entries_follow_each_other_and_cover_all(catalog, embedder, folder):
    pieces = [(folder / "music" / f"{k}.wav", 0, 30) for k in (2, 2, 5)]
    found = recognise(catalog, embedder, mixed(folder / "mix.wav", *pieces), RANKING)
    assert [name for _, _, name in told(found)] == ["2", "5"]
    assert found.entries[0].start_s == 0
    assert found.entries[-1].end_s == found.duration_s


def test_a_stream_is_heard_as_its_file_is(catalog, embedder, folder):
    path = mixed(folder / "mix.wav", (folder / "music" / "4.wav", 0, 30))
    stream = io.BytesIO(path.read_bytes())
    assert told(recognise(catalog, embedder, stream, RANKING)) == told(
        recognise(catalog, embedder, path, RANKING)
    )


def test_nothing_unlikely_is_named(catalog, embedder, folder):
    path = mixed(folder / "mix.wav", (folder / "music" / "4.wav", 0, 30))
    strict = replace(RANKING, calibration=replace(RANKING.calibration, intercept=-100.0))
    assert told(recognise(catalog, embedder, path, strict)) == [(0, 30, None)]
    assert recognise(catalog, embedder, path, strict, min_probability=0.0).entries[0].candidate


def test_a_recording_of_strangers_is_unknown_throughout(catalog, embedder, folder):
    path = mixed(folder / "mix.wav", (folder / "other" / "21.wav", 0, 30))
    assert told(recognise(catalog, embedder, path, RANKING)) == [(0, 30, None)]


def test_a_catalog_of_one_is_enough(embedder, folder):
    with Catalog.write(folder / "one", embedder) as opened:
        list(build(opened, embedder, [folder / "music" / "7.wav"]))
        path = mixed(folder / "mix.wav", (folder / "music" / "7.wav", 0, 30), 10)
        assert told(recognise(opened, embedder, path, RANKING)) == [(0, 30, "7"), (30, 40, None)]


def test_a_recording_shorter_than_anything_is_answered(catalog, embedder, folder):
    path = mixed(folder / "mix.wav", (folder / "music" / "7.wav", 0, 1))
    assert recognise(catalog, embedder, path, RANKING).duration_s == 1


def test_what_cannot_be_asked_is_refused(catalog, embedder, folder):
    silent = mixed(folder / "silent.wav", 20)
    with pytest.raises(SilentQueryError):
        recognise(catalog, embedder, silent, RANKING)
    with pytest.raises(UncalibratedError, match="no calibration"):
        recognise(catalog, embedder, silent, Ranking())
    with pytest.raises(BadSoundError):
        recognise(catalog, embedder, io.BytesIO(b"no sound"), RANKING)


def test_an_empty_catalog_is_told(embedder, folder):
    with (
        Catalog.write(folder / "none", embedder) as opened,
        pytest.raises(EmptyCatalogError),
    ):
        recognise(opened, embedder, folder / "music" / "7.wav", RANKING)


def test_fields_are_what_they_say():
    entry = Entry(start_s=1.0, end_s=2.0, candidate=None)
    assert Setlist(duration_s=2.0, entries=(entry,)).entries[0].candidate is None
