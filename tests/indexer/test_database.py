import errno
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from indexer.database import WriterLock, migrate, open_engine, writing
from indexer.errors import CatalogWriteError
from indexer.schema import REVISIONS, Base

MIGRATIONS = "indexer/migrations"


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(tmp_path, read_only=False)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables_of_the_schema(engine, tmp_path):
    migrate(engine, tmp_path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        tables = set(inspect(connection).get_table_names())
    assert tables - {"alembic_version", "sqlite_sequence"} == set(Base.metadata.tables)


def everything(engine):
    """Read how each table was made, and its rows."""
    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all()
        rows = {
            name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
            for name in inspect(connection).get_table_names()
        }
    return {"made": [tuple(one) for one in made], **rows}


def test_ids_are_never_used_again(engine, tmp_path):
    migrate(engine, tmp_path)
    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all()
    counted = {name for name, sql in made if sql and "AUTOINCREMENT" in sql}
    assert counted == {"track"}


def test_the_program_knows_all_its_migrations(request):
    scripts = ScriptDirectory(str(request.config.rootpath / MIGRATIONS))
    assert [one.revision for one in scripts.walk_revisions()][::-1] == list(REVISIONS)


def test_migrating_again_changes_nothing(engine, tmp_path):
    migrate(engine, tmp_path)
    before = everything(engine)
    migrate(engine, tmp_path)
    assert everything(engine) == before
    assert before["alembic_version"] == [(REVISIONS[-1],)]


def test_a_migration_that_is_cut_short_leaves_nothing(engine, tmp_path, monkeypatch):
    from alembic import op

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(KeyboardInterrupt):
        migrate(engine, tmp_path)
    monkeypatch.undo()
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    migrate(engine, tmp_path)


def test_foreign_keys_are_kept(engine):
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_readers_and_a_writer_get_along(engine):
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_file_system_without_shared_memory_gets_a_rollback_journal(tmp_path, monkeypatch):
    really = sqlite3.connect

    class NoSharedMemory(sqlite3.Connection):
        def execute(self, statement, *arguments):
            if statement == "SELECT 1 FROM sqlite_master":
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(statement, *arguments)

    def connect(target, **options):
        return really(target, factory=NoSharedMemory, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    engine = open_engine(tmp_path, read_only=False)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
    engine.dispose()


def test_one_writer_at_a_time(tmp_path):
    lock = WriterLock(tmp_path)
    with pytest.raises(CatalogWriteError, match="another pemr is writing"):
        WriterLock(tmp_path)
    lock.release()
    WriterLock(tmp_path).release()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written here"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written here"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "written here"),
        (sqlite3.OperationalError("unable to open database file"), "written here"),
        (sqlite3.OperationalError("database is locked"), "another program holds it"),
        (sqlite3.OperationalError("disk I/O error"), "cannot be used: disk I/O error"),
    ],
)
def test_what_goes_wrong_while_writing_is_one_sentence(tmp_path, error, sentence):
    with pytest.raises(CatalogWriteError, match=sentence) as caught, writing(tmp_path):
        raise error
    assert str(caught.value).startswith(f"catalog {tmp_path}: ")
    assert "\n" not in str(caught.value)


def test_no_number_is_too_small_on_another_database():
    for table in Base.metadata.sorted_tables:
        made = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert " INTEGER" not in made, made
        assert " SERIAL" not in made, made
