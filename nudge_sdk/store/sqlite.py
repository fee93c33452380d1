"""The SQLite store: one file, no server. It speaks to the driver directly; SQLAlchemy is loaded by ``migrate`` only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import SECOND
from nudge_sdk.store import sqlite_statements as sql
from nudge_sdk.store.migrations import HEAD_REVISION
from nudge_sdk.store.protocol import (
    Alias,
    DefinitionRow,
    EpisodeRow,
    Exposure,
    Key,
    Quarantined,
    Reached,
    SubjectRow,
    Transition,
)
from nudge_sdk.store.rows import identity, in_order, pack_record
from nudge_sdk.store.sqlite_connections import Connections, connect, prepare_for_writing, translated
from nudge_sdk.store.sqlite_transaction import (
    SqliteTransaction,
    among,
    by_table,
    flat,
    stored_on_other_days,
    subject_from,
)

LEASE_WAIT = 1.0
"""Seconds that taking or giving back a lease waits for other writers."""

MIGRATION_WAIT = 60.0
"""Seconds that a starting process waits for another one that is migrating."""


class SqliteStore:
    """Durable memory in one SQLite file; see ``store.protocol.Store``.

    Args:
        path: The file. Nothing is opened before the first use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connections = Connections(path)
        self._read = self._connections.read

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[SqliteTransaction]:
        with self._connections.writing(wait) as connection:
            yield SqliteTransaction(connection)

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        few = _few(keys, sql.READ_FEW)
        rows = self._read(*few) if few else self._by_key(sql.read_subjects, keys)
        return {(row[0], row[1]): subject_from(row) for row in rows}

    def read_ledger_versions(self, keys: Sequence[Key]) -> dict[Key, int]:
        versions = dict.fromkeys(keys, 0)
        few = _few(keys, sql.READ_FEW_VERSIONS)
        rows = self._read(*few) if few else self._by_key(sql.read_versions, keys)
        versions.update(((row[0], row[1]), row[2]) for row in rows)
        return versions

    def _by_key(self, query: Callable[[str, int], str], keys: Sequence[Key]) -> list[Any]:
        return [
            row
            for table, wanted in by_table(keys)
            for piece in sql.chunks(wanted)
            for row in self._read(query(table, len(piece)), flat(piece))
        ]

    def read_alias(self, key: Key) -> Alias | None:
        rows = self._read(sql.ALIAS, key)
        return Alias(*rows[0]) if rows else None

    def read_position(self, journal: str) -> int | None:
        rows = self._read(sql.POSITION, (journal,))
        return rows[0][0] if rows else None

    def read_definition_state(self) -> tuple[int, int]:
        newest, live = self._read(sql.DEFINITION_STATE)[0]
        return (newest, live)

    def count_outdated(self, signals: int) -> int:
        count: int = self._read(sql.COUNT_OUTDATED, (signals,))[0][0]
        return count

    def read_known(self, records: Sequence[Record]) -> list[bool]:
        rows = [pack_record(record) for record in records]
        known = stored_on_other_days(self._read, rows)
        known |= set(map(identity, among(self._read, sql.stored_events, [row[:5] for row in rows])))
        return [identity(row) in known for row in rows]

    def definitions(self) -> list[DefinitionRow]:
        return [DefinitionRow(*row) for row in self._read(sql.DEFINITIONS)]

    def subjects(self, *, after: Key | None = None, limit: int = 1000, members: bool | None = None) -> list[SubjectRow]:
        query = {None: sql.PAGE_ALL, True: sql.PAGE_MEMBERS, False: sql.PAGE_ACCOUNTS}[members]
        return [subject_from(row) for row in self._read(query, (*(after or ("", "")), limit))]

    def transitions(self, account_id: str, user_id: str) -> list[Transition]:
        rows = self._read(sql.TRANSITIONS, (account_id, user_id))
        return [Transition(*(*row[:9], bool(row[9]), row[10])) for row in rows]

    def episodes(self, account_id: str, user_id: str) -> list[EpisodeRow]:
        return [EpisodeRow(*row) for row in self._read(sql.EPISODES, (account_id, user_id))]

    def exposures(self, account_id: str, user_id: str) -> list[Exposure]:
        return [Exposure(*row) for row in self._read(sql.EXPOSURES, (account_id, user_id))]

    def reached(self, account_id: str, user_id: str) -> list[Reached]:
        return [Reached(*row) for row in self._read(sql.REACHED, (account_id, user_id))]

    def records(self) -> Iterator[Record]:
        return in_order(self._connections.stream(sql.EVENTS))

    def quarantined(self) -> list[Quarantined]:
        return [Quarantined(*row) for row in self._read(sql.QUARANTINED)]

    def acquire_lease(self, name: str, holder: str, *, now: int, seconds: float) -> bool:
        rows = self._read(sql.LEASE, (name,))
        if rows and rows[0][0] != holder and rows[0][1] > now:
            return False
        until = now + round(seconds * SECOND)
        with self._connections.writing(LEASE_WAIT) as connection:
            return connection.execute(sql.TAKE_LEASE, (name, holder, until, now)).rowcount == 1

    def release_lease(self, name: str, holder: str) -> None:
        with self._connections.writing(LEASE_WAIT) as connection:
            connection.execute(sql.RELEASE_LEASE, (name, holder))

    def migrate(self) -> None:
        """Bring the schema to this release's version; safe to call from several processes at once.

        Raises:
            StoreBusyError: Another process migrated for too long.
            StoreError: The file cannot be written, or a newer release made its schema.
        """
        if not self.schema_is_current():
            _migrate(self.path)

    def schema_is_current(self) -> bool:
        return _revision(self._read) == HEAD_REVISION

    def close(self) -> None:
        self._connections.close()

    def after_fork(self) -> None:
        self._connections.after_fork()


def _few(keys: Sequence[Key], queries: Sequence[str]) -> tuple[str, Key | tuple[str] | tuple[str, str, str]] | None:
    """Return query and parameters for what a request asks for: a member, an account, or one of each."""
    if len(keys) == 1:
        return (queries[0], keys[0]) if keys[0][1] else (queries[1], keys[0][:1])
    if len(keys) != 2 or bool(keys[0][1]) == bool(keys[1][1]):
        return None
    member, account = keys if keys[0][1] else (keys[1], keys[0])
    return queries[2], (*member, account[0])


def _revision(read: Callable[[str], list[Any]]) -> str | None:
    if not read("SELECT 1 FROM sqlite_master WHERE name = 'nudge_alembic_version'"):
        return None
    rows = read(sql.REVISION)
    return rows[0][0] if rows else None


def _migrate(path: str) -> None:
    """Hold SQLite's write lock over the whole of it: one process migrates, and a crash leaves the old schema."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    from nudge_sdk.store.migrations.runner import knows_revision, upgrade

    try:
        with closing(connect(path)) as raw:
            prepare_for_writing(raw, time.monotonic() + MIGRATION_WAIT)
            raw.execute(f"PRAGMA busy_timeout={round(MIGRATION_WAIT * 1000)}").close()
            # SQLAlchemy rolls back once when it first sees a connection, so the transaction begins after that.
            with create_engine("sqlite://", creator=lambda: raw, poolclass=NullPool).connect() as connection:
                raw.execute("BEGIN IMMEDIATE")
                with connection.begin():
                    revision = _revision(lambda query: raw.execute(query).fetchall())
                    if revision is not None and not knows_revision(revision):
                        raise StoreError(f"{path} has schema {revision} of a newer nudge-sdk; install that one.")
                    upgrade(connection)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except DBAPIError as error:
        raise StoreError(f"{path}: {error.orig}") from error
