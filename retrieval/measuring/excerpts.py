"""How well excerpts find each other: the segment-level protocols of CLEWS on our segments.

An excerpt of `tau` seconds is a run of consecutive segments that together last that long. When a
segment is longer than `tau`, the excerpt is the beginning of a segment, embedded anew as a
recording that ends there would be; otherwise a figure for 5 s would be that of a whole segment.

- *best match*: query and candidate are both cut into excerpts of `tau`, and the best pair of
  excerpts is the score of the two recordings.
- *random segment*: one excerpt of the query, drawn with a seed, is asked against whole
  recordings.

Three differences from the published protocol remain and count against comparing to the last
digit: excerpts begin where our segments do, silent segments are skipped (so an excerpt with a
pause spans more than `tau`), and a recording shorter than `tau` takes part as it is.

Letters: N performances, S segments, W segments of an excerpt, D embedding, F bins, T frames.

References
----------
.. [1] Serra, Araz, Bogdanov and Mitsufuji, "Supervised contrastive learning from weakly-labeled
   audio segments for musical version matching", ICML 2025, sections on segment-level evaluation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer import FRAME_RATE, Embedder, Reader, Recording
from retrieval.benchmarks.base import Benchmark
from retrieval.measuring.scorers import catalog_scorer
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.query import recording_of
from retrieval.ranking.ranking import PLAIN

Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]

TAUS_S = (5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 90.0)
PROTOCOLS = ("best-match", "random-segment")


@dataclass(frozen=True, kw_only=True)
class ExcerptScorer:
    """Excerpts of each performance, scored by one of the two protocols.

    Parameters
    ----------
    names : sequence of str
        Of the N performances.
    excerpts : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of what excerpts are made of.
    tracks : sequence of float32 arrays, each of shape (S, D)
        Unit vectors of whole recordings.
    n_segments : int
        W, how many consecutive rows of `excerpts` make one excerpt.
    protocol : str
        `best-match` or `random-segment`.
    seed : int, optional
        Of the draw of excerpts.
    """

    names: Sequence[str]
    excerpts: Sequence[Vectors]
    tracks: Sequence[Vectors]
    n_segments: int
    protocol: str
    seed: int = 0
    duration_s: None = None
    block_length: int = 8

    def score(self, queries: Ints, candidates: Ints) -> NDArray[np.floating]:
        """Score candidates for some queries, (B,) and (K,) to (B, K)."""
        if self.protocol == "best-match":
            return np.stack([self._best_match(int(query))[candidates] for query in queries])
        tracks = [self.tracks[candidate] for candidate in candidates]
        return np.stack([track_scores(self._drawn(int(query)), tracks) for query in queries])

    def transposition(self, query: int, candidate: int) -> None:
        """Answer None: excerpts are not aligned."""

    def is_copy(self, query: int, candidate: int) -> bool:  # noqa: ARG002 (as the others)
        """Answer False: excerpts are not aligned."""
        return False

    def _drawn(self, query: int) -> Vectors:
        excerpts = self.excerpts[query]
        rng = np.random.default_rng([self.seed, query])
        first = rng.integers(0, max(1, len(excerpts) - self.n_segments + 1))
        return excerpts[first : first + self.n_segments]

    def _best_match(self, query: int) -> NDArray[np.float64]:
        asked = self.excerpts[query]
        n_asked = min(self.n_segments, len(asked))
        cosines = asked @ self._joined.T  # (S, all segments)
        nearest = cosines.copy()  # of the W segments that begin at each
        for shift in range(1, self.n_segments):
            later = cosines[:, shift:]
            same = self._owner[shift:] == self._owner[:-shift]
            np.maximum(nearest[:, :-shift], later, out=nearest[:, :-shift], where=same)
        sums = np.cumsum(np.vstack([np.zeros((1, nearest.shape[1])), nearest]), axis=0)
        pairs = (sums[n_asked:] - sums[:-n_asked]) / n_asked  # (excerpts of the query, starts)
        best = np.where(self._is_start, pairs.max(axis=0), -np.inf)
        return np.maximum.reduceat(best, self._first)

    @cached_property
    def _joined(self) -> Vectors:
        return np.concatenate(list(self.excerpts))

    @cached_property
    def _lengths(self) -> Ints:
        return np.array([len(one) for one in self.excerpts])

    @cached_property
    def _owner(self) -> Ints:
        return np.repeat(np.arange(len(self._lengths)), self._lengths)

    @cached_property
    def _first(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self._lengths)[:-1]])

    @cached_property
    def _is_start(self) -> NDArray[np.bool_]:
        """Whether an excerpt may begin at each segment: the last W - 1 of a recording are out."""
        place = np.arange(len(self._owner)) - self._first[self._owner]
        return place <= np.maximum(self._lengths - self.n_segments, 0)[self._owner]


def excerpt_scorers(
    catalog: Reader, embedder: Embedder, benchmark: Benchmark, taus_s: Sequence[float] = TAUS_S
) -> Iterator[tuple[float, ExcerptScorer]]:
    """Make a scorer for each length of excerpts and each protocol.

    Parameters
    ----------
    catalog : Reader
        Made of the benchmark's audio.
    embedder : Embedder
        The catalog's; it embeds excerpts that are shorter than a segment.
    benchmark : Benchmark
        Of audio.
    taus_s : sequence of float, optional
        Lengths of excerpts in seconds.

    Yields
    ------
    float, ExcerptScorer
        The length, and the scorer for `evaluate`; both protocols in turn.
    """
    whole = catalog_scorer(catalog, benchmark, PLAIN.without("alignment"))
    tracks = {track.path: track for track in catalog.tracks()}
    paths = {p.name: p.path for p in benchmark.present if p.path is not None}
    bounds = [catalog.segments(tracks[paths[name]].id) for name in whole.names]
    for tau_s in taus_s:
        n_segments = excerpt_length(bounds, tau_s)
        excerpts: Sequence[Vectors] = whole.embeddings
        if not n_segments:
            excerpts = [
                short_embeddings(
                    embedder, recording_of(catalog, embedder, tracks[paths[name]]), tau_s
                )
                for name in whole.names
            ]
        for protocol in PROTOCOLS:
            yield (
                tau_s,
                ExcerptScorer(
                    names=whole.names,
                    excerpts=excerpts,
                    tracks=whole.embeddings,
                    n_segments=max(1, n_segments),
                    protocol=protocol,
                ),
            )


def excerpt_length(bounds: Sequence[NDArray[np.float64]], tau_s: float) -> int:
    """Count the consecutive segments that last `tau_s` together.

    Parameters
    ----------
    bounds : sequence of float64 arrays, each of shape (S, 2)
        Start and end of each segment in seconds.
    tau_s : float
        Length of an excerpt in seconds.

    Returns
    -------
    int
        W; 0 when one segment is longer than that.

    Examples
    --------
    Segments of 20 s every 10 s; three of them last 40 s:

    >>> bounds = np.array([[0.0, 20], [10, 30], [20, 40], [30, 50]])
    >>> [excerpt_length([bounds], tau_s) for tau_s in (10, 20, 30, 40)]
    [0, 1, 2, 3]
    """
    segment_s = max(float((one[:, 1] - one[:, 0]).max()) for one in bounds if len(one))
    hops = np.concatenate([np.diff(one[:, 0]) for one in bounds])
    hop_s = float(np.median(hops)) if len(hops) else segment_s
    return 1 + int((tau_s - segment_s) / hop_s + 1e-6) if tau_s >= segment_s - 1e-6 else 0


def short_embeddings(embedder: Embedder, recording: Recording, tau_s: float) -> Vectors:
    """Embed the beginning of every segment of a recording, as if the recording ended there.

    Parameters
    ----------
    embedder : Embedder
        Whose segments are longer than what is to be heard.
    recording : Recording
        From `embedder.listen` or `embedder.restore`.
    tau_s : float
        How much of each segment is heard, in seconds.

    Returns
    -------
    float32 array, shape (S, D)
        Unit vectors; none for a segment that begins with silence.
    """
    n_frames = max(1, round(tau_s * FRAME_RATE))
    excerpts = []
    for start in np.rint(embedder.spans_s(recording)[:, 0] * FRAME_RATE).astype(int):
        frames = slice(start, start + n_frames)
        excerpts.append(
            embedder.restore(
                {
                    "spectrogram": recording.spectrogram[:, frames],
                    "chroma": recording.chroma[:, frames],
                    "harmony": recording.harmony[:, frames],
                }
            )
        )
    return np.concatenate([np.zeros((0, embedder.dim), np.float32), *embedder.embed(excerpts)])
