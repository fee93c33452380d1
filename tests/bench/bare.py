"""The least that a database must do for a batch: its event rows and its packed rows, written by the driver itself."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg

from nudge_sdk.rules.records import Record
from nudge_sdk.store import postgresql_statements
from nudge_sdk.store.postgresql_statements import EVENTS_TABLE
from nudge_sdk.store.protocol import Key, Store, SubjectRow
from nudge_sdk.store.rows import EventRow, pack_record
from nudge_sdk.store.sqlite_connections import connect, prepare_for_writing
from nudge_sdk.store.statements import ACCOUNTS, INSERT_EVENT, MEMBERS
from nudge_sdk.store.subject_rows import values

BATCH = 1000
PUT_MEMBER = "UPDATE nudge_members SET standing = ?, state = ? WHERE account_id = ? AND user_id = ?"
PUT_ACCOUNT = "UPDATE nudge_accounts SET standing = ?, state = ? WHERE account_id = ?"


class Batch(NamedTuple):
    """What one transaction writes: a row an event, and with each event its member's and its account's row."""

    events: list[EventRow]
    members: list[SubjectRow]
    accounts: list[SubjectRow]


class Bare(Protocol):
    """Writes batches without the SDK."""

    def write(self, batches: Sequence[Batch]) -> float:
        """Return the seconds that writing takes."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


def batches_of(store: Store, records: Sequence[Record]) -> list[Batch]:
    """Return the rows of records, with the packed rows as the store has them."""
    found = []
    for at in range(0, len(records), BATCH):
        some = records[at : at + BATCH]
        keys: list[Key] = sorted(
            {key for each in some for key in ((each.account_id, each.user_id), (each.account_id, ""))}
        )
        rows = store.read_subjects(keys)
        members = [rows[each.account_id, each.user_id] for each in some]
        found.append(Batch([pack_record(each) for each in some], members, [rows[each.account_id, ""] for each in some]))
    return found


def renamed(batches: Sequence[Batch], mark: bytes) -> list[Batch]:
    """Return the same batches as other events."""
    return [each._replace(events=[(*row[:4], row[4] + mark, *row[5:]) for row in each.events]) for each in batches]


def once(batches: Sequence[Batch]) -> list[Batch]:
    """Return the same batches with each packed row once a batch."""
    return [each._replace(members=_unique(each.members), accounts=_unique(each.accounts)) for each in batches]


def _unique(rows: Sequence[SubjectRow]) -> list[SubjectRow]:
    return list({row.key: row for row in rows}.values())


class BareSqlite:
    """Writes to a file as the SDK's settings have it: an insert an event, an update a packed row.

    Args:
        path: A file with the SDK's tables and the members.
    """

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection = connect(str(path))
        prepare_for_writing(self._connection, time.monotonic() + 10)

    def write(self, batches: Sequence[Batch]) -> float:
        ready = [
            (
                batch.events,
                [(row.standing, _changed(row), *row.key) for row in batch.members],
                [(row.standing, _changed(row), row.account_id) for row in batch.accounts],
            )
            for batch in batches
        ]
        began = time.perf_counter()
        for events, members, accounts in ready:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT_EVENT, events)
            self._connection.executemany(PUT_MEMBER, members)
            self._connection.executemany(PUT_ACCOUNT, accounts)
            self._connection.execute("COMMIT")
        return time.perf_counter() - began

    def close(self) -> None:
        self._connection.close()


def _changed(row: SubjectRow) -> bytes:
    # SQLite does not write a page whose bytes stay the same.
    return os.urandom(16) + row.state[16:]


class BarePostgresql:
    """Copies into staging tables and inserts from them.

    One statement cannot write a row twice, so batches must name each packed row once.

    Args:
        url: A database with the SDK's tables and the members.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        for statement in postgresql_statements.MAKE_STAGE.values():
            self._connection.execute(statement)

    def write(self, batches: Sequence[Batch]) -> float:
        ready = [
            {
                EVENTS_TABLE: batch.events,
                ACCOUNTS: [values(row, ledger=(b"", 0)) for row in batch.accounts],
                MEMBERS: [values(row, ledger=(b"", 0)) for row in batch.members],
            }
            for batch in batches
        ]
        inserts = {**postgresql_statements.PUT_STAGED, EVENTS_TABLE: postgresql_statements.INSERT_STAGED_EVENTS}
        began = time.perf_counter()
        for tables in ready:
            with self._connection.transaction():
                for table, rows in tables.items():
                    self._copy(table, rows)
                    self._connection.execute(inserts[table])
        return time.perf_counter() - began

    def _copy(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(postgresql_statements.COPY[table]) as copy:
            copy.set_types(postgresql_statements.COPIED_TYPES[table])
            for row in rows:
                copy.write_row(row)

    def close(self) -> None:
        self._connection.close()
