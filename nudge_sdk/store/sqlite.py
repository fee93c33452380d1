"""The SQLite store: one file, no server. It speaks to the driver directly; SQLAlchemy is loaded by ``migrate`` only."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.store import sqlite_statements as sql
from nudge_sdk.store import statements
from nudge_sdk.store.protocol import Key
from nudge_sdk.store.rows import in_order
from nudge_sdk.store.sql_store import LEASE_WAIT, MIGRATION_WAIT, SqlStore
from nudge_sdk.store.sqlite_connections import Connections, connect, prepare_for_writing, translated
from nudge_sdk.store.sqlite_scrubbing import scrub
from nudge_sdk.store.sqlite_transaction import SqliteLookup, SqliteTransaction, flat
from nudge_sdk.store.subject_rows import by_table


class SqliteStore(SqlStore):
    """Durable memory in one SQLite file; see ``store.protocol.Store``.

    Args:
        path: The file. Nothing is opened before the first use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connections = Connections(path)

    @property
    def sqlalchemy_url(self) -> str:
        return f"sqlite:///{Path(self.path).absolute()}"

    def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._connections.read(statement, parameters)

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[SqliteTransaction]:
        with self._connections.writing(wait) as connection:
            yield SqliteTransaction(connection)

    def _change(self, statement: str, parameters: Sequence[Any]) -> int:
        with self._connections.writing(LEASE_WAIT) as connection:
            return connection.execute(statement, parameters).rowcount

    def _profile(self, key: Key, journals: Sequence[str]) -> list[Any]:
        return self._read(sql.READ_PROFILE, (*key, json.dumps(journals)))

    def _many_subjects(self, keys: Sequence[Key]) -> list[Any]:
        return self._by_key(sql.read_subjects, keys)

    def _many_versions(self, keys: Sequence[Key]) -> list[Any]:
        return self._by_key(sql.read_versions, keys)

    def _by_key(self, query: Callable[[str, int], str], keys: Sequence[Key]) -> list[Any]:
        return [
            row
            for table, wanted in by_table(keys)
            for piece in sql.chunks(wanted)
            for row in self._read(query(table, len(piece)), flat(piece))
        ]

    def read_known(self, records: Sequence[Record]) -> list[bool]:
        return SqliteLookup(self._read).known(records)

    def _stream(self, statement: str) -> Iterator[Any]:
        return self._connections.stream(statement)

    def records(self) -> Iterator[Record]:
        return in_order(self._stream(statements.EVENTS))

    def release_room(self, before: int, *, wait: float) -> int:
        return 0

    def scrub(self, days: Collection[int] | None, *, wait: float) -> None:
        deadline = time.monotonic() + wait
        with self._connections.maintaining(wait) as connection:
            scrub(connection, self.path, deadline)

    def _revision(self, read: Callable[[str], list[Any]]) -> str | None:
        return _revision(read)

    def _migrate(self) -> None:
        _migrate(self.path)

    def close(self) -> None:
        self._connections.close()

    def after_fork(self) -> None:
        self._connections.after_fork()


def _revision(read: Callable[[str], list[Any]]) -> str | None:
    if not read("SELECT 1 FROM sqlite_master WHERE name = 'nudge_alembic_version'"):
        return None
    rows = read(statements.REVISION)
    return rows[0][0] if rows else None


def _migrate(path: str) -> None:
    """Hold SQLite's write lock over the whole of it: one process migrates, and a crash leaves the old schema."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    from nudge_sdk.store.migrations.runner import upgrade_from

    try:
        with closing(connect(path)) as raw:
            prepare_for_writing(raw, time.monotonic() + MIGRATION_WAIT)
            raw.execute(f"PRAGMA busy_timeout={round(MIGRATION_WAIT * 1000)}").close()
            # SQLAlchemy rolls back once when it first sees a connection, so the transaction begins after that.
            with create_engine("sqlite://", creator=lambda: raw, poolclass=NullPool).connect() as connection:
                raw.execute("BEGIN IMMEDIATE")
                with connection.begin():
                    upgrade_from(_revision(lambda query: raw.execute(query).fetchall()), connection, path)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except DBAPIError as error:
        raise StoreError(f"{path}: {error.orig}") from error
