"""A catalog's database opened: pragmas, the writer's lock, and the schema brought up to date.

Here it is `catalog.db` in a folder; a database on a server is opened by `indexer.postgresql`.
"""

import errno
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine import ExceptionContext

from indexer import postgresql
from indexer.address import Address, Place
from indexer.errors import (
    CatalogError,
    CatalogWriteError,
    DamagedCatalogError,
    NewerSchemaError,
    NoCatalogError,
)
from indexer.schema import REVISIONS
from indexer.seal import break_seal, check_seal

_BUSY_TIMEOUT_S = 20.0
_OF_CONTENT = (sqlite3.DatabaseError, sqlite3.OperationalError, UnicodeDecodeError)
"""What SQLite raises of a damaged file; the last where it quotes what is no text."""


class WriterLock:
    """Lets one process at a time write to a catalog; the system frees it when the process ends.

    SQLite's own lock on a file beside the catalog, which is held for as long as a writer lives:
    that works wherever SQLite does, and leaves `catalog.db` open to readers.

    Parameters
    ----------
    folder : Path
        The catalog's folder.

    Raises
    ------
    CatalogWriteError
        If another process is writing, or the folder is read-only.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "writer.lock", timeout=0, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=MEMORY")
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            if "locked" in str(error):
                reason = "another pemr is writing to it; wait for that to end, or stop it"
                raise CatalogWriteError(folder, reason) from error
            raise

    def release(self) -> None:
        """Let the next writer in."""
        self._connection.close()


def open_engine(place: Place, *, read_only: bool) -> Engine:
    """Open the database of a catalog.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.
    read_only : bool
        Whether the file must not be touched; then it may lie on a disk that cannot be written.

    Returns
    -------
    Engine
        Its transactions begin when they say so, so that one reader sees one state. What goes wrong
        in the database is raised as a `CatalogError`, whoever asked.

    Raises
    ------
    CatalogError
        If what was written last cannot be read where the file lies.
    """
    if isinstance(place, Address):
        return postgresql.open_engine(place, read_only=read_only)
    return _engine(place, _read_only_flags(place) if read_only else "mode=rwc")


def writing_engine(engine: Engine) -> Engine:
    """Return the engine whose transactions write; on a server they see what others store."""
    return postgresql.for_writing(engine) if engine.dialect.name == "postgresql" else engine


def is_there(place: Place) -> bool:
    """Tell whether there is a catalog.

    Raises
    ------
    CatalogError
        If it lies where one may not look, or its server does not answer.
    """
    if isinstance(place, Address):
        engine = open_engine(place, read_only=True)
        try:
            return _revision(engine, place) is not None
        finally:
            engine.dispose()
    try:
        return (place / "catalog.db").is_file()
    except PermissionError as error:
        raise CatalogError(place, "its folder may not be read; ask who owns it") from error
    except (OSError, ValueError) as error:  # too long a name, or one with a NUL
        raise CatalogError(place, f"it cannot be looked at: {error}") from error


def unseal(engine: Engine, place: Place) -> None:
    """Take the seal off a folder, and give its database a `user_version` that it never had."""
    if isinstance(place, Path):
        break_seal(place)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA user_version={secrets.randbits(31)}")


def _read_only_flags(folder: Path) -> str:
    """Find the flags that work: a write-ahead log cannot be read where no file can be made."""
    try:
        probe = _connect(folder, "mode=ro")
        try:
            probe.execute("SELECT 1 FROM sqlite_master").fetchone()
        finally:
            probe.close()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if "unable to open" in str(error) or "readonly" in str(error):
            _refuse_unread_log(folder)
            return "mode=ro&immutable=1"
    return "mode=ro"  # any other trouble is met again, and told, when the schema is checked


def _refuse_unread_log(folder: Path) -> None:
    log = folder / "catalog.db-wal"
    if log.exists() and log.stat().st_size:
        reason = (
            "what was written last is in catalog.db-wal, which cannot be read in a folder that "
            "cannot be written; copy the folder to where it can"
        )
        raise CatalogError(folder, reason)


def _connect(folder: Path, flags: str) -> sqlite3.Connection:
    uri = f"{(folder / 'catalog.db').as_uri()}?{flags}"
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


def _engine(folder: Path, flags: str) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: _prepared(_connect(folder, flags), flags),
        poolclass=QueuePool,  # the default for a URL that names no file shares one connection
        pool_size=0,  # no limit: every thread that asks has a connection of its own
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        error = context.original_exception
        if type(error) in _OF_CONTENT:
            raise _told(folder, error) from error

    return engine


def _told(folder: Place, error: BaseException) -> CatalogError:
    """Turn an error of SQLite into a sentence; others are our own mistakes."""
    text = " ".join(str(error).split())  # it may quote a whole statement
    is_about_content = ("malformed", "not a database", "decode", "no such", "corrupt", "orphan")
    if any(word in text.lower() for word in is_about_content):
        return DamagedCatalogError(folder, f"catalog.db ({text})")
    return CatalogWriteError(folder, _reason(folder, error))


def _prepared(connection: sqlite3.Connection, flags: str) -> sqlite3.Connection:
    connection.execute("PRAGMA foreign_keys=ON")
    if flags == "mode=rwc":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # a commit survives a kill
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:  # no shared memory here: a network's file system
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=FULL")
    return connection


def check_revision(engine: Engine, place: Place, *, may_be_older: bool = False) -> None:
    """Make sure that a reader understands the schema, and that the seal holds.

    Parameters
    ----------
    engine : Engine
        From `open_engine`.
    place : Path or Address
        Where the catalog is.
    may_be_older : bool
        Whether the schema of an older pemr will do.

    Raises
    ------
    NoCatalogError
        If the database is empty.
    NewerSchemaError
        If a newer pemr wrote it.
    CatalogError
        If an older pemr wrote it.
    DamagedCatalogError
        If it is no database, or another than was sealed.
    """
    revision = _revision(engine, place)
    if revision is None:
        raise NoCatalogError(place)
    if may_be_older:
        return
    if revision != REVISIONS[-1]:
        raise CatalogError(place, "made by an older pemr; `pemr index` brings it up to date")
    if isinstance(place, Path):
        check_seal(place)


def migrate(engine: Engine, place: Place) -> None:
    """Bring the schema up to date; a new database gets all tables.

    Parameters
    ----------
    engine : Engine
        From `open_engine`, not read-only.
    place : Path or Address
        Where the catalog is.

    Raises
    ------
    NewerSchemaError
        If a newer pemr wrote it.
    DamagedCatalogError
        If it is no database, or another than was sealed.
    CatalogWriteError
        If a server's database is another program's, or others write to one of an older pemr.
    """
    if _revision(engine, place) == REVISIONS[-1]:
        if isinstance(place, Path):
            check_seal(place)
    elif isinstance(place, Path):
        with engine.begin() as connection:
            _upgrade(connection)
    else:
        with postgresql.making(engine) as connection:
            revision = _revision_of(connection, place)  # it may have been made meanwhile
            if revision is None:
                postgresql.refuse_foreign_tables(connection, place, _tables(connection))
            else:
                postgresql.refuse_busy(connection, place)
            if revision != REVISIONS[-1]:
                _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 (slow to load, and seldom needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    scripts = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(engine: Engine, place: Place) -> str | None:
    with engine.begin() as connection:
        return _revision_of(connection, place)


def _revision_of(connection: Connection, place: Place) -> str | None:
    """Read the revision of a catalog; None where the database holds none."""
    tables = _tables(connection)
    if "alembic_version" not in tables or (isinstance(place, Address) and "track" not in tables):
        return None
    query = "SELECT version_num FROM alembic_version"
    revision: str | None = connection.exec_driver_sql(query).scalar()
    if revision is not None and revision not in REVISIONS:
        raise NewerSchemaError(place)
    return revision


def _tables(connection: Connection) -> set[str]:
    queries = {
        "sqlite": "SELECT name FROM sqlite_master",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
    }
    found = connection.exec_driver_sql(queries[connection.dialect.name])
    return set(found.scalars().all())


@contextmanager
def writing(place: Place) -> Iterator[None]:
    """Turn what goes wrong while writing into one sentence.

    Parameters
    ----------
    place : Path or Address
        Where the catalog is.

    Yields
    ------
    None
        While the caller writes.

    Raises
    ------
    CatalogWriteError
        If the disk is full, read-only or busy. What was stored before is safe.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise CatalogWriteError(place, _reason(place, error)) from error
    except sqlite3.DatabaseError as error:
        raise _told(place, error) from error


def _reason(place: Place, error: BaseException) -> str:
    text = str(error)
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "is full" in text:
        return "the disk is full; what was stored is safe: make room, then run this again"
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return "it cannot be written here; choose another folder with --catalog"
    if isinstance(place, Path) and not place.exists():  # whatever was met with first
        return "its folder is gone; is its disk still mounted?"
    if "readonly" in text or "unable to open" in text:
        return "it cannot be written here; choose another folder with --catalog"
    if "locked" in text:
        return "another program holds it; wait for that to end, then run this again"
    return f"it cannot be used: {text}"
