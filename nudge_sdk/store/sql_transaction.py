"""What one write transaction does alike on every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, FOREVER
from nudge_sdk.store import statements
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
from nudge_sdk.store.rows import EventKey, EventRow, Identity, identity, pack_record, unpack_record
from nudge_sdk.store.sql_erasing import SqlErasing
from nudge_sdk.store.statements import ACCOUNTS, MEMBERS
from nudge_sdk.store.subject_rows import values


class Lookup(ABC):
    """Finds what is stored, inside a transaction or outside."""

    @abstractmethod
    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""

    @abstractmethod
    def stored_events(self, keys: Sequence[EventKey]) -> set[EventKey]:
        """Return those of the event keys that are stored."""

    @abstractmethod
    def stored_clamped(self, identities: Sequence[Identity]) -> set[Identity]:
        """Return those of the identities that are stored as clamped."""

    def stored_on_other_days(self, rows: Sequence[EventRow]) -> set[Identity]:
        """Return identities stored on another day than their row's: a time ahead of the clock moves with it."""
        known = self.stored_clamped(list(map(identity, rows))) if self.rows(statements.HAS_CLAMPED) else set()
        on_sent_days = [(row[3] // DAY, *row[1:5]) for row in rows if row[0] != row[3] // DAY]
        return known | set(map(identity, self.stored_events(on_sent_days))) if on_sent_days else known

    def known(self, records: Sequence[Record]) -> list[bool]:
        """Return for each record whether its identity is stored."""
        rows = [pack_record(record) for record in records]
        found = self.stored_on_other_days(rows) | set(map(identity, self.stored_events([row[:5] for row in rows])))
        return [identity(row) in found for row in rows]


class SqlTransaction(Lookup, SqlErasing):
    """What is done between BEGIN and COMMIT; see ``store.protocol.Transaction``."""

    @abstractmethod
    def count(self, statement: str, parameters: Sequence[Any]) -> int:
        """Run a statement; how many rows it changed."""

    @abstractmethod
    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row."""

    @abstractmethod
    def insert_events(self, fresh: dict[int, EventRow]) -> None:
        """Insert rows, and remove from ``fresh`` those that are stored already."""

    def insert_records(self, records: Sequence[Record]) -> list[bool]:
        rows = [pack_record(record) for record in records]
        fresh = dict(enumerate(rows))
        if len(set(map(identity, rows))) < len(rows):
            # Written backwards, so that the first of equal ones stays.
            first = dict(zip(map(identity, reversed(rows)), range(len(rows) - 1, -1, -1), strict=True))
            fresh = {at: rows[at] for at in sorted(first.values())}
        elsewhere = self.stored_on_other_days(list(fresh.values())) if fresh else set()
        if elsewhere:
            remove(fresh, [index for index, row in fresh.items() if identity(row) in elsewhere])
        self.insert_events(fresh)
        displaced = [identity(row) for row in fresh.values() if row[0] != row[3] // DAY]
        if displaced:
            self.many(statements.INSERT_CLAMPED, displaced)
        return [True] * len(rows) if len(fresh) == len(rows) else [index in fresh for index in range(len(rows))]

    def put_ledger(self, row: SubjectRow, *, expected_version: int) -> bool:
        table = MEMBERS if row.user_id else ACCOUNTS
        changed = self.count(statements.PUT_LEDGER[table], (row.ledger, *_key(row.key), expected_version))
        if not changed and expected_version == 0:
            statement = f"{statements.INSERT_SUBJECT[table]} ON CONFLICT DO NOTHING"
            changed = self.count(statement, values(row, ledger=(row.ledger, 1)))
        return changed == 1

    def add_transitions(self, rows: Iterable[Transition]) -> None:
        self.many(statements.ADD_TRANSITION, map(_transition, rows))

    def add_reached(self, rows: Iterable[Reached]) -> None:
        self.many(statements.ADD_REACHED, map(astuple, rows))

    def put_episodes(self, rows: Iterable[EpisodeRow]) -> None:
        self.many(statements.PUT_EPISODE, map(astuple, rows))

    def add_exposures(self, rows: Iterable[Exposure]) -> list[bool]:
        return [self.count(statements.ADD_EXPOSURE, astuple(row)) == 1 for row in rows]

    def add_quarantined(self, rows: Iterable[Quarantined]) -> None:
        for row in rows:
            self.count(statements.ADD_QUARANTINED, astuple(row))

    def alias_sources(self, key: Key) -> list[Alias]:
        return [Alias(*row) for row in self.rows(statements.ALIAS_SOURCES, key)]

    def put_alias(self, alias: Alias) -> None:
        self.count(statements.PUT_ALIAS, astuple(alias))

    def delete_subject(self, key: Key) -> None:
        self.count(statements.DELETE_SUBJECT[MEMBERS if key[1] else ACCOUNTS], _key(key))

    def position(self, journal: str) -> int | None:
        rows = self.rows(statements.POSITION, (journal,))
        return rows[0][0] if rows else None

    def put_position(self, journal: str, offset: int) -> None:
        self.count(statements.PUT_POSITION, (journal, offset))

    def delete_position(self, journal: str) -> None:
        self.count(statements.DELETE_POSITION, (journal,))

    def due(self, now: int, *, definition: int, limit: int) -> list[Key]:
        return self.rows(statements.DUE, (min(now, FOREVER - 1), definition, limit))

    def outdated(self, signals: int, *, limit: int) -> list[Key]:
        return self.rows(statements.OUTDATED, (signals, limit))

    def definition_state(self, *, is_changing: bool = False) -> tuple[int, int]:
        newest, live = self.rows(statements.DEFINITION_STATE)[0]
        return (newest, live)

    def put_definition(self, row: DefinitionRow) -> None:
        self.count(statements.PUT_DEFINITION, astuple(row))

    def horizon(self) -> int | None:
        rows = self.rows(statements.HORIZON)
        return rows[0][0] if rows else None

    def horizons(self) -> dict[str, int]:
        return dict(self.rows(statements.HORIZONS))

    def put_horizons(self, days: dict[str, int]) -> None:
        self.count(statements.DELETE_HORIZONS, ())
        self.many(statements.ADD_HORIZON, sorted(days.items()))

    def bases_of(self, keys: Iterable[Key]) -> list[Base]:
        return [Base(*row) for key in sorted(set(keys)) for row in self.rows(statements.BASE, key)]

    def bases_of_account(self, account_id: str) -> list[Base]:
        return [Base(*row) for row in self.rows(statements.BASES_OF_ACCOUNT, (account_id,))]

    def put_bases(self, bases: Iterable[Base]) -> None:
        self.many(statements.PUT_BASE, map(astuple, bases))

    def oldest_records(self, before: int, *, limit: int) -> list[Record]:
        return [unpack_record(row) for row in self.rows(statements.OLDEST_EVENTS, (before, limit))]

    def delete_records(self, records: Iterable[Record]) -> None:
        self.many(statements.DELETE_EVENT, [pack_record(record)[:5] for record in records])

    def release_import(self, import_id: str, next_change: int) -> int:
        return sum(self.count(statement, (import_id, next_change)) for statement in statements.RELEASE_IMPORT)


def remove(fresh: dict[int, EventRow], indexes: list[int]) -> None:
    """Take rows out by their index."""
    for index in indexes:
        del fresh[index]


def _key(key: Key) -> Sequence[str]:
    return key if key[1] else key[:1]


def _transition(row: Transition) -> tuple[Any, ...]:
    whole = astuple(row)
    return (*whole[:9], int(row.is_correction), whole[10])
