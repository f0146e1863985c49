"""What a catalog can be asked: its tracks, their segments, vectors and chroma, and what is near.

This module and `indexer.catalog` are the only ones that open a Session.

Letters: D embedding, S segments, N tracks with vectors, K tracks asked, T frames of chroma.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import repair, statements
from indexer.errors import NoCatalogError
from indexer.records import (
    NO_PITCHES,
    CatalogStats,
    Embedded,
    Ids,
    Known,
    Parts,
    Pitches,
    SkippedFile,
    Track,
    Vectors,
)
from indexer.scan import absolute
from indexer.schema import TrackRow
from indexer.searched import Searched

log = logging.getLogger(__name__)


class Reader:
    """The half of a `Catalog` that changes nothing.

    Parameters
    ----------
    path : Path
        The catalog's folder.
    engine : Engine
        Its database.
    keeps_snapshot : bool
        Whether to see the state of the first look for good, whatever is written meanwhile.
    """

    def __init__(self, path: Path, engine: Engine, *, keeps_snapshot: bool) -> None:
        self.path = path
        self._engine = engine
        self._snapshot = Session(engine) if keeps_snapshot else None
        with self._session() as session:
            about = statements.catalog_row(session)
        if about is None:
            self._release()
            raise NoCatalogError(path)
        self.embedder_name = about.embedder
        self.dim = about.dim
        self._generation = about.generation
        self._searched: Searched | None = None

    def _release(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
        self._engine.dispose()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        if self._snapshot is not None:
            yield self._snapshot
            return
        with Session(self._engine) as session:
            yield session

    def tracks(self) -> list[Track]:
        """List all tracks in the order in which they came."""
        with self._session() as session:
            return statements.tracks(session)

    def tracks_of(self, track_ids: Sequence[int]) -> list[Track]:
        """Look up some tracks, in the order asked.

        Raises
        ------
        KeyError
            If there is none of one of these ids.
        """
        with self._session() as session:
            found = statements.tracks_of(session, track_ids)
        return [found[track_id] for track_id in track_ids]

    def track(self, track_id: int) -> Track:
        """Look up one track.

        Raises
        ------
        KeyError
            If there is none of this id.
        """
        return self.tracks_of([track_id])[0]

    def find(self, path: Path) -> Track | None:
        """Look up the track of a file; None if the file is not in the catalog."""
        with self._session() as session:
            found = statements.tracks(session, TrackRow.path == os.fsencode(absolute(path)))
        return found[0] if found else None

    def find_audio(self, audio_hash: str) -> list[Track]:
        """List the tracks that hold exactly this audio; several where there are copies."""
        with self._session() as session:
            return statements.tracks(session, TrackRow.audio_hash == audio_hash)

    def embeddings(self, track_id: int) -> Vectors:
        """Read the unit vectors of a track's segments in order of time, float32 (S, D)."""
        return self.embeddings_of([track_id])[0]

    def embeddings_of(self, track_ids: Sequence[int]) -> list[Vectors]:
        """Read the unit vectors of some tracks' segments, float32 (S, D) each."""
        with self._session() as session:
            found = statements.vectors_of(session, track_ids, self.dim)
        nothing = np.zeros((0, self.dim), np.float32)
        return [found.get(track_id, nothing) for track_id in track_ids]

    def segments(self, track_id: int) -> NDArray[np.float64]:
        """Read start and end of a track's segments in seconds, float64 (S, 2)."""
        with self._session() as session:
            return statements.spans_s(session, track_id)

    def pitches_of(self, track_ids: Sequence[int]) -> list[Pitches]:
        """Read chroma and harmony of some tracks, without their spectrograms."""
        with self._session() as session:
            found = statements.pitches_of(session, track_ids)
        return [found.get(track_id, NO_PITCHES) for track_id in track_ids]

    def recordings_of(self, track_ids: Sequence[int]) -> list[Parts | None]:
        """Read what is kept of the sound of some tracks, for `Embedder.restore`.

        Parameters
        ----------
        track_ids : sequence of int
            Which tracks.

        Returns
        -------
        list of mapping or None
            In the same order; None for a track that was embedded before catalogs kept
            recordings, or whose recording is damaged: its file has to be decoded.
        """
        with self._session() as session:
            found = statements.parts_of(session, track_ids)
        return [
            parts
            if parts is not None and (parts["spectrogram"].size or not parts["chroma"].size)
            else None
            for parts in map(found.get, track_ids)
        ]

    def embedded(self, audio_hash: str) -> Embedded | None:
        """Recall what the embedder made of this audio; None if it has not seen it."""
        with self._session() as session:
            track_id = statements.embedded_track(session, audio_hash)
            return None if track_id is None else statements.embedded(session, track_id, self.dim)

    def labels(self) -> dict[int, str]:
        """Read the work of each labelled track by its id."""
        with self._session() as session:
            return statements.labels(session)

    def known(self) -> list[Known]:
        """List what is remembered of each track's file."""
        with self._session() as session:
            return statements.known(session)

    def skipped(self) -> list[SkippedFile]:
        """List the files that could not be indexed, each with its reason."""
        with self._session() as session:
            return statements.skipped(session)

    def roots(self) -> list[Path]:
        """List the folders that the user asked to index."""
        with self._session() as session:
            return statements.roots(session)

    def stats(self) -> CatalogStats:
        """Count what the catalog holds."""
        tracks = self.tracks()
        with self._session() as session:
            recordings_bytes, n_unrecorded = statements.recorded(session)
        return CatalogStats(
            n_unrecorded=n_unrecorded,
            recordings_bytes=recordings_bytes,
            embedder=self.embedder_name,
            dim=self.dim,
            generation=self._generation,
            n_tracks=len(tracks),
            n_segments=sum(track.n_segments for track in tracks),
            n_silent=sum(track.is_silent for track in tracks),
            n_missing=sum(track.is_missing for track in tracks),
            n_skipped=len(self.skipped()),
            n_labelled=len(self.labels()),
            n_damaged=sum(bool(track.damage) for track in tracks),
            duration_s=sum(track.duration_s for track in tracks),
            size_bytes=sum(file.stat().st_size for file in self.path.iterdir() if file.is_file()),
            roots=tuple(self.roots()),
        )

    # Searching

    def n_sounding(self) -> int:
        """Count the tracks that can be found: those with segments."""
        return len(self._loaded())

    def mean_length(self) -> float:
        """Average the number of segments of the tracks that sound; 1 where none does."""
        return self._loaded().mean_length

    def track_embeddings(self) -> tuple[Ids, Vectors]:
        """Return one unit vector per track: the direction of the mean of its segments.

        Returns
        -------
        ids : int64 array, shape (N,)
            Ascending; silent tracks are absent.
        vectors : float32 array, shape (N, D)
            In the same order.
        """
        return self._loaded().directions()

    def nearest(
        self,
        versions: Sequence[Vectors],
        n_tracks: int,
        *,
        only: Ids | None = None,
        without: Ids | None = None,
        is_exact: bool = False,
    ) -> Ids:
        """Name the tracks that score best as answers to a query; see `Searched.nearest`."""
        return self._loaded().nearest(
            versions, n_tracks, only=only, without=without, is_exact=is_exact
        )

    def gaining(self, versions: Sequence[Vectors], n_tracks: int, level: float) -> Ids:
        """Name the tracks of which a long recording holds most; see `Searched.gaining`."""
        return self._loaded().gaining(versions, n_tracks, level)

    def hubness(self, track_ids: Ids) -> NDArray[np.float64]:
        """Measure how near some tracks that sound are to the ten nearest to each, (K,)."""
        return self._loaded().neighbours(track_ids).hubness()

    def missing(self) -> Ids:
        """List the tracks whose file is gone."""
        with self._session() as session:
            return statements.missing(session)

    def _loaded(self) -> Searched:
        if self._searched is None:
            with self._session() as session:
                self._searched = self._read(session) or repair.rebuilt(
                    lambda: statements.all_vectors(session, self.dim),
                    statements.n_sounding(session),
                    self.dim,
                )
        return self._searched

    def _read(self, session: Session) -> Searched | None:
        """Read the vector file, and what came and went since it was made."""
        about = statements.catalog_row(session)
        if about is None or about.merged < 0:
            return None
        searched = repair.read(self.path, repair.Name(about.merged, about.token), self.dim)
        if searched is None:
            log.debug("vector file %d is absent or damaged, and made again", about.merged)
            return None
        searched.remove(statements.removed(session))
        for track_id, vectors in statements.all_vectors(session, self.dim, about.merged):
            searched.add(track_id, vectors)
        return searched
