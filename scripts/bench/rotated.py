"""Real works, rotated at random, become the tracks of a catalog of any size.

A work is the segments of all its performances. Its mean is rotated in a space in which the means
of works are white, and what its segments differ by from that mean is rotated in a space in which
such differences are white; all performances of a work turn alike. So tracks differ as much as
real ones do from segment to segment, from cover to cover and from work to work, and none is a
copy of another.

Letters: D embedding, S segments, W works, V versions of a query (its own tempo, then others).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer import Catalog, Embedder
from retrieval.ranking.query import embed_at_tempos, recording_of

Vectors = NDArray[np.float32]
Performance = list[Vectors]
"""Segments at its own tempo, (S, D), then at the others; those only of tracks that are asked."""

N_PIECES = 3  # a track is this many turned copies of a performance, to be as long as a song
_N_TURNS = 24


def gather(
    catalogs: Sequence[Path], embedder: Embedder, tempos: Sequence[float], n_asked: int
) -> list[list[Performance]]:
    """Read the works of some catalogs whose tracks lie in a folder for each work.

    Parameters
    ----------
    catalogs : sequence of Path
        As `pemr evaluate` leaves them in the cache.
    embedder : Embedder
        The catalogs'.
    tempos : sequence of float
        At which the first `n_asked` tracks that have a cover are embedded too.
    n_asked : int
        How many tracks can be asked.

    Returns
    -------
    list of works
    """
    works: dict[Path, list[Performance]] = {}
    for folder in catalogs:
        with Catalog.open(folder, embedder.name) as catalog:
            tracks = [track for track in catalog.tracks() if track.n_segments]
            sizes = {t.path.parent: 0 for t in tracks}
            for track in tracks:
                sizes[track.path.parent] += 1
            share = n_asked // len(catalogs)
            for track in tracks:
                versions = [catalog.embeddings(track.id)]
                if sizes[track.path.parent] > 1 and share > 0:
                    recording = recording_of(catalog, embedder, track)
                    versions += embed_at_tempos(embedder, recording, tempos)
                    share -= 1
                works.setdefault(track.path.parent, []).append(versions)
    return list(works.values())


@dataclass(frozen=True)
class Space:
    """A space in which some vectors are white, and the turns in it."""

    into: Vectors  # (_N_TURNS, D, D): into it, and turned
    out: Vectors  # (_N_TURNS, D, D): turned again, and out of it

    @classmethod
    def of(cls, vectors: NDArray[np.floating], rng: np.random.Generator) -> "Space":
        """Whiten vectors (N, D) whose mean counts as zero."""
        values, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
        values = np.maximum(values, 1e-3 * values.max())
        dim = len(values)
        turns = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(2 * _N_TURNS)]
        into = np.stack([(axes / np.sqrt(values)) @ turn for turn in turns[:_N_TURNS]])
        out = np.stack([turn @ (axes * np.sqrt(values)).T for turn in turns[_N_TURNS:]])
        return cls(into.astype(np.float32), out.astype(np.float32))

    def turn(self, rng: np.random.Generator) -> "Turn":
        """Draw a rotation, from here to here, in the white space."""
        first, last = rng.integers(_N_TURNS, size=2)
        signs = rng.choice(np.array([-1, 1], np.float32), size=self.into.shape[1])
        return Turn(self.into[first] * signs, self.out[last])


@dataclass(frozen=True)
class Turn:
    """Two matrices (D, D), whose product is applied."""

    into: Vectors
    out: Vectors

    def __call__(self, vectors: Vectors) -> Vectors:
        """Turn vectors (N, D)."""
        return np.asarray((vectors @ self.into) @ self.out, np.float32)


@dataclass(frozen=True)
class Turned:
    """A performance of a work, turned; what it is at other tempos is turned when it is asked."""

    performance: Performance
    centre: Vectors  # of the work it was made from, (D,)
    mean: Vectors  # of the work it becomes, (D,)
    turns: Sequence[Turn]

    @property
    def n_versions(self) -> int:
        """At how many tempos there is one."""
        return len(self.performance)

    def at(self, version: int) -> Vectors:
        """Return unit vectors of the segments of a version, (S, D)."""
        apart = self.performance[version] - self.centre
        pieces = np.concatenate([self.mean + turn(apart) for turn in self.turns])
        return np.asarray(pieces / np.linalg.norm(pieces, axis=1, keepdims=True), np.float32)


def rotated(
    works: Sequence[Sequence[Performance]], rng: np.random.Generator
) -> Iterator[list[Turned]]:
    """Yield works without end, each a real one that was turned at random.

    Parameters
    ----------
    works : sequence of works
        From `gather`.
    rng : Generator
        Draws the works and the rotations.

    Yields
    ------
    list of Turned
        A performance each.
    """
    means = [np.concatenate([p[0] for p in work]).mean(axis=0) for work in works]
    centre = np.mean(means, axis=0)
    apart = [p[0] - mean for work, mean in zip(works, means, strict=True) for p in work]
    of_works = Space.of(np.stack(means) - centre, rng)
    of_segments = Space.of(np.concatenate(apart), rng)
    while True:
        chosen = int(rng.integers(len(works)))
        mean = centre + of_works.turn(rng)(means[chosen][None] - centre)[0]
        turns = [of_segments.turn(rng) for _ in range(N_PIECES)]
        yield [Turned(one, means[chosen], mean, turns) for one in works[chosen]]
