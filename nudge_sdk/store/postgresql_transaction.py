"""One write transaction on PostgreSQL.

Others write at the same time. Accounts are locked before their members, each in sorted order, so that no two
transactions wait for each other; where PostgreSQL still finds them doing so it ends one, and the batch is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nudge_sdk.errors import StoreBusyError
from nudge_sdk.rules.records import Record
from nudge_sdk.store import postgresql_statements as sql
from nudge_sdk.store import statements
from nudge_sdk.store.postgresql_connections import Bounded
from nudge_sdk.store.protocol import Alias, Key, SubjectRow
from nudge_sdk.store.rows import EventKey, EventRow, Identity, in_order
from nudge_sdk.store.sql_transaction import Lookup, SqlTransaction, remove
from nudge_sdk.store.statements import ACCOUNTS, MEMBERS, TABLES
from nudge_sdk.store.subject_rows import by_table, subject_from, values

FEW = 8
"""Up to so many rows are written one by one; more go through a staging table."""

_ATTEMPTS = 5


class PostgresqlLookup(Lookup):
    """Finds what is stored in a PostgreSQL database.

    Args:
        run: Returns the rows of a query.
    """

    def __init__(self, run: Callable[[str, Sequence[Any]], list[Any]]) -> None:
        self._run = run

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._run(statement, parameters)

    def stored_events(self, keys: Sequence[EventKey]) -> set[EventKey]:
        return set(self.rows(sql.STORED_EVENTS, arrays(keys))) if keys else set()

    def stored_clamped(self, identities: Sequence[Identity]) -> set[Identity]:
        return set(self.rows(sql.STORED_CLAMPED, arrays(identities))) if identities else set()


class PostgresqlTransaction(PostgresqlLookup, SqlTransaction):
    """What is done between BEGIN and COMMIT; see ``store.protocol.Transaction``.

    Args:
        connection: Inside the transaction.
        partition: Makes room for events of these UTC days.
    """

    is_alone = False

    def __init__(self, connection: Bounded, partition: Callable[[set[int]], None]) -> None:
        super().__init__(self._fetch)
        self._connection = connection
        self._partition = partition

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        return self._connection.execute(*sql.spoken(statement, parameters), binary=True).fetchall()

    def count(self, statement: str, parameters: Sequence[Any]) -> int:
        return self._connection.execute(*sql.spoken(statement, parameters)).rowcount

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        wanted = list(rows)
        if wanted:
            with self._connection.cursor() as cursor:
                cursor.executemany(sql.translated(statement)[0], wanted)

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        found: dict[Key, SubjectRow] = {}
        for table, wanted in reversed(by_table(keys)):
            found.update(self._locked(table, wanted))
        return found

    def _locked(self, table: str, wanted: list[Key]) -> dict[Key, SubjectRow]:
        """Lock rows, making those that are missing; another transaction may make or drop some meanwhile."""
        found: dict[Key, SubjectRow] = {}
        for _ in range(_ATTEMPTS):
            rows = map(subject_from, self.rows(sql.LOCK_SUBJECTS[table], _among(table, wanted)))
            found.update((row.key, row) for row in rows)
            wanted = [key for key in wanted if key not in found]
            if not wanted:
                return found
            blank = (values(SubjectRow(account_id=account_id, user_id=user_id)) for account_id, user_id in wanted)
            self.many(f"{statements.INSERT_SUBJECT[table]} ON CONFLICT DO NOTHING", blank)
        raise StoreBusyError("members are made and joined faster than they can be locked; try again.")

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        return sorted(self.rows(sql.MEMBERS_OF, (list(set(account_ids)),)))

    def insert_events(self, fresh: dict[int, EventRow]) -> None:
        """Insert all; only when one of them is stored already, look up which."""
        if not fresh:
            return
        self._make_room({row[0] for row in fresh.values()})
        self._make_stage(sql.EVENTS_TABLE)
        self._connection.execute("SAVEPOINT events")
        while self._insert_all(list(fresh.values())) < len(fresh):
            # Whoever wrote the same has committed by now, so that it is found.
            self._connection.execute("ROLLBACK TO events")
            stored = self.stored_events([row[:5] for row in fresh.values()])
            remove(fresh, [index for index, row in fresh.items() if row[:5] in stored])
        self._connection.execute("RELEASE events")

    def _make_room(self, days: set[int]) -> None:
        """Make missing partitions; once a month, and so not part of the time that a request may take."""
        began = time.monotonic()
        self._partition(days)
        self._connection.deadline += time.monotonic() - began

    def _insert_all(self, rows: list[EventRow]) -> int:
        if len(rows) > FEW:
            self._stage(sql.EVENTS_TABLE, rows)
            return self.count(sql.INSERT_STAGED_EVENTS, ())
        return sum(self.count(sql.INSERT_EVENT, row) for row in rows)

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        by_name: dict[str, list[Any]] = {MEMBERS: [], ACCOUNTS: []}
        for row in rows:
            by_name[MEMBERS if row.user_id else ACCOUNTS].append(values(row, ledger=(b"", 0)))
        for table in TABLES:
            if len(by_name[table]) > FEW:
                self._stage(table, by_name[table])
                self.count(sql.PUT_STAGED[table], ())
            else:
                self.many(statements.PUT_SUBJECT[table], by_name[table])

    def _stage(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Copy rows into the staging table of this connection, which is empty outside of transactions."""
        self._make_stage(table)
        self._connection.execute(sql.EMPTY_STAGE[table])
        with self._connection.cursor() as cursor, cursor.copy(sql.COPY[table]) as copy:
            copy.set_types(sql.COPIED_TYPES[table])
            for row in rows:
                copy.write_row(row)

    def _make_stage(self, table: str) -> None:
        if table not in self._connection.stages:
            self._connection.execute(sql.MAKE_STAGE[table])
            self._connection.stages.add(table)

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        rows = self.rows(sql.READ_ALIASES, arrays(sorted(set(keys)))) if keys else []
        return {(row[0], row[1]): Alias(*row) for row in rows}

    def definition_state(self, *, is_changing: bool = False) -> tuple[int, int]:
        self.rows(sql.LOCK_TO_PUBLISH if is_changing else sql.LET_NOBODY_PUBLISH)
        return super().definition_state()

    def put_definition(self, row: Any) -> None:
        self.rows(sql.LOCK_TO_PUBLISH)
        super().put_definition(row)

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        wanted = sorted(set(keys))
        return in_order(self.rows(sql.EVENTS_OF, (first_day, last_day, *arrays(wanted))) if wanted else ())

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        return in_order(self.rows(sql.EVENTS_OF_ACCOUNT, (first_day, last_day, account_id)))

    def take_inbox(self, limit: int) -> list[tuple[int, bytes]]:
        return sorted(self.rows(sql.TAKE_INBOX, (limit,)))


def arrays(keys: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return keys as one array a column."""
    return [list(column) for column in zip(*keys, strict=True)]


def _among(table: str, keys: Sequence[Key]) -> list[list[Any]]:
    return arrays(keys) if table == MEMBERS else [[account_id for account_id, _ in keys]]
