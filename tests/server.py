"""A PostgreSQL server that the tests start themselves, on this machine alone."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from indexer import Address

PASSWORD = "not a secret"
_TABLES = "root, track, skip, catalog, change, claim, removal"  # the others go with these


def programs() -> Path | None:
    """Find the server's programs."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: one.parts[4])
    beside = shutil.which("initdb")
    return folders[-1].parent if folders else beside and Path(beside).parent


class Server:
    """A server in a temporary folder, started anew where that is asked for."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pemr-server-"))
        self.programs = programs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._user = []
        if os.getuid() == 0:  # it refuses to run as root
            shutil.chown(self.folder, "nobody")
            self._user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o644)
        how = ("--username=pemr", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
        password = f"--pwfile={self.folder / 'password'}"
        self._run("initdb", f"--pgdata={self.folder / 'data'}", *how, password, "--no-sync")
        self.start()

    def _run(self, program: str, *options: str) -> None:
        command = [*self._user, str(self.programs / program), *options]
        output = subprocess.DEVNULL  # a pipe would stay open as long as the server
        subprocess.run(command, check=True, cwd="/", stdout=output, stderr=output, timeout=300)

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "autovacuum": "off",
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        data, log = self.folder / "data", self.folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, database: str, password: str = PASSWORD) -> Address:
        password = password.replace(" ", "%20")
        return Address(f"postgresql://pemr:{password}@127.0.0.1:{self.port}/{database}")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.address(database).text, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '10s'")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def emptied(self) -> Address:
        """Return the address of a database whose tables are all empty, or not made yet."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'shared'"):
            self.execute("CREATE DATABASE shared")
        elif self.execute("SELECT 1 FROM pg_tables WHERE tablename = 'claim'", "shared"):
            self.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY CASCADE", "shared")
        return self.address("shared")

    def fresh(self, how: str = "") -> Address:
        """Return the address of a database of its own, without tables."""
        name = f"fresh_{len(self.execute('SELECT 1 FROM pg_database'))}"
        self.execute(f"CREATE DATABASE {name} {how}")
        return self.address(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = programs()
    if found is None or find_spec("psycopg") is None:
        pytest.skip("no PostgreSQL here, or no psycopg: see scripts/postgresql")
    started = Server(found)
    try:
        yield started
    finally:
        started.end()
