"""What a store reads alike from every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.times import SECOND
from nudge_sdk.store import statements
from nudge_sdk.store.migrations import HEAD_REVISION
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
from nudge_sdk.store.subject_rows import subject_from

if TYPE_CHECKING:
    from nudge_sdk.store.sql_transaction import SqlTransaction

LEASE_WAIT = 1.0
"""Seconds that taking or giving back a lease waits for other writers."""

MIGRATION_WAIT = 60.0
"""Seconds that a starting process waits for another one that is migrating."""


class SqlStore(ABC):
    """The reads of ``store.protocol.Store``, outside any transaction.

    Attributes:
        read_wait: Seconds that a read waits for the database; as long as a request may, if None.
    """

    read_wait: float | None = None

    @property
    @abstractmethod
    def sqlalchemy_url(self) -> str:
        """The database as SQLAlchemy names it, for the admin and insights; it may hold a password."""

    @abstractmethod
    def transaction(self, *, wait: float) -> AbstractContextManager[SqlTransaction]:
        """Begin a write transaction; see ``store.protocol.Store``."""

    @abstractmethod
    def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""

    @abstractmethod
    def _stream(self, statement: str) -> Iterator[Any]:
        """Yield the rows of a query without holding them all."""

    def _read_long(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query that no request waits for, whatever time it takes."""
        return self._read(statement, parameters)

    @abstractmethod
    def _profile(self, key: Key, journals: Sequence[str]) -> list[Any]:
        """Return the rows of a member and its account, each with the positions of journals."""

    @abstractmethod
    def _many_subjects(self, keys: Sequence[Key]) -> list[Any]:
        """Return the rows of any number of keys."""

    @abstractmethod
    def _many_versions(self, keys: Sequence[Key]) -> list[Any]:
        """Return (account_id, user_id, ledger_version) of any number of keys."""

    @abstractmethod
    def _change(self, statement: str, parameters: Sequence[Any]) -> int:
        """Run one statement in a transaction of its own; how many rows it changed."""

    @abstractmethod
    def _revision(self, read: Callable[[str], list[Any]]) -> str | None:
        """Return the revision of the schema, or None if there is none; ``read`` returns the rows of a query."""

    @abstractmethod
    def _migrate(self) -> None:
        """Bring the schema to this release's version."""

    def read_subjects(self, keys: Sequence[Key]) -> dict[Key, SubjectRow]:
        few = _few(keys, statements.READ_FEW)
        rows = self._read(*few) if few else self._many_subjects(keys)
        return {(row[0], row[1]): subject_from(row) for row in rows}

    def read_profile(self, key: Key, journals: Sequence[str]) -> ProfileRows:
        rows = self._profile(key, journals)
        *_, positions, is_moved = rows[0]
        stored = (pair.rsplit(" ", 1) for pair in positions.split("|")) if positions else ()
        found = {(row[0], row[1]): subject_from(row) for row in rows if row[0] is not None}
        return ProfileRows(found, {journal: int(position) for journal, position in stored}, bool(is_moved))

    def read_ledger_versions(self, keys: Sequence[Key]) -> dict[Key, int]:
        versions = dict.fromkeys(keys, 0)
        few = _few(keys, statements.READ_FEW_VERSIONS)
        rows = self._read(*few) if few else self._many_versions(keys)
        versions.update(((row[0], row[1]), row[2]) for row in rows)
        return versions

    def read_alias(self, key: Key) -> Alias | None:
        rows = self._read(statements.ALIAS, key)
        return Alias(*rows[0]) if rows else None

    def read_position(self, journal: str) -> int | None:
        rows = self._read(statements.POSITION, (journal,))
        return rows[0][0] if rows else None

    def read_definition_state(self) -> tuple[int, int]:
        newest, live = self._read(statements.DEFINITION_STATE)[0]
        return (newest, live)

    def count_outdated(self, signals: int) -> int:
        count: int = self._read_long(statements.COUNT_OUTDATED, (signals,))[0][0]
        return count

    def definitions(self) -> list[DefinitionRow]:
        return [DefinitionRow(*row) for row in self._read_long(statements.DEFINITIONS)]

    def subjects(self, *, after: Key | None = None, limit: int = 1000, members: bool | None = None) -> list[SubjectRow]:
        pages = {None: statements.PAGE_ALL, True: statements.PAGE_MEMBERS, False: statements.PAGE_ACCOUNTS}
        return [subject_from(row) for row in self._read_long(pages[members], (*(after or ("", "")), limit))]

    def transitions(self, account_id: str, user_id: str) -> list[Transition]:
        rows = self._read_long(statements.TRANSITIONS, (account_id, user_id))
        return [Transition(*(*row[:9], bool(row[9]), row[10])) for row in rows]

    def episodes(self, account_id: str, user_id: str) -> list[EpisodeRow]:
        return [EpisodeRow(*row) for row in self._read_long(statements.EPISODES, (account_id, user_id))]

    def exposures(self, account_id: str, user_id: str) -> list[Exposure]:
        return [Exposure(*row) for row in self._read_long(statements.EXPOSURES, (account_id, user_id))]

    def reached(self, account_id: str, user_id: str) -> list[Reached]:
        return [Reached(*row) for row in self._read_long(statements.REACHED, (account_id, user_id))]

    def bases(self) -> Iterator[Base]:
        return (Base(*row) for row in self._stream(statements.BASES))

    def aliases(self) -> list[Alias]:
        return [Alias(*row) for row in self._read_long(statements.ALIASES)]

    def read_horizons(self) -> dict[str, int]:
        return dict(self._read(statements.HORIZONS))

    def quarantined(self) -> list[Quarantined]:
        return [Quarantined(*row) for row in self._read_long(statements.QUARANTINED)]

    def has_inbox(self) -> bool:
        return bool(self._read(statements.HAS_INBOX))

    def acquire_lease(self, name: str, holder: str, *, now: int, seconds: float) -> bool:
        rows = self._read(statements.LEASE, (name,))
        lasts = round(seconds * SECOND)
        if rows and rows[0][0] != holder and now < rows[0][1] <= now + 2 * lasts:
            return False
        return self._change(statements.TAKE_LEASE, (name, holder, now + lasts, now, now + 2 * lasts)) == 1

    def release_lease(self, name: str, holder: str) -> None:
        self._change(statements.RELEASE_LEASE, (name, holder))

    def migrate(self) -> None:
        """Bring the schema to this release's version; safe to call from several processes at once.

        Raises:
            StoreBusyError: Another process migrated for too long.
            StoreError: The database cannot be written, or a newer release made its schema.
        """
        # No request waits here, so a database that is slow to open is waited for.
        if self._revision(self._read_long) != HEAD_REVISION:
            self._migrate()

    def schema_is_current(self) -> bool:
        return self._revision(self._read) == HEAD_REVISION


def _few(keys: Sequence[Key], queries: Sequence[str]) -> tuple[str, Key | tuple[str] | tuple[str, str, str]] | None:
    """Return query and parameters for what a request asks for: a member, an account, or one of each."""
    if len(keys) == 1:
        return (queries[0], keys[0]) if keys[0][1] else (queries[1], keys[0][:1])
    if len(keys) != 2 or bool(keys[0][1]) == bool(keys[1][1]):
        return None
    member, account = keys if keys[0][1] else (keys[1], keys[0])
    return queries[2], (*member, account[0])
