"""The files that several processes share out among themselves, so that none is indexed twice.

Every process offers the files that it finds to be done, and takes some at a time. A claim holds as
long as the process that took it is connected: it ends with an advisory lock of its own, so what a
process leaves undone when it dies is taken by the others.
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, text
from sqlalchemy.orm import Session

from indexer import statements
from indexer.errors import CatalogError
from indexer.postgresql import CLAIMS
from indexer.records import Known

_OFFERED_AT_ONCE = 5_000

_OFFER = text("INSERT INTO claim (path) VALUES (:path) ON CONFLICT DO NOTHING")
_COUNT = text("ANALYZE claim")  # else each `take` sorts all that is offered, a second of a million
_HOLD = text(f"SELECT pg_advisory_lock({CLAIMS}, :me)")
_FREE = text("""
    UPDATE claim SET owner = NULL, audio_hash = NULL WHERE owner IS NOT NULL AND owner NOT IN (
        SELECT objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND classid = :kind AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
""")
_TAKE = """
    UPDATE claim SET owner = :me, audio_hash = NULL WHERE path IN (
        SELECT path FROM claim WHERE owner IS NULL AND ({below}) AND NOT EXISTS (
            SELECT FROM claim other
            WHERE other.audio_hash = claim.audio_hash AND other.owner IS NOT NULL
        ) ORDER BY path LIMIT :n FOR UPDATE SKIP LOCKED
    ) RETURNING path
"""
_ONE_AT_A_TIME = text(f"SELECT pg_advisory_xact_lock({CLAIMS + 1}, hashtext(:hash))")
_RESERVE = text("""
    UPDATE claim SET audio_hash = :hash WHERE path = :path AND owner = :me AND NOT EXISTS (
        SELECT FROM claim other WHERE other.audio_hash = :hash AND other.owner IS NOT NULL
    )
""")
_PUT_BACK = text(
    "UPDATE claim SET owner = NULL, audio_hash = :hash WHERE path = :path AND owner = :me"
)
_STRIKE = text("DELETE FROM claim WHERE path = :path AND owner = :me")
_GIVE_UP = text("UPDATE claim SET owner = NULL, audio_hash = NULL WHERE owner = :me")


class LostClaimError(Exception):
    """Another process has taken over a file, since this one seemed to be dead."""


class Claims:
    """The files that this process has taken, of those that several share; to be closed.

    Parameters
    ----------
    engine : Engine
        For transactions that see what others store meanwhile.
    folders : sequence of Path
        Where this process looks; nothing else is taken.
    """

    def __init__(self, engine: Engine, folders: Sequence[Path]) -> None:
        self._engine = engine
        self._me = secrets.randbits(31)
        self._below, self._bounds = _below(folders)
        self._alive: Connection | None = None
        self.held: set[Path] = set()
        self._stay_alive()

    def _stay_alive(self) -> None:
        """Hold the lock by which others know that this process lives, again if it was lost."""
        if self._alive is not None:
            try:
                self._alive.execute(text("SELECT 1"))
            except CatalogError:
                self._alive.close()
                self._alive = None
        if self._alive is None:
            self._alive = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._alive.execute(_HOLD, {"me": self._me})

    def offer(self, paths: Iterable[Path]) -> None:
        """Say that some files are to be done; those that are offered already stay as they are."""
        rest, n_offered = iter(paths), 0
        while some := [{"path": os.fsencode(one)} for one in islice(rest, _OFFERED_AT_ONCE)]:
            n_offered += len(some)
            with self._engine.begin() as connection:
                connection.execute(_OFFER, some)
        if n_offered >= _OFFERED_AT_ONCE:
            with self._engine.begin() as connection:
                connection.execute(_COUNT)

    def take(self, n_files: int) -> list[Path]:
        """Take some files that nobody has, those of processes that died among them.

        Parameters
        ----------
        n_files : int
            How many at most.

        Returns
        -------
        list of Path
            In order; none where all are done or taken.
        """
        self._stay_alive()
        take = text(_TAKE.format(below=self._below))
        with self._engine.begin() as connection:
            connection.execute(_FREE, {"kind": CLAIMS})
            values = {"me": self._me, "n": n_files, **self._bounds}
            found = sorted(connection.scalars(take, values))
        paths = [Path(os.fsdecode(path)) for path in found]
        self.held.update(paths)
        return paths

    def reserve(self, path: Path, audio_hash: str) -> bool:
        """Say that a taken file is being embedded; not if another process embeds a copy of it."""
        values = {"path": os.fsencode(path), "hash": audio_hash, "me": self._me}
        with self._engine.begin() as connection:
            connection.execute(_ONE_AT_A_TIME, {"hash": audio_hash})
            return connection.execute(_RESERVE, values).rowcount == 1

    def is_heard(self, audio_hash: str, *, is_recorded: bool) -> bool:
        """Whether some track of this audio has been embedded; see `statements.has_heard`."""
        with Session(self._engine) as session:
            return statements.has_heard(session, audio_hash, is_recorded=is_recorded)

    def of_audio(self, audio_hash: str) -> list[Known]:
        """List what is remembered of the files of all tracks of this audio, by id."""
        with Session(self._engine) as session:
            return statements.known(session, audio_hashes=[audio_hash])

    def put_back(self, path: Path, audio_hash: str | None) -> None:
        """Let go of a taken file, until no copy of it is being embedded."""
        self.held.discard(path)
        values = {"path": os.fsencode(path), "hash": audio_hash, "me": self._me}
        with self._engine.begin() as connection:
            connection.execute(_PUT_BACK, values)

    def strike(self, session: Session, path: Path) -> None:
        """Strike a taken file from the list, in the transaction that stores what became of it.

        Raises
        ------
        LostClaimError
            If another process has taken it over; then nothing must be stored.
        """
        if path not in self.held:
            return
        self.held.discard(path)
        values = {"path": os.fsencode(path), "me": self._me}
        struck: CursorResult[Any] = session.connection().execute(_STRIKE, values)
        if struck.rowcount != 1:
            raise LostClaimError(path)

    def drop(self, path: Path) -> None:
        """Strike a taken file from the list, of which nothing is to be stored."""
        with Session(self._engine) as session, session.begin(), suppress(LostClaimError):
            self.strike(session, path)

    def are_left(self) -> bool:
        """Whether files are not done, by this process or another."""
        ask = text(f"SELECT EXISTS (SELECT FROM claim WHERE {self._below})")  # noqa: S608 (our own text)
        with self._engine.connect() as connection:
            return bool(connection.scalar(ask, self._bounds))

    def close(self) -> None:
        """Let go of all that was taken and is not done."""
        if self._alive is None:
            return
        with suppress(CatalogError), self._engine.begin() as connection:  # else it ends by itself
            connection.execute(_GIVE_UP, {"me": self._me})
        self._alive.invalidate()  # so that it does not go back to the pool with its lock
        self._alive.close()
        self._alive = None


def _below(folders: Sequence[Path]) -> tuple[str, dict[str, bytes]]:
    """Write what the paths below some folders meet, those folders themselves (files) included."""
    terms: list[str] = []
    bounds: dict[str, bytes] = {}
    for number, folder in enumerate(folders):
        exact = os.fsencode(folder)
        first = exact.rstrip(b"/") + b"/"
        names = [f"{name}{number}" for name in ("at", "after", "before")]
        bounds |= dict(
            zip(names, (exact, first, first[:-1] + b"0"), strict=True)
        )  # "0" follows "/"
        terms.append("path = :{} OR (path > :{} AND path < :{})".format(*names))
    return " OR ".join(terms), bounds
