"""What tests of the searched vectors share."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Tracks = list[tuple[int, NDArray[np.float32]]]


def _unit(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    drawn = rng.standard_normal(shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@pytest.fixture
def unit(rng: np.random.Generator) -> Callable[..., NDArray[np.float32]]:
    """Draw unit vectors of some shape."""
    return lambda *shape: _unit(rng, *shape)


@pytest.fixture
def drawn(rng: np.random.Generator) -> Callable[..., Tracks]:
    """Draw tracks of one to nine segments, with ids that have gaps."""

    def draw(n_tracks: int, dim: int = 8, first: int = 1) -> Tracks:
        ids = range(first, first + 3 * n_tracks, 3)
        return [(id_, _unit(rng, int(rng.integers(1, 10)), dim)) for id_ in ids]

    return draw
