"""Which vector file belongs to a state of the database, and what is done where there is none.

A catalog in a folder has one file, which its database names and its writer makes. The vectors of
a catalog on a server are kept on each machine that searches it, in a folder of its own below that
of caches: a file of any state that the database has been in will do, and what came and went since
is read from the database. The readers make it: the first when it looks; and when a large catalog
has outgrown it, one of them in the background, while it answers from what it has.

Letters: D embedding.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from indexer import database, repair, sounds, states
from indexer.address import Address, Place
from indexer.afar import IN_FILES, EngineAfar, changed, rows_of
from indexer.errors import CatalogError, CatalogWriteError, DamagedCatalogError
from indexer.exact import Track
from indexer.places import cache_root
from indexer.repair import Name
from indexer.scan import absolute
from indexer.schema import CatalogRow
from indexer.searched import EXACT_LENGTH, Searched
from indexer.stores.index import VectorIndex

log = logging.getLogger(__name__)


class FolderFile:
    """The vector file of a catalog in a folder.

    Parameters
    ----------
    folder : Path
        The catalog's folder.
    """

    address = IN_FILES

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stamp(self, session: Session) -> tuple[object, ...]:  # noqa: ARG002 (as below)
        """Tell one state of the catalog from another."""
        return tuple(likeness(self.folder / name) for name in ("catalog.db", "catalog.db-wal"))

    def size_bytes(self, session: Session) -> int:  # noqa: ARG002 (as below)
        """Measure the folder."""
        return _size_bytes(self.folder)

    def name(self, session: Session, about: CatalogRow) -> Name | None:  # noqa: ARG002 (as below)
        """Name the file that is to be read; None where there is none."""
        return Name(about.merged, about.token) if about.merged >= 0 else None

    def state(self, session: Session, about: CatalogRow) -> Name:  # noqa: ARG002 (as below)
        """Name what is searched now, to be asked about later."""
        return Name(about.merged, about.token)

    def is_still(self, session: Session, about: CatalogRow, state: Name) -> bool:
        """Whether what was searched in a state can be brought up to date from the database."""
        return state == self.state(session, about)

    def read(self, session: Session, about: CatalogRow, name: Name, dim: int) -> Searched | None:  # noqa: ARG002 (likewise)
        """Read the file; None where it is absent or damaged."""
        return repair.read(self.folder, name, dim)

    def rebuilt(self, session: Session, about: CatalogRow, dim: int) -> Searched:  # noqa: ARG002 (likewise)
        """Make what is searched in memory: the file is its writer's."""
        if sounds.n_sounding(session) > EXACT_LENGTH:
            log.warning(
                "the vector file is absent, damaged or of an older version, so it is made in "
                "memory; `pemr repair` makes it on disk"
            )
        return _rebuilt(session, dim)

    def renewed(self, session: Session, about: CatalogRow, searched: VectorIndex) -> VectorIndex:  # noqa: ARG002 (likewise)
        """Return what was read from a file as it is."""
        return searched

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Do nothing: a folder has one writer."""
        yield

    def brought(
        self, session: Session, about: CatalogRow, dim: int, *, is_whole: bool
    ) -> Iterator[int | Name]:
        """Make the file anew, where it is absent or too much came and went, or in any case."""
        old, name = None, None if is_whole else self.name(session, about)
        if name is not None and repair.is_there(self.folder, name, dim):
            n_changed = states.n_changed(session, name.generation)
            if not repair.is_outdated(n_changed, sounds.n_sounding(session)):
                return
            old = repair.read(self.folder, name, dim)
            if old is not None:
                rows = rows_of(session, dim)
                old = old.changed(rows.gone(name.generation), rows.since(name.generation))
        new = Name(about.generation, secrets.randbits(62))
        _write(session, old, dim, self.folder, new)
        yield new

    def settle(self, session: Session, name: Name) -> None:
        """Write down which file belongs to the database."""
        states.set_merged(session, name.generation, name.token)

    def tidy(self, name: Name) -> None:
        """Delete all other files."""
        repair.delete_files(self.folder, keep=name)

    def close(self) -> None:
        """Do nothing: nothing is held open."""


class CachedFiles:
    """The vector files of a catalog on a server, on this machine.

    Parameters
    ----------
    folder : Path
        Of this catalog alone.
    engine : Engine
        Its database.
    """

    address = IN_FILES

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self._engine = engine
        self._making: Thread | None = None
        self._is_made = Event()
        self._is_read = False  # since `renewed` was asked

    def stamp(self, session: Session) -> tuple[object, ...]:
        """Tell one state of the database from another."""
        return (states.stamp(session),)

    def size_bytes(self, session: Session) -> int:
        """Measure the database, and this machine's files of it."""
        return states.size_bytes(session) + _size_bytes(self.folder)

    def name(self, session: Session, about: CatalogRow) -> Name | None:
        """Name the newest file of a state that the database has been in."""
        for name in repair.names(self.folder):
            is_past = name.generation <= about.generation
            if is_past and states.has_been(session, name.generation, name.token):
                return name
        return None

    def state(self, session: Session, about: CatalogRow) -> Name:  # noqa: ARG002 (as above)
        """Name the present state of the database."""
        return Name(about.generation, about.token)

    def is_still(self, session: Session, about: CatalogRow, state: Name) -> bool:
        """Whether the database has been in a state, and no new file was made since."""
        if self._is_made.is_set():
            self._is_made.clear()
            return False
        return self._has_been(session, about, state)

    def _has_been(self, session: Session, about: CatalogRow, state: Name) -> bool:
        """Whether the database has been in a state, and was not put back from a copy since."""
        return state == self.state(session, about) or (
            state.generation < about.generation
            and states.has_been(session, state.generation, state.token)
        )

    def read(self, session: Session, about: CatalogRow, name: Name, dim: int) -> Searched | None:  # noqa: ARG002 (likewise)
        """Read a file; None where it is absent or damaged."""
        self._is_read = True
        return repair.read(self.folder, name, dim)

    def rebuilt(self, session: Session, about: CatalogRow, dim: int) -> Searched:
        """Make a file of the present state, and read it; in memory where it cannot be written."""
        return self._made(session, about, None, dim) or _rebuilt(session, dim)

    def renewed(self, session: Session, about: CatalogRow, searched: VectorIndex) -> VectorIndex:
        """Have the file made anew, where too much came and went since it was made.

        A small one is made at once, where it was just read; a large one in the background. Should
        that fail, it is not tried again before the catalog is opened again.
        """
        is_read, self._is_read = self._is_read, False
        if not isinstance(searched, Searched) or not repair.is_outdated(
            searched.n_changed, len(searched)
        ):
            return searched
        if len(searched) <= EXACT_LENGTH:
            made = self._made(session, about, searched, searched.dim) if is_read else None
            return made or searched
        if self._making is None:
            what = (about.embedder, self.state(session, about), searched)
            self._making = Thread(target=self._make, args=what, daemon=True)
            self._making.start()
        return searched

    def _make(self, embedder: str, state: Name, old: Searched) -> None:
        """Make the file of the present state from what was searched in another."""
        try:
            with Session(self._engine) as session:
                about = session.get_one(CatalogRow, 1)
                if about.embedder != embedder or not self._has_been(session, about, state):
                    return
                now = changed(session, old, state.generation, about.generation)
                if isinstance(now, Searched) and self._made(session, about, now, old.dim):
                    self._making = None
                    self._is_made.set()
        except (CatalogError, SQLAlchemyError) as error:
            log.debug("no vector file is made in the background: %s", error)

    def repair(self, session: Session, about: CatalogRow, dim: int) -> None:
        """Make a file of the present state, whatever is there.

        Raises
        ------
        CatalogWriteError
            If it cannot be written.
        """
        self.close()
        self._written(session, about, None, dim)

    def close(self) -> None:
        """Wait until nothing is made any more."""
        if (making := self._making) is not None:
            making.join()

    def _made(
        self, session: Session, about: CatalogRow, old: Searched | None, dim: int
    ) -> Searched | None:
        try:
            name = self._written(session, about, old, dim)
        except CatalogWriteError as error:
            log.debug("no vector file is kept: %s", error)
            return None
        return repair.read(self.folder, name, dim)

    def _written(self, session: Session, about: CatalogRow, old: Searched | None, dim: int) -> Name:
        name = self.state(session, about)
        with database.writing(self.folder), _alone(self.folder):
            _write(session, old, dim, self.folder, name)
            repair.delete_files(self.folder, keep=name)
        return name


Kept = FolderFile | CachedFiles | EngineAfar
"""Where the vectors of a catalog are searched, and how that is brought up to date."""


def files_of(place: Place, engine: Engine, noted: str = "") -> Kept:
    """Find where the vectors of a catalog are searched.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    engine : Engine
        Its database.
    noted : str
        What the database says of an engine that keeps them; nothing where files do.

    Returns
    -------
    FolderFile, CachedFiles or EngineAfar

    Raises
    ------
    CatalogError
        If the folder for caches cannot be used, or the database is damaged.
    """
    here = FolderFile(place) if not isinstance(place, Address) else _cached(place, engine)
    return EngineAfar(here, engine, noted) if noted else here


def _cached(place: Address, engine: Engine) -> CachedFiles:
    with Session(engine) as session:
        number = states.identity(session)
    if number is None:
        raise DamagedCatalogError(place, "it has lost its number")
    folder = cache_root(os.environ.get("PEMR_CACHE")) / "catalogs" / f"{number:016x}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        reason = f"{folder} cannot be used ({error.strerror}); name a folder with PEMR_CACHE"
        raise CatalogError(place, reason) from error
    return CachedFiles(folder, engine)


def tidy(place: Place) -> Place:
    """Write a folder without detours; an address as it is."""
    return absolute(place) if isinstance(place, Path) else place


def likeness(file: Path) -> tuple[int, int, int]:
    """Tell one state of a file from another: inode, size and date; zeros where there is none."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep out other processes that would make the same file."""
    lock = database.WriterLock(folder)
    try:
        yield
    finally:
        lock.release()


def _rebuilt(session: Session, dim: int) -> Searched:
    return repair.rebuilt(lambda: sounds.all_vectors(session, dim), sounds.n_sounding(session), dim)


def _write(session: Session, old: Searched | None, dim: int, folder: Path, name: Name) -> None:
    def stored() -> Iterator[Track]:
        return sounds.all_vectors(session, dim)

    if old is None:
        repair.write(stored, sounds.n_sounding(session), dim, folder, name)
    else:
        repair.write_again(old, stored, folder, name)
