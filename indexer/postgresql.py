"""A catalog's database on a PostgreSQL server: how it is opened, and what goes wrong there.

The one module that knows the driver, psycopg.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError

from indexer.address import Address
from indexer.errors import CatalogError, CatalogWriteError

_LOCKS = 0x70656D72
"""Marks pemr's advisory locks among others of the same database."""
CLAIMS = _LOCKS + 1
"""Marks the locks by which processes know each other alive; the next those of what is embedded."""
_WRITING, _MAKING = 1, 2  # the locks of those who write, and of who makes or changes the tables
_FILLING = 3  # that of who brings an engine for vectors up to date

_WAIT = {
    "connect_timeout": "10",  # seconds
    "keepalives_idle": "30",  # these tell a server that is gone from one that takes its time
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds
}
_SERVER_WAITS = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""After a minute the server takes a machine that has vanished for dead, and ends its claims."""

_GONE = re.compile(
    r"closed the connection|connection is (lost|closed)|terminating connection|shutting down"
    r"|starting up|recovery mode|not( yet)? accepting connections|connection reset|broken pipe"
    r"|eof detected|could not receive|the connection",
    re.IGNORECASE,
)
_WENT_AWAY = "its server went away; what was stored is safe: run this again when it is back"
_WAYS_OUT = {
    "28P01": "its server refuses the password; it may be in PGPASSWORD or in ~/.pgpass",
    "28000": "its server refuses this user: {}",
    "3D000": "there is no such database on its server; make it with `createdb`",
    "53100": "the disk of its server is full; what was stored is safe: make room, then run this"
    " again",
    "53300": "its server has too many connections; wait, or raise its max_connections",
    "25006": "it cannot be written: its server is read-only",
    "42501": "this user may not do that there: {}",
    "55P03": "another pemr is changing it; wait for that to end, then run this again",
}
_BY_WORDS = {  # when a connection is refused, psycopg says no code
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "role": "28000",
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "database": "3D000",
}


def open_engine(address: Address, *, read_only: bool) -> Engine:
    """Open the database of a catalog; nothing is asked of its server yet.

    Parameters
    ----------
    address : Address
        Where it is.
    read_only : bool
        Whether nothing must be written.

    Returns
    -------
    Engine
        A transaction sees one state. What goes wrong in the database is raised as a
        `CatalogError`, whoever asked.

    Raises
    ------
    CatalogError
        If the address cannot be read, or the driver is absent.
    """
    if find_spec("psycopg") is None:
        reason = "a catalog on a server needs the extra [postgresql]: "
        raise CatalogError(address, f"{reason}pip install 'pemr-covers[postgresql]'")
    engine = create_engine(
        _url(address),
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,  # a server that was restarted meanwhile is no error
        max_overflow=-1,  # every thread that asks has a connection of its own
    )
    if read_only:
        engine = engine.execution_options(postgresql_readonly=True)

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        import psycopg  # noqa: PLC0415 (of the extra)

        error = context.original_exception
        if isinstance(error, psycopg.Error) and not context.is_pre_ping:
            raise _told(address, error) from error

    return engine


def for_writing(engine: Engine) -> Engine:
    """Return the same engine for transactions that see what others store meanwhile."""
    return engine.execution_options(isolation_level="READ COMMITTED")


def _url(address: Address) -> URL:
    try:
        url = make_url(address.text)
        url = url.set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError) as error:
        reason = "is written as postgresql://USER@HOST:PORT/DATABASE"
        raise CatalogError(address, reason) from error
    asked = dict(url.query)
    options = f"{_SERVER_WAITS} {asked.pop('options', '')}".strip()
    return url.set(query={"application_name": "pemr", **_WAIT, **asked, "options": options})


def _told(address: Address, error: Exception) -> CatalogError:
    """Turn an error of the server into a sentence."""
    words = " ".join(str(error).split())
    code = getattr(error, "sqlstate", None)
    if code is None and words.startswith("connection failed"):
        return CatalogError(address, _refused(words))
    if (code or "").startswith(("08", "57P")) or (code is None and _GONE.search(words)):
        return CatalogWriteError(address, _WENT_AWAY)
    if code in _WAYS_OUT:
        return CatalogWriteError(address, _WAYS_OUT[code].format(words))
    return CatalogWriteError(address, f"it cannot be used: {words}")


def _refused(words: str) -> str:
    said = words.rpartition("FATAL: ")[2].strip() if "FATAL: " in words else ""
    if _GONE.search(said):  # it is being stopped, or is not yet up
        return _WENT_AWAY
    for hint, code in _BY_WORDS.items():
        if hint in said:
            return _WAYS_OUT[code].format(said)
    said = said or words.removeprefix("connection failed: ").partition(" Is the server")[0]
    return f"its server cannot be reached ({said}); what was stored is safe"


class ServerLock:
    """Tells those who write to a catalog together from one who must be alone.

    An advisory lock of the database, held by a connection of its own: the server frees it when the
    process ends, however it ends.

    Parameters
    ----------
    engine : Engine
        From `open_engine`.
    address : Address
        For the error.
    is_alone : bool
        Whether nobody else may write meanwhile.

    Raises
    ------
    CatalogWriteError
        If others write, and one must be alone; or if one who must be alone writes.
    """

    def __init__(self, engine: Engine, address: Address, *, is_alone: bool) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        kind = "" if is_alone else "_shared"
        ask = text(f"SELECT pg_try_advisory_lock{kind}({_LOCKS}, {_WRITING})")
        if not self._connection.scalar(ask):
            self.release()
            reason = "another pemr is writing to it; wait for that to end, or stop it"
            raise CatalogWriteError(address, reason)

    def release(self) -> None:
        """Let the others in."""
        if not self._connection.closed:
            self._connection.invalidate()  # so that it does not go back to the pool with its lock
            self._connection.close()


@contextmanager
def making(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which nobody else makes tables or changes them."""
    with for_writing(engine).begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '20s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCKS}, {_MAKING})"))
        yield connection


@contextmanager
def filling(engine: Engine) -> Iterator[None]:
    """Wait until no other process fills a catalog's engine for vectors, and keep others out.

    A catalog in a folder has one writer, who need not wait.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCKS}, {_FILLING})"))
        yield
    finally:
        connection.invalidate()  # so that it does not go back to the pool with its lock
        connection.close()


def refuse_busy(connection: Connection, address: Address) -> None:
    """Raise a `CatalogWriteError` if somebody writes, until the transaction ends."""
    ask = text(f"SELECT pg_try_advisory_xact_lock({_LOCKS}, {_WRITING})")
    if not connection.scalar(ask):
        reason = "another pemr is writing to it; that must end before it is brought up to date"
        raise CatalogWriteError(address, reason)


def refuse_foreign_tables(connection: Connection, address: Address, tables: set[str]) -> None:
    """Raise a `CatalogWriteError` where no catalog can be made: others' tables, or no Unicode."""
    if tables:
        reason = "that database holds the tables of another program; name one that is empty"
        raise CatalogWriteError(address, reason)
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        reason = f"that database is in {encoding}; make one with `createdb --encoding UTF8`"
        raise CatalogWriteError(address, reason)
