"""The one writer of a catalog.

Letters: D embedding.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import database, signed, sounds, statements, states
from indexer.address import Place
from indexer.afar import IN_FILES, EngineAfar
from indexer.claims import Claims
from indexer.embedder import Embedder
from indexer.errors import (
    CatalogError,
    CatalogWriteError,
    ForeignEmbedderError,
    NoCatalogError,
    VectorStoreError,
)
from indexer.kept import CachedFiles, tidy
from indexer.preparation import Lock, prepared
from indexer.reader import Reader
from indexer.records import Embedded
from indexer.repair import Name
from indexer.scan import AudioFile, absolute
from indexer.schema import TrackRow
from indexer.seal import sealed
from indexer.tags import Tags

log = logging.getLogger(__name__)

_STORED_AT_ONCE = 2_000
"""Tracks after which the vector file is looked after, in a run that stores very many."""


class MovedTrackError(Exception):
    """A track that was taken for a file's has got another name since, by another process."""


class Writer(Reader):
    """A catalog that can be changed too; make it with `Catalog.write`.

    It brings the schema up to date when it is opened and the vector file of a folder when it is
    closed. It keeps other writers out of a folder; to a server many may write. Every change is a
    transaction of its own.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    engine : Engine
        Its database.
    lock : WriterLock or ServerLock
        Released when it is closed.
    """

    def __init__(self, place: Place, engine: Engine, lock: Lock) -> None:
        super().__init__(place, engine)
        self._writing_engine = database.writing_engine(engine)
        self._writer_lock = lock
        self._n_stored = 0
        self._flushed_generation = -1
        self._is_open = True
        self._claims: Claims | None = None

    @property
    def vectors_at(self) -> str:
        """Where vectors are searched: `files`, or the address of an engine."""
        return self._files.address

    @classmethod
    def open_for(cls, place: Place, embedder: Embedder | None, *, is_alone: bool = False) -> Self:
        """Open what `Catalog.write` is asked for."""
        place = tidy(place)
        if embedder is None and not database.is_there(place):
            raise NoCatalogError(place)
        with database.writing(place), ExitStack() as undo:
            if embedder is not None and isinstance(place, Path):
                place.mkdir(parents=True, exist_ok=True)
            lock, engine = prepared(place, embedder, undo, is_alone=is_alone)
            opened = cls(place, engine, lock)
            opened.refuse_foreign(None if embedder is None else embedder.name)
            undo.pop_all()
        return opened

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except (CatalogWriteError, VectorStoreError):
            log.warning("the vectors are behind; the next `pemr index` brings them up to date")

    def close(self) -> None:
        """Write the vector files and let go of the folder.

        Raises
        ------
        CatalogWriteError
            If a vector file cannot be written; its rows are stored all the same.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.flush()
        finally:
            super().close()
            if isinstance(self.place, Path):
                with suppress(OSError):
                    sealed(self.place)
            self._writer_lock.release()

    def flush(self) -> None:
        """Write the vector files of the present state, where they are not there already.

        Raises
        ------
        CatalogWriteError
            If one cannot be written; the rows are stored all the same.
        VectorStoreError
            If an engine that keeps them cannot be reached, is full or refuses; likewise.
        """
        for _ in self._brought():
            pass

    def refill(self) -> Iterator[int]:
        """Go through all vectors that are searched, and make them as the database has them.

        Nothing is decoded. Cut short, it goes on where it was.

        Yields
        ------
        int
            How many tracks were gone through since the last number.

        Raises
        ------
        CatalogWriteError
            If a vector file cannot be written.
        VectorStoreError
            If an engine that keeps them cannot be reached, is full or refuses.
        """
        yield from self._brought(is_whole=True)

    def keep_vectors(self, address: str | None) -> None:
        """Have the vectors searched in an engine from now on, or in files again.

        Parameters
        ----------
        address : str or None
            Such as `qdrant://HOST:6333/COLLECTION`, or `files`; None leaves all as it is. What was
            kept before is left where it is; the next `flush` fills the new place.

        Raises
        ------
        VectorStoreError
            If it is no address, or nothing can be reached there; all stays as it was.
        """
        if address in {None, self.vectors_at}:
            return
        noted = "" if address == IN_FILES else EngineAfar.noted(str(address))
        with self._writing() as session:
            noted = states.keep_vectors(session, noted)
        self._follow(noted)
        self._flushed_generation = -1

    def copied_vectors(self) -> str:
        """Have the engine that keeps the vectors copy its files, and name the copy.

        Raises
        ------
        CatalogError
            If they are kept in files.
        VectorStoreError
            If the engine cannot be asked, or makes no copies.
        """
        if not isinstance(self._files, EngineAfar):
            reason = "its vectors are in files, which need no copy: `pemr repair` makes them"
            raise CatalogError(self.place, reason)
        with self._session() as session:
            return self._files.store(self._about(session).embedder).engine.snapshot()

    def _brought(self, *, is_whole: bool = False) -> Iterator[int]:
        """Bring what is searched to the present state of the database, and say so there."""
        new = None
        with Session(self._engine) as session:
            self._follow(states.vectors_at(session))
        if isinstance(self._files, CachedFiles):  # each machine that searches makes its own
            if is_whole:
                with self._session() as session:
                    self._files.repair(session, self._about(session), self.dim)
                self._held = None
            return
        with database.writing(self.place), self._files.alone():
            with self._session() as session:
                about = self._about(session)
                generation = about.generation
                if generation == self._flushed_generation and not is_whole:
                    return
                for told in self._files.brought(session, about, self.dim, is_whole=is_whole):
                    if isinstance(told, Name):
                        new = told
                    else:
                        yield told
            if new is not None:
                with self._writing() as session:
                    self._files.settle(session, new)
                self._files.tidy(new)
        self._flushed_generation = generation

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        engine = self._writing_engine
        with database.writing(self.place), Session(engine) as session, session.begin():
            yield session

    @contextmanager
    def _writing_of(self, path: Path) -> Iterator[Session]:
        """Store what became of a file that this process has taken, where several share them."""
        with self._writing() as session:
            if self._claims is not None:
                self._claims.strike(session, path)
            yield session

    @contextmanager
    def claiming(self, folders: Sequence[Path]) -> Iterator[Claims]:
        """Share the files below some folders with others who write to the same server.

        What is stored inside of a file that was taken settles its claim.

        Parameters
        ----------
        folders : sequence of Path
            Where this process looks.

        Yields
        ------
        Claims
            What it has taken; given back at the end.
        """
        self._claims = Claims(self._writing_engine, folders)
        try:
            yield self._claims
        finally:
            self._claims.close()
            self._claims = None

    def _counted(self, session: Session) -> int:
        """Count one more change to the vectors; on a server others wait from here on."""
        generation = states.next_generation(session, self.embedder_name)
        if generation is None:
            name = str(statements.embedder_name(session))
            raise ForeignEmbedderError(self.place, name, self.embedder_name)
        return generation

    def store(self, file: AudioFile, tags: Tags, embedded: Embedded) -> int:
        """Store a recording, in place of what the catalog held of the same file.

        Parameters
        ----------
        file : AudioFile
            Hashed.
        tags : Tags
            What it says of itself.
        embedded : Embedded
            What the embedder made of it.

        Returns
        -------
        int
            The track's id, which a file keeps as long as it is in the catalog.
        """
        with self._writing_of(file.path) as session:
            row = statements.track_at(session, file.path)
            is_new = row is None
            if row is None:
                row = statements.insert_track(session, file, tags)
            else:
                statements.describe(row, file, tags)
            statements.unskip(session, file.path)
            sounds.keep(session, row, embedded.recording)
            generation = self._counted(session)
            if is_new:
                states.count_tracks(session, 1)
            else:
                sounds.detach(session, [row.id], generation)
            sounds.attach(session, row, embedded, generation)
            track_id = row.id
        self._n_stored += 1
        if self._n_stored % _STORED_AT_ONCE == 0:
            self.flush()
        return track_id

    def describe(
        self, track_id: int, file: AudioFile, tags: Tags, old_path: Path | None = None
    ) -> None:
        """Note the new name, tags or date of a track whose audio is as it was.

        Raises
        ------
        MovedTrackError
            If the track is no longer at the path where it was known.
        """
        with self._writing_of(file.path) as session:
            row = session.get_one(TrackRow, track_id, with_for_update=True)
            if old_path is not None and row.path != os.fsencode(old_path):
                raise MovedTrackError(old_path)
            statements.describe(row, file, tags)
            statements.unskip(session, file.path)

    def skip(self, file: AudioFile, reason: str) -> None:
        """Remember that a file cannot be indexed; a track that it was before is now missing."""
        with self._writing_of(file.path) as session:
            statements.skip(session, file, reason)
            row = statements.track_at(session, file.path)
            if row is not None:
                row.is_missing = True

    def unskip(self, paths: Iterable[Path]) -> None:
        """Forget that some files could not be indexed."""
        with self._writing() as session:
            for path in paths:
                statements.unskip(session, path)

    def mark_missing(self, track_ids: Iterable[int], *, is_missing: bool) -> None:
        """Note whose files are gone, or back; nothing else of them changes."""
        with self._writing() as session:
            for some in signed.batched(track_ids):
                statements.mark_missing(session, some, is_missing=is_missing)

    def delete(self, track_ids: Iterable[int]) -> None:
        """Delete some tracks with all that belongs to them; files are never touched."""
        track_ids = list(track_ids)
        if not track_ids:
            return
        with self._writing() as session:
            generation = self._counted(session)
            for some in signed.batched(track_ids):
                statements.delete_tracks(session, some, generation)

    def remove(self, path: Path) -> int:
        """Delete the track of a file, or all tracks below a folder; files are never touched.

        Returns
        -------
        int
            How many tracks were deleted.
        """
        path = absolute(path)
        with self._session() as session:
            track_ids = statements.tracks_below(session, path)
        self.delete(track_ids)
        with self._writing() as session:
            statements.forget_root(session, path)
        return len(track_ids)

    def add_roots(self, folders: Iterable[Path]) -> None:
        """Note which folders the user asked to index."""
        with self._writing() as session:
            for folder in folders:
                statements.add_root(session, absolute(folder))

    def set_labels(self, works: Mapping[int, str]) -> None:
        """Say which work some tracks are performances of; an older label is replaced."""
        with self._writing() as session:
            statements.set_labels(session, works)

    def exchange(self, new: Reader) -> None:
        """Take over another catalog's embedder and vectors in one transaction.

        Tracks whose audio the other does not hold stay, without vectors. A recording that the
        other does not keep stays as it is here.

        Parameters
        ----------
        new : Reader
            The other catalog, of the same recordings.
        """
        with self._writing() as session:
            generation = self._counted(session)
            sounds.detach_all(session)
            states.change_over(session, new.embedder_name, new.dim)
            sounds.take_over(session, new.embedded, generation)
        self.embedder_name, self.dim = new.embedder_name, new.dim
        self._held = None
