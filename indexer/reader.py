"""What a catalog can be asked: its tracks, their segments, vectors and chroma, and what is near.

`catalog.db` holds everything; the vector file beside it is made from it (`indexer.repair`). This
module, `indexer.catalog` and `indexer.writer` are the only ones that open a Session.

Letters: D embedding, S segments, N tracks with vectors, K tracks asked, T frames of chroma.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import sounds, statements, states
from indexer.address import Place
from indexer.afar import changed, rows_of
from indexer.errors import ForeignEmbedderError, NoCatalogError
from indexer.hubs import Neighbours
from indexer.kept import files_of
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
from indexer.repair import Name
from indexer.scan import absolute
from indexer.schema import CatalogRow, TrackRow
from indexer.stores.index import VectorIndex

log = logging.getLogger(__name__)
Counted = TypeVar("Counted", list[Any], dict[int, str])


class _Look(threading.local):
    """What the present thread sees inside of `Reader.snapshot`."""

    session: Session | None = None
    searched: VectorIndex | None = None


class _Held(NamedTuple):
    """What was searched last, and of which state of the database that is."""

    state: Name
    generation: int
    searched: VectorIndex


class Reader:
    """An open catalog, as far as it can be asked; to be used in a `with` statement.

    It can be asked from several threads at once. Each question is answered from the state that was
    stored last, by whatever process; several are answered from one state inside of `snapshot`.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    engine : Engine
        Its database.
    """

    def __init__(self, place: Place, engine: Engine) -> None:
        self.place = place
        self._engine = engine
        with Session(engine) as session:
            about = statements.catalog_row(session)
            if about is None:
                raise NoCatalogError(place)
            self.embedder_name = about.embedder
            self.dim = about.dim
            self._noted = about.vectors
        self._files = files_of(place, engine, self._noted)
        self.path = self._files.folder
        """The folder of what can be made again: the catalog's own, or one of this machine's."""
        self._look = _Look()
        self._lock = threading.Lock()  # so that what is held only ever gets newer
        self._held: _Held | None = None

    def refuse_foreign(self, embedder_name: str | None) -> None:
        """Raise a `ForeignEmbedderError` if this was made by another embedder."""
        if embedder_name not in {None, self.embedder_name}:
            raise ForeignEmbedderError(self.place, self.embedder_name, str(embedder_name))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._files.close()
        self._engine.dispose()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Answer all that this thread asks inside from one state, whatever is written meanwhile.

        Raises
        ------
        ForeignEmbedderError
            If the catalog was changed over to another embedder since it was opened.
        """
        look = self._look
        if look.session is not None:
            yield
            return
        look.session, look.searched = self._looked()
        try:
            yield
        finally:
            look.session.close()
            look.session = look.searched = None

    @contextmanager
    def _session(self) -> Iterator[Session]:
        if self._look.session is not None:
            yield self._look.session
            return
        with Session(self._engine) as session:
            self._about(session)
            yield session

    def _about(self, session: Session) -> CatalogRow:
        about = statements.catalog_row(session)
        if about is None:
            raise NoCatalogError(self.place)
        if about.embedder != self.embedder_name:
            raise ForeignEmbedderError(self.place, about.embedder, self.embedder_name)
        return about

    def _whole(self, session: Session, count: str, found: Counted) -> Counted:
        """Make sure that nothing is lost of what is counted."""
        states.refuse_lost(self.place, self._about(session), **{count: len(found)})
        return found

    def tracks(self, *, by_path: bool = False) -> list[Track]:
        """List all tracks in the order in which they came, or in that of their paths."""
        with self._session() as session:
            return self._whole(session, "n_tracks", statements.tracks(session, by_path=by_path))

    def some_tracks(self, offset: int, limit: int) -> tuple[list[Track], int]:
        """List some tracks in the order of their paths, only these are read; and count all."""
        with self._session() as session:
            found = statements.some_tracks(session, offset, limit)
            return found, self._about(session).n_tracks

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
            found = sounds.vectors_of(session, track_ids, self.dim)
        nothing = np.zeros((0, self.dim), np.float32)
        return [found.get(track_id, nothing) for track_id in track_ids]

    def segments(self, track_id: int) -> NDArray[np.float64]:
        """Read start and end of a track's segments in seconds, float64 (S, 2)."""
        with self._session() as session:
            return sounds.spans_s(session, track_id)

    def pitches_of(self, track_ids: Sequence[int]) -> list[Pitches]:
        """Read chroma and harmony of some tracks, without their spectrograms."""
        with self._session() as session:
            found = sounds.pitches_of(session, track_ids)
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
            found = sounds.recorded_parts_of(session, track_ids)
        return [found.get(track_id) for track_id in track_ids]

    def embedded(self, audio_hash: str) -> Embedded | None:
        """Recall what the embedder made of this audio; None if it has not seen it."""
        with self._session() as session:
            track_id = statements.embedded_track(session, audio_hash)
            return None if track_id is None else sounds.embedded(session, track_id, self.dim)

    def labels(self) -> dict[int, str]:
        """Read the work of each labelled track by its id."""
        with self._session() as session:
            return self._whole(session, "n_labels", statements.labels(session))

    def known(self, paths: Sequence[Path] | None = None) -> list[Known]:
        """List what is remembered of the file of each track, or of those at some paths."""
        with self._session() as session:
            return statements.known(session, paths)

    def skipped(self, paths: Sequence[Path] | None = None) -> list[SkippedFile]:
        """List the files that could not be indexed and why, or those at some paths."""
        with self._session() as session:
            found = statements.skipped(session, paths)
            return self._whole(session, "n_skips", found) if paths is None else found

    def roots(self) -> list[Path]:
        """List the folders that the user asked to index."""
        with self._session() as session:
            return self._whole(session, "n_roots", statements.roots(session))

    def stats(self) -> CatalogStats:
        """Count what the catalog holds."""
        with self._session() as session:
            about = self._about(session)
            found = statements.stats(session, about, self._files.size_bytes(session))
            counts = {"n_tracks": found.n_tracks, "n_roots": len(found.roots)}
            counts |= {"n_labels": found.n_labelled, "n_skips": found.n_skipped}
            states.refuse_lost(self.place, about, **counts)
        return replace(found, vectors_at=self._files.address)

    def n_sounding(self) -> int:
        """Count the tracks that can be found: those with segments."""
        with self._searching() as searched:
            return len(searched)

    def mean_length(self) -> float:
        """Average the number of segments of the tracks that sound; 1 where none does."""
        with self._searching() as searched:
            return searched.mean_length

    def track_embeddings(self) -> tuple[Ids, Vectors]:
        """Return one unit vector per track: the direction of the mean of its segments.

        Returns
        -------
        ids : int64 array, shape (N,)
            Ascending; silent tracks are absent.
        vectors : float32 array, shape (N, D)
            In the same order.
        """
        with self._searching() as searched:
            return searched.directions()

    def nearest(
        self,
        versions: Sequence[Vectors],
        n_tracks: int,
        *,
        only: Ids | None = None,
        without: Ids | None = None,
        is_exact: bool = False,
    ) -> Ids:
        """Name the tracks that score best as answers to a query; see `VectorIndex.nearest`."""
        with self._searching() as searched:
            return searched.nearest(
                versions, n_tracks, only=only, without=without, is_exact=is_exact
            )

    def gaining(self, versions: Sequence[Vectors], n_tracks: int, level: float) -> Ids:
        """Name the tracks of which a long recording holds most; see `VectorIndex.gaining`."""
        with self._searching() as searched:
            return searched.gaining(versions, n_tracks, level)

    def neighbours(self, track_ids: Ids) -> Neighbours:
        """Name the ten nearest to each of some tracks that sound, and how near they are."""
        with self._searching() as searched:
            return searched.neighbours(track_ids)

    def missing(self) -> Ids:
        """List the tracks whose file is gone."""
        with self._session() as session:
            return statements.missing(session)

    @contextmanager
    def _searching(self) -> Iterator[VectorIndex]:
        with self.snapshot():
            if self._look.searched is None:
                raise RuntimeError("nothing to search inside of a snapshot")
            yield self._look.searched

    def stamp(self) -> tuple[object, ...]:
        """Tell one state of the catalog from another, by what its database or its files say.

        Raises
        ------
        NoCatalogError
            If there is no catalog any more.
        """
        with Session(self._engine) as session:
            return self._files.stamp(session)

    def _looked(self) -> tuple[Session, VectorIndex]:
        """Look at the present state: a session that sees it, and what is searched then."""
        lost = None
        with self._lock:
            while True:
                with ExitStack() as undo:
                    session = undo.enter_context(Session(self._engine))
                    about = self._about(session)
                    self._follow(about.vectors)
                    name = self._files.name(session, about)
                    searched = self._caught_up(session, about, name)
                    if searched is None and (name is None or name == lost):
                        searched = self._files.rebuilt(session, about, self.dim)
                    if searched is not None:
                        searched = searched.over(rows_of(session, self.dim))
                        states.refuse_lost(self.place, about, n_sounding=len(searched))
                        state = self._files.state(session, about)
                        self._held = _Held(state, about.generation, searched)
                        undo.pop_all()
                        return session, searched
                    lost = name  # a writer may have put another in its place: look again

    def _follow(self, noted: str) -> None:
        """Go where the vectors are kept now, if somebody has moved them."""
        if noted != self._noted:
            self._files.close()
            self._files, self._noted = files_of(self.place, self._engine, noted), noted
            self._held = None

    def _caught_up(
        self, session: Session, about: CatalogRow, name: Name | None
    ) -> VectorIndex | None:
        """Bring what was searched last up to date, or read the vector file; None without one."""
        held, searched = self._held, None
        if held is not None and self._files.is_still(session, about, held.state):
            searched = changed(session, held.searched, held.generation, about.generation)
        if searched is None:
            searched = self._read(session, about, name)
        return None if searched is None else self._files.renewed(session, about, searched)

    def _read(self, session: Session, about: CatalogRow, name: Name | None) -> VectorIndex | None:
        """Read the vectors that are kept, and what came and went since."""
        if name is None:
            return None
        searched = self._files.read(session, about, name, self.dim)
        if searched is None:
            log.debug("vectors of generation %d are absent or damaged", name.generation)
            return None
        return changed(session, searched, name.generation, about.generation)
