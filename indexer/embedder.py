"""What the indexer asks of an embedder: files to segments, segments to embeddings.

Letters: S segments, F frequency bins, T frames, D embedding.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class SegmentBatch(Protocol):
    """Some consecutive segments of one file, and the chroma of the stretch they came from."""

    @property
    def segments(self) -> NDArray[np.float32]:
        """Spectrogram segments, shape (S, F, T); silent ones are left out, so S may be 0."""

    @property
    def start_s(self) -> NDArray[np.float64]:
        """Start of each segment in seconds from the start of the file, shape (S,)."""

    @property
    def end_s(self) -> NDArray[np.float64]:
        """End of each segment in seconds, never past the end of the file, shape (S,)."""

    @property
    def chroma(self) -> NDArray[np.uint8]:
        """Chroma at 5 frames a second, shape (12, T); joined over batches it covers the file."""

    @property
    def duration_s(self) -> float:
        """How much audio of the file this batch newly covers; sums to the file's duration."""


class Embedder(Protocol):
    """Turns audio files into unit-length segment embeddings."""

    @property
    def name(self) -> str:
        """Preset and weights, as the catalog records it: `ftm2d`, or `cover@1a2b3c4d`."""

    @property
    def dim(self) -> int:
        """Length D of an embedding."""

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waveform that segments are made from, in Hz."""

    @property
    def file_errors(self) -> tuple[type[Exception], ...]:
        """What `stream` raises when one file is bad; the build skips that file and goes on."""

    def stream(self, source: Path) -> Iterator[SegmentBatch]:
        """Decode one file and yield its segments in order, in bounded memory."""

    def embed(self, segments: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed segments of any number of files: (S, F, T) to unit vectors (S, D)."""

    def embed_at(self, batches: Sequence[Any], tempo: float) -> NDArray[np.float32]:
        """Embed all batches of one file as if it were played faster by a factor: (S, D)."""
