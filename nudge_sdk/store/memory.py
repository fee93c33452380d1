"""A store in this process's memory, for tests and trials: it behaves like the others and is gone with the process."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

from nudge_sdk.errors import StoreBusyError, StoreError
from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.times import SECOND
from nudge_sdk.store.memory_transaction import MemoryTransaction, Tables, definition_state, ordered, outdated
from nudge_sdk.store.protocol import (
    Alias,
    DefinitionRow,
    EpisodeRow,
    Exposure,
    Key,
    ProfileRows,
    Quarantined,
    Reached,
    SubjectRow,
    Transition,
)
from nudge_sdk.store.rows import identity, pack_record


class MemoryStore:
    """Memory that lasts as long as the process; see ``store.protocol.Store``."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._inbox_id = 0
        self._reset_lock()

    def _reset_lock(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writing_thread = 0

    @contextmanager
    def transaction(self, *, wait: float) -> Iterator[MemoryTransaction]:
        with self._writing(wait):
            transaction = MemoryTransaction(self._tables)
            yield transaction
            transaction.commit()

    @contextmanager
    def _writing(self, wait: float) -> Iterator[None]:
        self.after_fork()
        if self._writing_thread == threading.get_ident():
            raise StoreError("This thread is inside a transaction already; end it before beginning another.")
        lock = self._lock
        if not lock.acquire(timeout=wait):
            raise StoreBusyError(f"Another thread wrote for more than {wait:g} s; try again.")
        self._writing_thread = threading.get_ident()
        try:
            yield
        finally:
            self._writing_thread = 0
            lock.release()

    def put_inbox(self, account_id: str, line: bytes) -> None:
        """Append a line to the inbox, as a host's own transaction does in a database."""
        with self._lock:
            self._inbox_id += 1
            self._tables.inbox[self._inbox_id] = (self._inbox_id, line)

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        rows = [self._tables.subjects.get(key) for key in keys]
        return {row.key: copy.copy(row) for row in rows if row is not None}

    def read_profile(self, key: Key, journals: Sequence[str]) -> ProfileRows:
        while True:
            stored = {name: self._tables.positions[name] for name in journals if name in self._tables.positions}
            rows = self.read_subjects([key, (key[0], "")])
            if all(self._tables.positions.get(name) == stored.get(name) for name in journals):
                return ProfileRows(rows, stored, key in self._tables.aliases)

    def read_ledger_versions(self, keys: Sequence[Key]) -> dict[Key, int]:
        rows = {key: self._tables.subjects.get(key) for key in keys}
        return {key: row.ledger_version if row is not None else 0 for key, row in rows.items()}

    def read_alias(self, key: Key) -> Alias | None:
        return self._tables.aliases.get(key)

    def read_position(self, journal: str) -> int | None:
        return self._tables.positions.get(journal)

    def read_definition_state(self) -> tuple[int, int]:
        return definition_state(list(self._tables.definitions.values()))

    def count_outdated(self, signals: int) -> int:
        return len(outdated(list(self._tables.subjects.values()), signals))

    def read_known(self, records: Sequence[Record]) -> list[bool]:
        known = (self._tables.events, self._tables.clamped)
        return [any(identity(pack_record(record)) in table for table in known) for record in records]

    def definitions(self) -> list[DefinitionRow]:
        return sorted(self._tables.definitions.values(), key=attrgetter("number"))

    def subjects(self, *, after: Key | None = None, limit: int = 1000, members: bool | None = None) -> list[SubjectRow]:
        start = after or ("", "")
        wanted = [
            row
            for row in list(self._tables.subjects.values())
            if row.key > start and (members is None or bool(row.user_id) == members)
        ]
        return [copy.copy(row) for row in sorted(wanted, key=attrgetter("key"))[:limit]]

    def transitions(self, account_id: str, user_id: str) -> list[Transition]:
        rows = [row for row in list(self._tables.transitions.values()) if _is_of(row, account_id, user_id)]
        return sorted(rows, key=attrgetter("at", "observed_at", "cause", "tier", "is_correction"))

    def episodes(self, account_id: str, user_id: str) -> list[EpisodeRow]:
        rows = [row for row in list(self._tables.episodes.values()) if _is_of(row, account_id, user_id)]
        return sorted(rows, key=attrgetter("started_at"))

    def exposures(self, account_id: str, user_id: str) -> list[Exposure]:
        rows = [row for row in list(self._tables.exposures.values()) if _is_of(row, account_id, user_id)]
        return sorted(rows, key=attrgetter("at", "id", "kind"))

    def reached(self, account_id: str, user_id: str) -> list[Reached]:
        rows = [row for row in list(self._tables.reached.values()) if _is_of(row, account_id, user_id)]
        return sorted(rows, key=attrgetter("at", "milestone"))

    def records(self) -> Iterator[Record]:
        return ordered(list(self._tables.events.values()))

    def bases(self) -> Iterator[Base]:
        return iter(sorted(self._tables.bases.values(), key=attrgetter("key")))

    def aliases(self) -> list[Alias]:
        return sorted(self._tables.aliases.values(), key=attrgetter("account_id", "user_id"))

    def read_horizons(self) -> dict[str, int]:
        return dict(self._tables.horizons)

    def quarantined(self) -> list[Quarantined]:
        return list(self._tables.quarantined.values())

    def has_inbox(self) -> bool:
        return bool(self._tables.inbox)

    def scrub(self, days: Collection[int] | None, *, wait: float) -> None:
        """Do nothing: what is deleted is gone."""

    def release_room(self, before: int, *, wait: float) -> int:
        """Do nothing: what is deleted is gone."""
        return 0

    def acquire_lease(self, name: str, holder: str, *, now: int, seconds: float) -> bool:
        with self._lock:
            held_by, until = self._tables.leases.get(name, (holder, now))
            if held_by != holder and now < until <= now + 2 * round(seconds * SECOND):
                return False
            self._tables.leases[name] = (holder, now + round(seconds * SECOND))
            return True

    def release_lease(self, name: str, holder: str) -> None:
        with self._lock:
            if self._tables.leases.get(name, ("", 0))[0] == holder:
                del self._tables.leases[name]

    def migrate(self) -> None:
        """Do nothing: there is no schema."""

    def schema_is_current(self) -> bool:
        return True

    def close(self) -> None:
        """Keep everything: the memory is this object's."""

    def after_fork(self) -> None:
        """Give the child a lock of its own; what it writes stays in the child."""
        if self._pid != os.getpid():
            self._reset_lock()


def _is_of(row: Transition | EpisodeRow | Exposure | Reached, account_id: str, user_id: str) -> bool:
    return row.account_id == account_id and row.user_id == user_id
