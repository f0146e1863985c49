"""What tests of several rooms share."""

import hashlib
import os
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import Catalog


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


@dataclass(frozen=True)
class FakeBatch:
    segments: NDArray[np.float32]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    chroma: NDArray[np.uint8]
    duration_s: float


class FakeEmbedder:
    """Meets the indexer's protocol for WAV files, without any signal processing.

    A segment is one second of samples; its embedding is drawn from a seed that is a hash of them,
    so equal sound has equal vectors whatever the batch. Files that are no WAV are bad.
    """

    sample_rate = 8000
    file_errors = (BadSoundError,)

    def __init__(self, name: str = "fake", dim: int = 8) -> None:
        self.name = name
        self.dim = dim
        self.streamed: list[Path] = []

    def stream(self, source: Path) -> Iterator[FakeBatch]:
        self.streamed.append(source)
        try:
            with source.open("rb") as file, wave.open(file, "rb") as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
        except (wave.Error, EOFError) as error:
            raise BadSoundError(source, "no sound in here") from error
        for first in range(0, len(samples), 2 * self.sample_rate):
            yield self._batch(samples[first : first + 2 * self.sample_rate], first)

    def _batch(self, samples: NDArray[np.int16], first: int) -> FakeBatch:
        n_segments = -(-len(samples) // self.sample_rate)
        padded = np.zeros(n_segments * self.sample_rate, np.float32)
        padded[: len(samples)] = samples
        segments = padded.reshape(n_segments, 1, self.sample_rate)
        starts = (first + self.sample_rate * np.arange(n_segments)) / self.sample_rate
        ends = np.minimum(starts + 1, (first + len(samples)) / self.sample_rate)
        sounding = segments.any(axis=(1, 2))
        chroma = np.tile((np.abs(padded[:12]) % 256).astype(np.uint8)[:, None], 5 * n_segments)
        return FakeBatch(
            segments[sounding],
            starts[sounding],
            ends[sounding],
            chroma,
            len(samples) / self.sample_rate,
        )

    def embed_at(self, batches: list[FakeBatch], tempo: float) -> NDArray[np.float32]:
        return self.embed(np.concatenate([batch.segments * tempo for batch in batches]))

    def embed(self, segments: NDArray[np.float32]) -> NDArray[np.float32]:
        seeds = [
            hashlib.blake2b(one.tobytes(), key=self.name.encode()).digest() for one in segments
        ]
        drawn = [np.random.default_rng(list(seed)).standard_normal(self.dim) for seed in seeds]
        return np.array([one / np.linalg.norm(one) for one in drawn], dtype=np.float32)


@pytest.fixture
def fake_embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def catalog(tmp_path: Path, fake_embedder: FakeEmbedder) -> Iterator[Catalog]:
    """An empty catalog of the fake embedder, open for writing."""
    with Catalog.open(
        tmp_path / "catalog", fake_embedder.name, fake_embedder.dim, create=True
    ) as opened:
        yield opened
