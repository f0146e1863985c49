"""The one writer of a catalog.

Letters: D embedding.
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
from indexer.embedder import Embedder
from indexer.errors import CatalogWriteError, NoCatalogError
from indexer.reader import Reader
from indexer.records import Embedded, Vectors
from indexer.scan import AudioFile, absolute
from indexer.schema import CatalogRow, TrackRow
from indexer.seal import break_seal, sealed
from indexer.tags import Tags

log = logging.getLogger(__name__)

_STORED_AT_ONCE = 2_000
"""Tracks after which the vector file is looked after, in a run that stores very many."""


class Writer(Reader):
    """A catalog that can be changed too; make it with `Catalog.write`.

    It brings the schema up to date when it is opened and the vector file when it is closed, and
    keeps other writers out. Every change is a transaction of its own.

    Parameters
    ----------
    path : Path
        The catalog's folder.
    engine : Engine
        Its database.
    lock : WriterLock
        Released when it is closed.
    """

    def __init__(self, path: Path, engine: Engine, lock: database.WriterLock) -> None:
        super().__init__(path, engine)
        self._writer_lock = lock
        self._n_stored = 0
        self._flushed_generation = -1
        self._is_open = True

    @classmethod
    def open_for(cls, path: Path, embedder: Embedder | None) -> Self:
        """Open what `Catalog.write` is asked for."""
        path = absolute(path)
        if embedder is None and not database.is_there(path):
            raise NoCatalogError(path)
        with database.writing(path), ExitStack() as undo:
            if embedder is not None:
                path.mkdir(parents=True, exist_ok=True)
            lock = database.WriterLock(path)
            undo.callback(lock.release)
            engine = database.open_engine(path, read_only=False)
            undo.callback(engine.dispose)
            database.migrate(engine, path)
            break_seal(path)
            database.renumber(engine)
            if embedder is not None:
                _make(path, engine, embedder)
            opened = cls(path, engine, lock)
            opened.refuse_foreign(None if embedder is None else embedder.name)
            undo.pop_all()
        return opened

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
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.flush()
        finally:
            super().close()
            with suppress(OSError):
                sealed(self.path)
            self._writer_lock.release()

    def flush(self) -> None:
        """Write the vector files of the present state, where they are not there already.

        Raises
        ------
        CatalogWriteError
            If one cannot be written; the rows are stored all the same.
        """
        with database.writing(self.path):
            with self._session() as session:
                about = self._about(session)
                generation = about.generation
                is_behind = generation != self._flushed_generation
                name = self._merged(session, about) if is_behind else None
            if name is not None:
                with Session(self._engine) as session, session.begin():
                    statements.set_merged(session, name.generation, name.token)
                repair.delete_files(self.path, keep=name)
        self._flushed_generation = generation

    def _merged(self, session: Session, about: CatalogRow) -> repair.Name | None:
        """Make the vector file anew, where it is absent or too much came and went since."""
        n_tracks = statements.n_sounding(session)
        n_changed = statements.n_changed(session, about.merged)
        is_there = repair.is_there(self.path, repair.Name(about.merged, about.token), self.dim)
        if is_there and not repair.is_outdated(n_changed, n_tracks):
            return None
        old = self._read(session, about)
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
        self.embedder_name, self.dim = new.embedder_name, new.dim
        self._held = None


def _make(path: Path, engine: Engine, embedder: Embedder) -> None:
    with Session(engine) as session, session.begin():
        if statements.catalog_row(session) is None:
            repair.delete_files(path)
            new = CatalogRow(id=1, embedder=embedder.name, dim=embedder.dim, generation=0)
            session.add(new)
