"""One write transaction on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import astuple

from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, FOREVER
from nudge_sdk.store import sqlite_statements as sql
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
from nudge_sdk.store.rows import EventKey, EventRow, Identity, identity, in_order, pack_record

MEMBERS, ACCOUNTS = sql.TABLES
_Indexed = tuple[int | None, int | None, str, str, int, str]
_Run = Callable[[str, Sequence[Any]], Iterable[Any]]


def subject_from(row: tuple[Any, ...]) -> SubjectRow:
    """Return a row of a subject query as a struct; spelt out, because every profile load pays for it."""
    return SubjectRow(
        account_id=row[0],
        user_id=row[1],
        state=row[2],
        standing=row[3],
        signals=row[4] or 0,
        definition=row[5] or 0,
        segment=row[6],
        tier=row[7],
        score=row[8],
        fit=row[9],
        active_users=row[10],
        episode_at=row[11],
        episode_ended_at=row[12],
        next_change=row[13],
        evaluated_at=row[14],
        first_day=row[15],
        last_day=row[16],
        import_id=row[17],
        ledger=row[18],
        ledger_version=row[19],
    )


def by_table(keys: Iterable[Key]) -> list[tuple[str, list[Key]]]:
    """Sort keys apart: those of members, and those of accounts, without repeats."""
    unique = sorted(set(keys))
    members, accounts = [key for key in unique if key[1]], [key for key in unique if not key[1]]
    return [(table, part) for table, part in ((MEMBERS, members), (ACCOUNTS, accounts)) if part]


def flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Return the values of rows one after another."""
    return [value for row in rows for value in row]


def among(run: _Run, query: Callable[[int], str], keys: Sequence[tuple[Any, ...]]) -> set[Any]:
    """Return all rows that a query of so many keys finds for these."""
    return {row for piece in sql.chunks(keys) for row in run(query(len(piece)), flat(piece))}


def stored_on_other_days(run: _Run, rows: Sequence[EventRow]) -> set[Identity]:
    """Return identities that are stored on another day than their row's: a time ahead of the clock moves with it."""
    known: set[Identity] = set()
    if list(run(sql.HAS_CLAMPED, ())):
        known |= among(run, sql.stored_clamped, list(map(identity, rows)))
    on_sent_days = [(row[3] // DAY, *row[1:5]) for row in rows if row[0] != row[3] // DAY]
    return known | {identity(key) for key in among(run, sql.stored_events, on_sent_days)}


class SqliteTransaction:
    """What is done between BEGIN and COMMIT; see ``store.protocol.Transaction``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._loaded: dict[Key, _Indexed] = {}

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        found: dict[Key, SubjectRow] = {}
        for table, wanted in by_table(keys):
            for piece in sql.chunks(wanted):
                rows = map(subject_from, self._execute(sql.read_subjects(table, len(piece)), flat(piece)))
                found.update((row.key, row) for row in rows)
            missing = [SubjectRow(account_id=a, user_id=u) for a, u in wanted if (a, u) not in found]
            self._connection.executemany(sql.INSERT_SUBJECT[table], (_values(row) for row in missing))
            found.update((row.key, row) for row in missing)
        self._loaded.update((key, _indexed(row)) for key, row in found.items())
        return found

    def existing(self, keys: Iterable[Key]) -> set[Key]:
        return {
            key
            for table, wanted in by_table(keys)
            for piece in sql.chunks(wanted)
            for key in self._execute(sql.existing(table, len(piece)), flat(piece))
        }

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        wanted = [(account_id,) for account_id in sorted(set(account_ids))]
        return sorted(among(self._rows, sql.members_of, wanted))

    def _rows(self, query: str, parameters: Sequence[Any]) -> Iterable[Any]:
        return self._execute(query, parameters)

    def insert_records(self, records: Sequence[Record]) -> list[bool]:
        rows = [pack_record(record) for record in records]
        # Written backwards, so that the first of equal ones stays.
        first = dict(zip(map(identity, reversed(rows)), range(len(rows) - 1, -1, -1), strict=True))
        fresh = dict(enumerate(rows)) if len(first) == len(rows) else {at: rows[at] for at in sorted(first.values())}
        elsewhere = stored_on_other_days(self._rows, list(fresh.values()))
        if elsewhere:
            _remove(fresh, [index for index, row in fresh.items() if identity(row) in elsewhere])
        self._insert_events(fresh)
        displaced = [identity(row) for row in fresh.values() if row[0] != row[3] // DAY]
        self._connection.executemany(sql.INSERT_CLAMPED, displaced)
        return [True] * len(rows) if len(fresh) == len(rows) else [index in fresh for index in range(len(rows))]

    def _insert_events(self, fresh: dict[int, EventRow]) -> None:
        """Insert all; only when one of them is stored already, look up which."""
        self._execute("SAVEPOINT events")
        try:
            self._connection.executemany(sql.INSERT_EVENT, fresh.values())
        except sqlite3.IntegrityError:
            self._execute("ROLLBACK TO events")
            stored: set[EventKey] = among(self._rows, sql.stored_events, [row[:5] for row in fresh.values()])
            _remove(fresh, [index for index, row in fresh.items() if row[:5] in stored])
            self._connection.executemany(sql.INSERT_EVENT, fresh.values())
        self._execute("RELEASE events")

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        whole: dict[str, list[Any]] = {MEMBERS: [], ACCOUNTS: []}
        plain: dict[str, list[Any]] = {MEMBERS: [], ACCOUNTS: []}
        for row in rows:
            table = MEMBERS if row.user_id else ACCOUNTS
            if self._loaded.get(row.key) == _indexed(row):
                plain[table].append(_plain_values(row))
            else:
                whole[table].append(_values(row, ledger=(b"", 0)))
                self._loaded[row.key] = _indexed(row)
        for table in sql.TABLES:
            self._connection.executemany(sql.PUT_SUBJECT_PLAIN[table], plain[table])
            self._connection.executemany(sql.PUT_SUBJECT[table], whole[table])

    def put_ledger(self, row: SubjectRow, *, expected_version: int) -> bool:
        table = MEMBERS if row.user_id else ACCOUNTS
        key = row.key if row.user_id else row.key[:1]
        changed = self._execute(sql.PUT_LEDGER[table], (row.ledger, *key, expected_version)).rowcount
        if not changed and expected_version == 0:
            statement = f"{sql.INSERT_SUBJECT[table]} ON CONFLICT DO NOTHING"
            changed = self._execute(statement, _values(row, ledger=(row.ledger, 1))).rowcount
        return changed == 1

    def add_transitions(self, rows: Iterable[Transition]) -> None:
        self._connection.executemany(sql.ADD_TRANSITION, map(astuple, rows))

    def add_reached(self, rows: Iterable[Reached]) -> None:
        self._connection.executemany(sql.ADD_REACHED, map(astuple, rows))

    def put_episodes(self, rows: Iterable[EpisodeRow]) -> None:
        self._connection.executemany(sql.PUT_EPISODE, map(astuple, rows))

    def add_exposures(self, rows: Iterable[Exposure]) -> list[bool]:
        return [self._execute(sql.ADD_EXPOSURE, astuple(row)).rowcount == 1 for row in rows]

    def add_quarantined(self, rows: Iterable[Quarantined]) -> None:
        self._connection.executemany(sql.ADD_QUARANTINED, map(astuple, rows))

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        rows = among(self._rows, sql.read_aliases, sorted(set(keys)))
        return {(row[0], row[1]): Alias(*row) for row in rows}

    def alias_sources(self, key: Key) -> list[Alias]:
        return [Alias(*row) for row in self._execute(sql.ALIAS_SOURCES, key)]

    def put_alias(self, alias: Alias) -> None:
        self._execute(sql.PUT_ALIAS, astuple(alias))

    def delete_subject(self, key: Key) -> None:
        table = MEMBERS if key[1] else ACCOUNTS
        self._execute(sql.DELETE_SUBJECT[table], key if key[1] else key[:1])
        self._loaded.pop(key, None)

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        wanted = sorted(set(keys))
        if not wanted:
            return iter(())
        return in_order(self._execute(sql.events_of(len(wanted)), (*flat(wanted), first_day, last_day, last_day)))

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        return in_order(self._execute(sql.EVENTS_OF_ACCOUNT, (first_day, last_day, last_day, account_id)))

    def position(self, journal: str) -> int | None:
        row = self._execute(sql.POSITION, (journal,)).fetchone()
        return row[0] if row else None

    def put_position(self, journal: str, offset: int) -> None:
        self._execute(sql.PUT_POSITION, (journal, offset))

    def delete_position(self, journal: str) -> None:
        self._execute(sql.DELETE_POSITION, (journal,))

    def due(self, now: int, *, definition: int, limit: int) -> list[Key]:
        return self._execute(sql.DUE, (min(now, FOREVER - 1), definition, limit)).fetchall()

    def outdated(self, signals: int, *, limit: int) -> list[Key]:
        return self._execute(sql.OUTDATED, (signals, limit)).fetchall()

    def definition_state(self) -> tuple[int, int]:
        newest, live = self._execute(sql.DEFINITION_STATE).fetchone()
        return (newest, live)

    def put_definition(self, row: DefinitionRow) -> None:
        self._execute(sql.PUT_DEFINITION, astuple(row))

    def release_import(self, import_id: str, next_change: int) -> int:
        self._loaded.clear()
        return sum(self._execute(statement, (import_id, next_change)).rowcount for statement in sql.RELEASE_IMPORT)

    def take_inbox(self, limit: int) -> list[tuple[int, bytes]]:
        rows = self._execute(sql.INBOX, (limit,)).fetchall()
        if rows:
            self._execute(sql.DELETE_INBOX, (rows[-1][0],))
        return rows


def _remove(fresh: dict[int, EventRow], indexes: list[int]) -> None:
    for index in indexes:
        del fresh[index]


def _indexed(row: SubjectRow) -> _Indexed:
    return (_signals(row), _definition(row), row.segment, row.tier, row.next_change, row.import_id)


def _signals(row: SubjectRow) -> int | None:
    return row.signals or (0 if row.state else None)


def _definition(row: SubjectRow) -> int | None:
    return row.definition or (0 if row.evaluated_at else None)


def _values(row: SubjectRow, ledger: tuple[bytes, int] | None = None) -> tuple[Any, ...]:
    account_id, user_id, state, standing, _, _, *rest = astuple(row)
    if ledger is not None:
        rest[-2:] = ledger
    key = (account_id, user_id) if user_id else (account_id,)
    return (*key, state, standing, _signals(row), _definition(row), *rest)


def _plain_values(row: SubjectRow) -> tuple[Any, ...]:
    values = (
        row.state,
        row.standing,
        row.score,
        row.fit,
        row.active_users,
        row.episode_at,
        row.episode_ended_at,
        row.evaluated_at,
        row.first_day,
        row.last_day,
        row.account_id,
    )
    return (*values, row.user_id) if row.user_id else values
