"""Tables as dicts, and one write transaction over them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import DAY, FOREVER
from nudge_sdk.store.memory_erasing import MemoryErasing
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
from nudge_sdk.store.rows import EventRow, Identity, identity, in_order, pack_record, unpack_record

K = TypeVar("K")
V = TypeVar("V")


class _Gone:
    pass


_GONE = _Gone()


class Overlay(Generic[K, V]):
    """A table as one transaction sees it: its own changes over what is committed."""

    def __init__(self, committed: dict[K, V]) -> None:
        self._committed = committed
        self._changes: dict[K, V | _Gone] = {}

    def get(self, key: K) -> V | None:
        value = self._changes.get(key, self._committed.get(key))
        return None if isinstance(value, _Gone) else value

    def put(self, key: K, value: V) -> None:
        self._changes[key] = value

    def add(self, key: K, value: V) -> bool:
        is_new = self.get(key) is None
        if is_new:
            self.put(key, value)
        return is_new

    def delete(self, key: K) -> bool:
        was_there = self.get(key) is not None
        self._changes[key] = _GONE
        return was_there

    def items(self) -> list[tuple[K, V]]:
        merged: dict[K, V | _Gone] = {**self._committed, **self._changes}
        return [(key, value) for key, value in merged.items() if not isinstance(value, _Gone)]

    def values(self) -> list[V]:
        return [value for _, value in self.items()]

    def commit(self) -> None:
        for key, value in self._changes.items():
            if isinstance(value, _Gone):
                self._committed.pop(key, None)
            else:
                self._committed[key] = value


class Tables:
    """What is committed, one dict a table."""

    def __init__(self) -> None:
        self.subjects: dict[Key, SubjectRow] = {}
        self.events: dict[Identity, EventRow] = {}
        self.transitions: dict[tuple[Any, ...], Transition] = {}
        self.reached: dict[tuple[str, str, str], Reached] = {}
        self.episodes: dict[tuple[str, str, int], EpisodeRow] = {}
        self.exposures: dict[tuple[str, str, str, str], Exposure] = {}
        self.aliases: dict[Key, Alias] = {}
        self.definitions: dict[int, DefinitionRow] = {}
        self.quarantined: dict[tuple[str, int, bytes], Quarantined] = {}
        self.positions: dict[str, int] = {}
        self.inbox: dict[int, tuple[int, bytes]] = {}
        self.leases: dict[str, tuple[str, int]] = {}
        self.forgotten: dict[bytes, int] = {}
        self.secrets: dict[str, bytes] = {}
        self.bases: dict[Key, Base] = {}
        self.clamped: dict[Identity, Key] = {}
        self.horizons: dict[str, int] = {}


class MemoryTransaction(MemoryErasing):
    """See ``store.protocol.Transaction``."""

    is_alone = True

    def __init__(self, tables: Tables) -> None:
        self._subjects = Overlay(tables.subjects)
        self._events = Overlay(tables.events)
        self._transitions = Overlay(tables.transitions)
        self._reached = Overlay(tables.reached)
        self._episodes = Overlay(tables.episodes)
        self._exposures = Overlay(tables.exposures)
        self._aliases = Overlay(tables.aliases)
        self._definitions = Overlay(tables.definitions)
        self._quarantined = Overlay(tables.quarantined)
        self._positions = Overlay(tables.positions)
        self._inbox = Overlay(tables.inbox)
        self._forgotten = Overlay(tables.forgotten)
        self._secrets = Overlay(tables.secrets)
        self._bases = Overlay(tables.bases)
        self._clamped = Overlay(tables.clamped)
        self._horizons = Overlay(tables.horizons)

    def commit(self) -> None:
        for overlay in vars(self).values():
            overlay.commit()

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        found = {}
        for key in sorted(set(keys)):
            self._subjects.add(key, SubjectRow(account_id=key[0], user_id=key[1]))
            found[key] = copy.copy(self._subject(key))
        return found

    def _subject(self, key: Key) -> SubjectRow:
        return self._subjects.get(key) or SubjectRow(account_id=key[0], user_id=key[1])

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        wanted = set(account_ids)
        return sorted(row.key for row in self._subjects.values() if row.account_id in wanted and row.user_id)

    def insert_records(self, records: Sequence[Record]) -> list[bool]:
        rows = [pack_record(record) for record in records]
        return [self._clamped.get(identity(row)) is None and self._events.add(identity(row), row) for row in rows]

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        for row in rows:
            kept = self._subject(row.key)
            written = copy.copy(row)
            written.ledger, written.ledger_version = kept.ledger, kept.ledger_version
            self._subjects.put(row.key, written)

    def put_ledger(self, row: SubjectRow, *, expected_version: int) -> bool:
        stored = self._subjects.get(row.key)
        if (stored.ledger_version if stored else 0) != expected_version:
            return False
        written = copy.copy(stored or row)
        written.ledger, written.ledger_version = row.ledger, expected_version + 1
        self._subjects.put(row.key, written)
        return True

    def add_transitions(self, rows: Iterable[Transition]) -> None:
        for row in rows:
            key = (row.account_id, row.user_id, row.at, row.cause, row.tier, row.is_correction)
            self._transitions.add(key, row)

    def add_reached(self, rows: Iterable[Reached]) -> None:
        for row in rows:
            self._reached.add((row.account_id, row.user_id, row.milestone), row)

    def put_episodes(self, rows: Iterable[EpisodeRow]) -> None:
        for row in rows:
            key = (row.account_id, row.user_id, row.started_at)
            stored = self._episodes.get(key) or row
            self._episodes.put(key, replace(stored, ended_at=row.ended_at, end_reason=row.end_reason))

    def add_exposures(self, rows: Iterable[Exposure]) -> list[bool]:
        return [self._exposures.add((row.account_id, row.user_id, row.id, row.kind), row) for row in rows]

    def add_quarantined(self, rows: Iterable[Quarantined]) -> None:
        for row in rows:
            self._quarantined.add((row.journal, row.offset, row.line), row)

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        found = {key: self._aliases.get(key) for key in keys}
        return {key: alias for key, alias in found.items() if alias is not None}

    def alias_sources(self, key: Key) -> list[Alias]:
        leading = [alias for alias in self._aliases.values() if (alias.to_account_id, alias.to_user_id) == key]
        return sorted(leading, key=lambda alias: (alias.account_id, alias.user_id))

    def put_alias(self, alias: Alias) -> None:
        self._aliases.put((alias.account_id, alias.user_id), alias)

    def delete_subject(self, key: Key) -> None:
        self._subjects.delete(key)

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        wanted = set(keys)
        return ordered(row for row in self._events.values() if row[1:3] in wanted and first_day <= row[0] <= last_day)

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        return ordered(row for row in self._events.values() if row[1] == account_id and first_day <= row[0] <= last_day)

    def horizon(self) -> int | None:
        return self._horizons.get("")

    def horizons(self) -> dict[str, int]:
        return dict(self._horizons.items())

    def put_horizons(self, days: dict[str, int]) -> None:
        for signal, _ in self._horizons.items():
            self._horizons.delete(signal)
        for signal, day in days.items():
            self._horizons.put(signal, day)

    def bases_of(self, keys: Iterable[Key]) -> list[Base]:
        found = map(self._bases.get, sorted(set(keys)))
        return [base for base in found if base is not None]

    def bases_of_account(self, account_id: str) -> list[Base]:
        return sorted((b for b in self._bases.values() if b.account_id == account_id), key=lambda base: base.key)

    def put_bases(self, bases: Iterable[Base]) -> None:
        for base in bases:
            self._bases.put(base.key, base)

    def oldest_records(self, before: int, *, limit: int) -> list[Record]:
        return [unpack_record(row) for row in sorted(r for r in self._events.values() if r[0] < before)[:limit]]

    def delete_records(self, records: Iterable[Record]) -> None:
        for row in map(pack_record, records):
            self._events.delete(identity(row))
            if row[0] != row[3] // DAY:
                self._clamped.put(identity(row), (row[1], row[2]))

    def position(self, journal: str) -> int | None:
        return self._positions.get(journal)

    def put_position(self, journal: str, offset: int) -> None:
        self._positions.put(journal, offset)

    def delete_position(self, journal: str) -> None:
        self._positions.delete(journal)

    def due(self, now: int, *, definition: int, limit: int) -> list[Key]:
        now = min(now, FOREVER - 1)
        free = [row for row in self._subjects.values() if not row.import_id]
        due = [(0, row.next_change, row.key) for row in free if row.next_change <= now]
        judged = [row for row in free if row.next_change > now and row.evaluated_at]
        stale = [(1, row.definition, row.key) for row in judged if row.definition < definition]
        return [key for _, _, key in sorted(due + stale)[:limit]]

    def outdated(self, signals: int, *, limit: int) -> list[Key]:
        behind = sorted(outdated(self._subjects.values(), signals), key=lambda row: row.signals)[:limit]
        return sorted(row.key for row in behind)

    def definition_state(self, *, is_changing: bool = False) -> tuple[int, int]:
        return definition_state(self._definitions.values())

    def put_definition(self, row: DefinitionRow) -> None:
        stored = self._definitions.get(row.number) or row
        self._definitions.put(row.number, replace(stored, live_at=row.live_at))

    def release_import(self, import_id: str, next_change: int) -> int:
        held = [row for row in self._subjects.values() if import_id and row.import_id == import_id]
        for row in held:
            self._subjects.put(row.key, replace(row, import_id="", next_change=min(row.next_change, next_change)))
        return len(held)

    def take_inbox(self, limit: int) -> list[tuple[int, bytes]]:
        taken = sorted(self._inbox.values())[:limit]
        for number, _ in taken:
            self._inbox.delete(number)
        return taken


def outdated(rows: Iterable[SubjectRow], signals: int) -> list[SubjectRow]:
    """Return the rows with a state that counts an older signal set."""
    return [row for row in rows if row.state and row.signals < signals]


def definition_state(rows: Iterable[DefinitionRow]) -> tuple[int, int]:
    """Return (number of the newest definition, number of the newest live one); 0 for none."""
    numbers = [(row.number, row.live_at is not None) for row in rows]
    return (
        max((number for number, _ in numbers), default=0),
        max((number for number, is_live in numbers if is_live), default=0),
    )


def ordered(rows: Iterable[EventRow]) -> Iterator[Record]:
    """Yield records by (counted time, id)."""
    return in_order(sorted(rows, key=lambda row: unpack_record(row).counted_at))
