"""The catalog: tracks, segments and vectors of a collection, in one folder on disk.

`catalog.db` holds everything; the vector files beside it are made from it (`indexer.repair`).
What can be asked of it is in `indexer.reader`; here it is opened and written.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import database, repair, statements
from indexer.errors import CatalogWriteError, ForeignEmbedderError, NoCatalogError
from indexer.reader import Reader
from indexer.records import Embedded, Vectors
from indexer.scan import AudioFile, absolute
from indexer.schema import CatalogRow, TrackRow
from indexer.seal import break_seal, sealed
from indexer.tags import Tags

log = logging.getLogger(__name__)

_STORED_AT_ONCE = 2_000
"""Tracks after which the vector file is looked after, in a run that stores very many."""


class Catalog(Reader):
    """An open catalog; make it with `Catalog.open`, use it in a `with` statement.

    A reader sees the state of the moment when it first looked, whatever is written meanwhile.

    Parameters
    ----------
    path : Path
        The catalog's folder.
    engine : Engine
        Its database.
    lock : WriterLock or None
        Held by a writer; None for a reader.
    """

    def __init__(self, path: Path, engine: Engine, lock: database.WriterLock | None) -> None:
        self._lock = lock
        self._n_stored = 0
        self._flushed_generation = -1
        super().__init__(path, engine, keeps_snapshot=lock is None)

    @classmethod
    def open(
        cls,
        path: Path,
        embedder_name: str | None = None,
        dim: int | None = None,
        *,
        create: bool = False,
        read_only: bool = False,
    ) -> Self:
        """Open a catalog, or make one.

        A writer brings the schema up to date, and the vector files when it closes, and keeps other
        writers out; a reader writes nothing.

        Parameters
        ----------
        path : Path
            The catalog's folder.
        embedder_name : str or None
            The embedder to use it with; None where none is used.
        dim : int or None
            Length D of its embeddings; needed to make a catalog.
        create : bool
            Whether to make the catalog where there is none.
        read_only : bool
            Whether only to read.

        Raises
        ------
        NoCatalogError
            If there is none here, and none is to be made.
        ForeignEmbedderError
            If it was made by another embedder.
        NewerSchemaError
            If a newer pemr wrote it.
        CatalogWriteError
            If it is opened for writing and cannot be written, or another process is writing.
        """
        path = absolute(path)
        new = None
        if create:
            if embedder_name is None or dim is None:
                raise ValueError("a new catalog needs embedder_name and dim")
            new = CatalogRow(id=1, embedder=embedder_name, dim=dim, generation=0)
        elif not (path / "catalog.db").is_file():
            raise NoCatalogError(path)
        opened = cls._reader(path) if read_only else cls._writer(path, new)
        if embedder_name not in {None, opened.embedder_name}:
            opened._release()
            raise ForeignEmbedderError(path, opened.embedder_name, str(embedder_name))
        return opened

    @classmethod
    def _reader(cls, path: Path) -> Self:
        engine = database.open_engine(path, read_only=True)
        try:
            database.check_revision(engine, path)
            return cls(path, engine, None)
        except BaseException:
            engine.dispose()
            raise

    @classmethod
    def _writer(cls, path: Path, new: CatalogRow | None) -> Self:
        with database.writing(path), ExitStack() as undo:
            if new is not None:
                path.mkdir(parents=True, exist_ok=True)
            lock = database.WriterLock(path)
            undo.callback(lock.release)
            engine = database.open_engine(path, read_only=False)
            undo.callback(engine.dispose)
            database.migrate(engine, path)
            break_seal(path)
            database.renumber(engine)
            with Session(engine) as session, session.begin():
                if new is not None and statements.catalog_row(session) is None:
                    repair.delete_files(path)
                    session.add(new)
            opened = cls(path, engine, lock)
            undo.pop_all()
        return opened

    @staticmethod
    def embedder_of(path: Path) -> str:
        """Name the embedder that a catalog was made with, whatever pemr wrote it.

        Raises
        ------
        NoCatalogError
            If there is no catalog in this folder.
        NewerSchemaError
            If a newer pemr wrote it.
        """
        path = absolute(path)
        if not (path / "catalog.db").is_file():
            raise NoCatalogError(path)
        engine = database.open_engine(path, read_only=True)
        try:
            database.check_revision(engine, path, may_be_older=True)
            with Session(engine) as session:
                name = statements.embedder_name(session)
        finally:
            engine.dispose()
        if name is None:
            raise NoCatalogError(path)
        return name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except CatalogWriteError:
            log.warning("the vector files are behind; the next `pemr index` rebuilds them")

    def close(self) -> None:
        """Write the vector files and let go of the folder.

        Raises
        ------
        CatalogWriteError
            If a vector file cannot be written; its rows are stored all the same.
        """
        try:
            if self._lock is not None:
                self.flush()
        finally:
            self._release()

    def _release(self) -> None:
        super()._release()
        if self._lock is not None:
            with suppress(OSError):
                sealed(self.path)
            self._lock.release()

    def flush(self) -> None:
        """Write the vector files of the present state, where they are not there already.

        Raises
        ------
        CatalogWriteError
            If one cannot be written; the rows are stored all the same.
        """
        if self._flushed_generation == self._generation:
            return
        with database.writing(self.path):
            with Session(self._engine) as session:
                name = self._merged(session)
            if name is not None:
                with Session(self._engine) as session, session.begin():
                    statements.set_merged(session, name.generation, name.token)
                repair.delete_files(self.path, keep=name)
                self._searched = None
        self._flushed_generation = self._generation

    def _merged(self, session: Session) -> repair.Name | None:
        """Make the vector file anew, where it is absent or too much came and went since."""
        about, n_tracks = statements.catalog_row(session), statements.n_sounding(session)
        if about is None:
            return None
        n_changed = statements.n_changed(session, about.merged)
        is_there = repair.is_there(self.path, repair.Name(about.merged, about.token), self.dim)
        if is_there and not repair.is_outdated(n_changed, n_tracks):
            return None
        old = self._read(session)
        name = repair.Name(about.generation, secrets.randbits(62))

        def stored() -> Iterator[tuple[int, Vectors]]:
            return statements.all_vectors(session, self.dim)

        if old is None:
            repair.write(stored, n_tracks, self.dim, self.path, name)
        else:
            repair.write_again(old, stored, self.path, name)
        return name

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        if self._lock is None:
            raise CatalogWriteError(self.path, "opened only to be read")
        with database.writing(self.path), Session(self._engine) as session, session.begin():
            yield session

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
        with self._writing() as session:
            row = statements.track_at(session, file.path)
            generation = statements.next_generation(session)
            if row is None:
                row = statements.insert_track(session, file, tags)
            else:
                statements.describe(row, file, tags)
                statements.detach(session, [row.id], generation)
            statements.unskip(session, file.path)
            statements.keep(session, row.id, embedded.recording)
            statements.attach(session, row, embedded, generation)
            track_id = row.id
        self._generation = generation
        if self._searched is not None:
            self._searched.add(track_id, embedded.vectors)
        self._n_stored += 1
        if self._n_stored % _STORED_AT_ONCE == 0:
            self.flush()
        return track_id

    def describe(self, track_id: int, file: AudioFile, tags: Tags) -> None:
        """Note the new name, tags or date of a track whose audio is as it was."""
        with self._writing() as session:
            statements.describe(session.get_one(TrackRow, track_id), file, tags)
            statements.unskip(session, file.path)

    def skip(self, file: AudioFile, reason: str) -> None:
        """Remember that a file cannot be indexed; a track that it was before is now missing."""
        with self._writing() as session:
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
            for some in statements.batched(track_ids):
                statements.mark_missing(session, some, is_missing=is_missing)

    def delete(self, track_ids: Iterable[int]) -> None:
        """Delete some tracks with all that belongs to them; files are never touched."""
        track_ids = list(track_ids)
        if not track_ids:
            return
        with self._writing() as session:
            generation = statements.next_generation(session)
            for some in statements.batched(track_ids):
                statements.delete_tracks(session, some, generation)
        self._generation = generation
        if self._searched is not None:
            self._searched.remove(track_ids)

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

    def exchange(self, new: "Catalog") -> None:
        """Take over another catalog's embedder and vectors in one transaction.

        Tracks whose audio the other does not hold stay, without vectors. A recording that the
        other does not keep stays as it is here.

        Parameters
        ----------
        new : Catalog
            The other catalog, of the same recordings.
        """
        with self._writing() as session:
            about = session.get_one(CatalogRow, 1)
            about.embedder, about.dim = new.embedder_name, new.dim
            about.generation += 1
            generation = about.generation
            statements.detach_all(session)
            for track in statements.tracks(session):
                embedded = new.embedded(track.audio_hash)
                if embedded is None:
                    statements.forget_recording(session, track.id)
                    continue
                if embedded.recording.spectrogram.size:  # it was decoded, and not restored
                    statements.keep(session, track.id, embedded.recording)
                row = session.get_one(TrackRow, track.id)
                statements.attach(session, row, embedded, generation)
                session.expunge_all()
        self.embedder_name, self.dim, self._generation = new.embedder_name, new.dim, generation
        self._searched = None
