"""What tests of several rooms share."""

import hashlib
import logging
import os
import sqlite3
import tempfile
import wave
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from indexer import Address, Catalog, KeptRecording, Writer
from tests.engine import engine  # noqa: F401 (a fixture)
from tests.server import server  # noqa: F401 (a fixture)

settings.register_profile("suite", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def level_of_logging() -> None:
    """Log warnings in every test, whatever a command before it (or a wide fixture) has set."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep benchmarks that tests run out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEMR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    beside = Path(__file__).parents[1] / "../shared/data"
    folder = Path(os.environ.get("PEMR_DATA", beside)).resolve()
    if not folder.is_dir():
        pytest.skip("no data here; PEMR_DATA names the folder")
    return folder


def tone(path: Path, *, seed: int = 0, duration_s: float = 2.0, sample_rate: int = 8000) -> Path:
    """Write a mono WAV of three steady partials that depend on the seed; seed -1 is silence."""
    time = np.arange(round(duration_s * sample_rate)) / sample_rate
    pitches = 110 * 2 ** (np.random.default_rng(abs(seed)).integers(0, 36, 3) / 12)
    sound = np.zeros_like(time) if seed < 0 else np.sin(2 * np.pi * np.outer(pitches, time)).sum(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes((sound * 8000).astype("<i2").tobytes())
    return path


@pytest.fixture(name="tone")
def tone_fixture() -> Callable[..., Path]:
    return tone


class BadSoundError(Exception):
    """What the fake embedder says of a file that it cannot read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason


class FakeEmbedder:
    """Meets the indexer's protocol for WAV files, without any signal processing.

    A segment is one second of sound: five frames, drawn from a seed that is a hash of its samples.
    Its embedding is drawn likewise from the frames, so equal sound has equal vectors whatever the
    batch. Files that are no WAV are bad.
    """

    file_errors = (BadSoundError,)

    def __init__(self, name: str = "fake", dim: int = 8) -> None:
        self.name = name
        self.dim = dim
        self.ranking: dict[str, float] = {}
        self.heard: list[Path] = []

    def listen(self, source: Path) -> KeptRecording:
        self.heard.append(source)
        try:
            with source.open("rb") as file, wave.open(file, "rb") as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
                rate = sound.getframerate()
        except (wave.Error, EOFError) as error:
            raise BadSoundError(source, "no sound in here") from error
        seconds = [self._second(samples[at : at + rate]) for at in range(0, len(samples), rate)]
        frames = np.concatenate([np.zeros((96, 0), np.uint8), *seconds], axis=1)
        return KeptRecording(
            duration_s=len(samples) / rate,
            spectrogram=frames[:84],
            chroma=frames[84:],
            harmony=np.zeros((36, 0), np.uint8),
        )

    def listen_on(self, source: Path | BinaryIO) -> Iterator[KeptRecording]:
        """Hear a file, or a stream through a file of its own, in stretches of ten seconds."""
        if not isinstance(source, Path):
            with tempfile.NamedTemporaryFile(suffix=".wav") as held:
                held.write(source.read())
                held.flush()
                yield from self.listen_on(Path(held.name))
            return
        whole = self.listen(source)
        for at in range(0, whole.chroma.shape[1], 50):
            yield KeptRecording(
                duration_s=min(10.0, whole.duration_s - at / 5),
                spectrogram=whole.spectrogram[:, at : at + 50],
                chroma=whole.chroma[:, at : at + 50],
                harmony=whole.harmony,
            )

    @staticmethod
    def _second(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
        if not samples.any():
            return np.zeros((96, 5), np.uint8)
        return drawn_from(samples).integers(1, 256, (96, 5)).astype(np.uint8)

    def restore(self, arrays: Mapping[str, Any]) -> KeptRecording:
        n_frames = arrays["chroma"].shape[1]
        return KeptRecording(**{"duration_s": n_frames / 5, **arrays})

    def spans_s(self, recording: KeptRecording, *, tempo: float = 1.0) -> NDArray[np.float64]:  # noqa: ARG002 (equal at all)
        frames = recording.spectrogram
        starts = [at // 5 for at in range(0, frames.shape[1], 5) if frames[:, at : at + 5].any()]
        spans = np.stack([np.array(starts, float), np.array(starts) + 1.0], axis=1)
        return np.minimum(spans, recording.duration_s)

    def embed(
        self, recordings: Sequence[KeptRecording], *, tempo: float = 1.0
    ) -> list[NDArray[np.float32]]:
        return [self._embed(recording, tempo) for recording in recordings]

    def _embed(self, recording: KeptRecording, tempo: float) -> NDArray[np.float32]:
        key = f"{self.name} {tempo}".encode()
        vectors = np.zeros((0, self.dim))
        for start_s in self.spans_s(recording)[:, 0]:
            frames = recording.spectrogram[:, int(start_s) * 5 :][:, :5]
            vector = drawn_from(frames, key).standard_normal(self.dim)
            vectors = np.vstack([vectors, vector / np.linalg.norm(vector)])
        return vectors.astype(np.float32)


def drawn_from(content: NDArray[Any], key: bytes = b"") -> np.random.Generator:
    """Make a generator whose seed is a hash of an array."""
    return np.random.default_rng(list(hashlib.blake2b(content.tobytes(), key=key).digest()))


def forget_spectrograms(folder: Path) -> None:
    """Leave of a catalog's recordings what migration leaves in one from before there were any."""
    (folder / "catalog.sum").unlink(missing_ok=True)
    connection = sqlite3.connect(folder / "catalog.db")
    with connection:
        kept = connection.execute("SELECT track_id, chroma FROM recording").fetchall()
        for track_id, chroma in kept:
            connection.execute(
                "UPDATE recording SET spectrogram = x'', checksum = ? WHERE track_id = ?",
                (zlib.crc32(chroma), track_id),
            )
    connection.close()


@pytest.fixture
def fake_embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def catalog(
    tmp_path: Path, fake_embedder: FakeEmbedder, request: pytest.FixtureRequest
) -> Iterator[Writer]:
    """An empty catalog of the fake embedder, open for writing: in a folder, or on a server."""
    place: Path | Address = tmp_path / "catalog"
    if getattr(request, "param", "folder") == "server":
        place = request.getfixturevalue("server").emptied()
    with Catalog.write(place, fake_embedder) as opened:
        yield opened
