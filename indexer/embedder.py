"""What the indexer asks of an embedder: files to recordings, recordings to embeddings.

Letters: S segments, D embedding.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.records import Recording


class Embedder(Protocol):
    """Turns audio files into recordings, and these into unit-length segment embeddings.

    A recording is whatever its own `listen` or `restore` returned.
    """

    @property
    def name(self) -> str:
        """Preset and weights, as the catalog records it: `ftm2d`, or `cover@1a2b3c4d`."""

    @property
    def dim(self) -> int:
        """Length D of an embedding."""

    @property
    def ranking(self) -> Mapping[str, Any]:
        """What was measured to rank best with its embeddings; empty where nothing was."""

    @property
    def file_errors(self) -> tuple[type[Exception], ...]:
        """What `listen` raises when one file is bad; the build skips that file and goes on."""

    def listen(self, source: Path) -> Recording:
        """Decode one file, in bounded memory; called from any thread."""

    def listen_on(self, source: Path | BinaryIO) -> Iterator[Recording]:
        """Decode a file or a stream of any length: a recording of each stretch, in order."""

    def restore(self, arrays: Mapping[str, Any]) -> Recording:
        """Make a recording of what a catalog kept of it."""

    def embed(self, recordings: Sequence[Any], *, tempo: float = 1.0) -> list[NDArray[np.float32]]:
        """Embed recordings as if they were played faster by a factor: (S, D) each."""

    def spans_s(self, recording: Any, *, tempo: float = 1.0) -> NDArray[np.float64]:  # noqa: ANN401 (its own kind)
        """Tell where the segments of `embed` begin and end in seconds of the recording, (S, 2)."""
