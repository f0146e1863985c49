"""What tests of ranking share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import AudioFile, Catalog, Embedded, KeptRecording, Writer
from indexer.tags import Tags


def _filled(folder: Path, tracks: Sequence[NDArray[np.float32]]) -> tuple[Writer, list[int]]:
    """Make a catalog of tracks that are nothing but their segments' vectors (S, D)."""
    catalog = Catalog.write(folder, SimpleNamespace(name="cover@0", dim=tracks[0].shape[1]))
    ids = []
    for place, vectors in enumerate(tracks):
        starts = np.arange(len(vectors), dtype=np.float64) * 10
        embedded = Embedded(
            vectors=vectors,
            spans_s=np.stack([starts, starts + 20], axis=1),
            recording=KeptRecording.without_frames(20.0),
        )
        file = AudioFile(Path("/music") / f"{place}.wav", 1, 1, f"hash {place}")
        ids.append(catalog.store(file, Tags("", artist="", album=""), embedded))
    return catalog, ids


@pytest.fixture
def filled() -> Callable[[Path, Sequence[NDArray[np.float32]]], tuple[Writer, list[int]]]:
    return _filled


def _song(rng: np.random.Generator, n_chords: int, frames_per_chord: int = 5) -> NDArray[np.uint8]:
    """Chroma of random triads of C major, each held for a second, with a little noise on top."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    degrees = rng.choice(7, n_chords, p=[0.3, 0.1, 0.05, 0.2, 0.2, 0.1, 0.05])
    chords = np.zeros((12, n_chords), dtype=np.int64)
    for third, loudness in enumerate((220, 150, 180)):
        chords[scale[(degrees + 2 * third) % 7], np.arange(n_chords)] = loudness
    chords[rng.choice(scale, n_chords), np.arange(n_chords)] = 220  # a melody
    frames = np.repeat(chords, frames_per_chord, axis=1)
    return (frames + rng.integers(0, 30, frames.shape)).astype(np.uint8)


@pytest.fixture
def song() -> Callable[..., NDArray[np.uint8]]:
    return _song
