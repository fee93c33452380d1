from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from nudge_sdk.errors import StoreError
from nudge_sdk.store.migrations import HEAD_REVISION
from nudge_sdk.store.migrations.runner import configuration
from nudge_sdk.store.schema import VERSION_TABLE, Base, include_name
from nudge_sdk.store.sqlite import SqliteStore
from tests import sqlite
from tests.store.examples import insert, record
from tests.store.processes import finish, start, wait_for

pytestmark = pytest.mark.usefixtures("real_migrations")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a 100% odd\tname.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    yield engine
    engine.dispose()


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _differences(engine: Engine, metadata: MetaData, **options: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_migrating_makes_the_schema_current(store: SqliteStore) -> None:
    assert not store.schema_is_current()
    store.migrate()
    assert store.schema_is_current()
    store.migrate()
    assert insert(store, record()) == [True]


def test_the_migrated_schema_is_the_one_of_the_models(store: SqliteStore, path: Path, engine: Engine) -> None:
    store.migrate()
    assert _differences(engine, Base.metadata, version_table=VERSION_TABLE) == []
    with closing(sqlite3.connect(path)) as migrated, closing(sqlite3.connect(":memory:")) as modelled:
        for table in Base.metadata.sorted_tables:
            modelled.execute(str(CreateTable(table).compile(engine)))
            for index in table.indexes:
                modelled.execute(str(CreateIndex(index).compile(engine)))
        query = "SELECT name, sql FROM sqlite_master WHERE name NOT IN (?, 'sqlite_sequence') AND sql IS NOT NULL"
        assert _normal(migrated.execute(query, (VERSION_TABLE,))) == _normal(modelled.execute(query, (VERSION_TABLE,)))


def _normal(rows: Any) -> dict[str, str]:
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_release_knows_its_newest_revision() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD_REVISION


def test_every_table_is_named_nudge() -> None:
    assert all(name.startswith("nudge_") for name in (*Base.metadata.tables, VERSION_TABLE))


def test_the_schema_is_valid_for_postgresql_too() -> None:
    dialect = postgresql.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in Base.metadata.sorted_tables]
    assert any('COLLATE "C"' in text for text in made)
    indexes = [index for table in Base.metadata.sorted_tables for index in table.indexes]
    assert sum("WHERE" in str(CreateIndex(index).compile(dialect=dialect)) for index in indexes) == 9


def test_names_of_tables_and_indexes_fit_postgresql() -> None:
    names = [index.name for table in Base.metadata.sorted_tables for index in table.indexes]
    assert max(len(str(name)) for name in (*names, *Base.metadata.tables)) < 63


MIGRATE = """
import sqlalchemy, alembic.command, alembic.config, nudge_sdk.store.migrations.runner
print("ready", flush=True); sys.stdin.readline()
store.migrate()
print("migrated", flush=True)
insert(store, record(sys.argv[2]))
"""


def test_four_processes_migrate_at_once(store: SqliteStore, path: Path) -> None:
    processes = [start(MIGRATE, path, name) for name in ("one", "two", "three", "four")]
    for process in processes:
        wait_for(process, "ready")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [finish(process) for process in processes] == ["migrated\n"] * 4
    assert store.schema_is_current()
    assert sorted(r.id for r in store.records()) == ["four", "one", "three", "two"]


def test_kill_9_in_the_middle_of_a_migration_leaves_the_old_schema_or_the_new(tmp_path: Path) -> None:
    chosen = random.Random(11)
    for attempt in range(4):
        path = tmp_path / f"{attempt}.db"
        process = start(MIGRATE, path, "one")
        wait_for(process, "ready")
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(chosen.uniform(0.0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = SqliteStore(str(path))
        assert store.schema_is_current() or _tables(path) == set()
        store.migrate()
        assert insert(store, record("two")) == [True]
        store.close()


def test_a_schema_of_a_newer_release_is_left_alone(store: SqliteStore, path: Path) -> None:
    store.migrate()
    with closing(sqlite3.connect(path)) as later, later:
        later.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    assert not store.schema_is_current()
    with pytest.raises(StoreError, match="9999 of a newer nudge-sdk"):
        store.migrate()


def test_the_tables_of_a_host_in_the_same_file_are_left_alone(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as host, host:
        host.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
        host.execute("CREATE TABLE alembic_version (version_num TEXT)")
        host.execute("INSERT INTO alembic_version VALUES ('host')")
    store.migrate()
    with closing(sqlite3.connect(path)) as host:
        assert host.execute("SELECT version_num FROM alembic_version").fetchall() == [("host",)]
    assert "invoices" in _tables(path)


def test_a_host_that_uses_include_name_is_not_told_to_drop_our_tables(store: SqliteStore, engine: Engine) -> None:
    store.migrate()
    host = MetaData()
    Table("invoices", host, Column("id", Integer, primary_key=True))
    with engine.begin() as connection:
        host.create_all(connection)
    assert any(difference[0] == "remove_table" for difference in _differences(engine, host))
    assert _differences(engine, host, include_name=include_name) == []


def test_other_tests_get_what_the_migrations_make(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    store.migrate()
    filled = tmp_path / "filled.db"
    sqlite.fill(str(filled))
    made = []
    for each in (path, filled):
        with closing(sqlite3.connect(each)) as connection:
            made.append((list(connection.iterdump()), connection.execute("PRAGMA journal_mode").fetchone()))
    assert made[0] == made[1]
    assert len(made[0][0]) > 30
