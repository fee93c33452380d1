"""One write transaction on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nudge_sdk.rules.records import Record
from nudge_sdk.store import sqlite_statements as sql
from nudge_sdk.store import statements
from nudge_sdk.store.protocol import Alias, Key, SubjectRow
from nudge_sdk.store.rows import EventKey, EventRow, Identity, in_order
from nudge_sdk.store.sql_transaction import Lookup, SqlTransaction, remove
from nudge_sdk.store.statements import ACCOUNTS, MEMBERS, TABLES
from nudge_sdk.store.subject_rows import Indexed, by_table, indexed, plain_values, subject_from, values


def flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Return the values of rows one after another."""
    return [value for row in rows for value in row]


class SqliteLookup(Lookup):
    """Finds what is stored in one SQLite file.

    Args:
        run: Returns the rows of a query.
    """

    def __init__(self, run: Callable[[str, Sequence[Any]], list[Any]]) -> None:
        self._run = run

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._run(statement, parameters)

    def among(self, query: Callable[[int], str], keys: Sequence[Sequence[Any]]) -> set[Any]:
        """Return all rows that a query of so many keys finds for these."""
        return {row for piece in sql.chunks(keys) for row in self.rows(query(len(piece)), flat(piece))}

    def stored_events(self, keys: Sequence[EventKey]) -> set[EventKey]:
        return self.among(sql.stored_events, keys)

    def stored_clamped(self, identities: Sequence[Identity]) -> set[Identity]:
        return self.among(sql.stored_clamped, identities)


class SqliteTransaction(SqliteLookup, SqlTransaction):
    """What is done between BEGIN and COMMIT; see ``store.protocol.Transaction``."""

    is_alone = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(self._fetch)
        self._connection = connection
        self._execute = connection.execute
        self._loaded: dict[Key, Indexed] = {}

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        return self._execute(statement, parameters).fetchall()

    def count(self, statement: str, parameters: Sequence[Any]) -> int:
        return self._execute(statement, parameters).rowcount

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        found: dict[Key, SubjectRow] = {}
        for table, wanted in by_table(keys):
            for piece in sql.chunks(wanted):
                rows = map(subject_from, self._execute(sql.read_subjects(table, len(piece)), flat(piece)))
                found.update((row.key, row) for row in rows)
            missing = [SubjectRow(account_id=a, user_id=u) for a, u in wanted if (a, u) not in found]
            self.many(statements.INSERT_SUBJECT[table], (values(row) for row in missing))
            found.update((row.key, row) for row in missing)
        self._loaded.update((key, indexed(row)) for key, row in found.items())
        return found

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        return sorted(self.among(sql.members_of, [(account_id,) for account_id in sorted(set(account_ids))]))

    def insert_events(self, fresh: dict[int, EventRow]) -> None:
        """Insert all; only when one of them is stored already, look up which."""
        rows = list(fresh.values())
        waiting = iter(rows)
        try:
            self.many(statements.INSERT_EVENT, waiting)
        except sqlite3.IntegrityError:
            # Those before the one that was refused are in.
            rest = rows[-1 - sum(1 for _ in waiting) :]
            stored = self.stored_events([row[:5] for row in rest])
            remove(fresh, [index for index, row in fresh.items() if row[:5] in stored])
            self.many(statements.INSERT_EVENT, [row for row in rest if row[:5] not in stored])

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        whole: dict[str, list[Any]] = {MEMBERS: [], ACCOUNTS: []}
        plain: dict[str, list[Any]] = {MEMBERS: [], ACCOUNTS: []}
        for row in rows:
            table = MEMBERS if row.user_id else ACCOUNTS
            if self._loaded.get(row.key) == indexed(row):
                plain[table].append(plain_values(row))
            else:
                whole[table].append(values(row, ledger=(b"", 0)))
                self._loaded[row.key] = indexed(row)
        for table in TABLES:
            self.many(statements.PUT_SUBJECT_PLAIN[table], plain[table])
            self.many(statements.PUT_SUBJECT[table], whole[table])

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        return {(row[0], row[1]): Alias(*row) for row in self.among(sql.read_aliases, sorted(set(keys)))}

    def delete_subject(self, key: Key) -> None:
        super().delete_subject(key)
        self._loaded.pop(key, None)

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        wanted = sorted(set(keys))
        if not wanted:
            return iter(())
        return in_order(self._execute(sql.events_of(len(wanted)), (*flat(wanted), first_day, last_day, last_day)))

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        return in_order(self._execute(sql.EVENTS_OF_ACCOUNT, (first_day, last_day, last_day, account_id)))

    def release_import(self, import_id: str, next_change: int) -> int:
        self._loaded.clear()
        return super().release_import(import_id, next_change)

    def take_inbox(self, limit: int) -> list[tuple[int, bytes]]:
        rows = self.rows(sql.INBOX, (limit,))
        if rows:
            self.count(sql.DELETE_INBOX, (rows[-1][0],))
        return rows
