"""What tests of ranking share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import AudioFile, Catalog, Embedded, KeptRecording
from indexer.tags import Tags


def _filled(folder: Path, tracks: Sequence[NDArray[np.float32]]) -> tuple[Catalog, list[int]]:
    """Make a catalog of tracks that are nothing but their segments' vectors (S, D)."""
    catalog = Catalog.open(folder, "cover@0", tracks[0].shape[1], create=True)
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
def filled() -> Callable[[Path, Sequence[NDArray[np.float32]]], tuple[Catalog, list[int]]]:
    return _filled
