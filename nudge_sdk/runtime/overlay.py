"""The overlay: this process's own records that are not drained yet, folded over the rows it last read.

The same fold runs over them as in the store, so what a request sees of its own writes is what the store will say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from nudge_sdk.rules.bases import Base
from nudge_sdk.rules.records import Record
from nudge_sdk.store.protocol import (
    Alias,
    EpisodeRow,
    Exposure,
    Key,
    Reached,
    SubjectRow,
    Transition,
)

_COUNTED = 2**62
"""A number of a signal set that no later one exceeds."""


class Overlay:
    """Stands in for a transaction: rows come from memory, and nothing is written.

    Args:
        rows: The rows.
        target_of: Where a member's records count instead, as far as that is known here.
    """

    is_alone = True

    def __init__(self, rows: dict[Key, SubjectRow], target_of: Callable[[Key], Key | None]) -> None:
        self.rows = rows
        self._target_of = target_of
        self._seen: set[tuple[str, str, str, int]] = set()
        self._aliases: dict[Key, Alias] = {}

    def lock_subjects(self, keys: Iterable[Key]) -> dict[Key, SubjectRow]:
        """Return copies of the rows.

        What a row does not count yet is counted in the store, not here: there are no stored records to count.
        """
        return {
            key: msgspec.structs.replace(self.rows[key], signals=_COUNTED)
            if key in self.rows
            else SubjectRow(account_id=key[0], user_id=key[1])
            for key in keys
        }

    def members_of(self, account_ids: Iterable[str]) -> list[Key]:
        """Return the members that are in memory."""
        wanted = set(account_ids)
        return [key for key in self.rows if key[0] in wanted and key[1]]

    def insert_records(self, records: Sequence[Record]) -> list[bool]:
        """Say which records were not seen before."""
        new = []
        for record in records:
            new.append(record.identity not in self._seen)
            self._seen.add(record.identity)
        return new

    def put_subjects(self, rows: Iterable[SubjectRow]) -> None:
        """Write nothing."""

    def put_ledger(self, row: SubjectRow, *, expected_version: int) -> bool:
        """Write nothing."""
        return True

    def add_transitions(self, rows: Iterable[Transition]) -> None:
        """Write nothing."""

    def add_reached(self, rows: Iterable[Reached]) -> None:
        """Write nothing."""

    def put_episodes(self, rows: Iterable[EpisodeRow]) -> None:
        """Write nothing."""

    def add_exposures(self, rows: Iterable[Exposure]) -> list[bool]:
        """Take every exposure for new."""
        return [True for _ in rows]

    def has_forgotten(self) -> bool:
        """Say no: what is said of somebody forgotten is dropped when it is drained."""
        return False

    def forgotten(self, keys: Collection[Key]) -> set[Key]:
        """Return none."""
        return set()

    def aliases(self, keys: Iterable[Key]) -> dict[Key, Alias]:
        """Return aliases that the overlay itself brought, and those that are known."""
        found = {}
        for key in keys:
            target = self._target_of(key)
            if key in self._aliases:
                found[key] = self._aliases[key]
            elif target is not None and target != key:
                found[key] = Alias(*key, *target, 0, "")
        return found

    def alias_sources(self, key: Key) -> list[Alias]:
        """Return none: nothing is counted anew in an overlay."""
        return []

    def put_alias(self, alias: Alias) -> None:
        """Remember an alias."""
        self._aliases[alias.account_id, alias.user_id] = alias

    def delete_subject(self, key: Key) -> None:
        """Write nothing."""

    def horizon(self) -> int | None:
        """Say none: what is too old is refused when it is drained."""
        return None

    def bases_of(self, keys: Iterable[Key]) -> list[Base]:
        """Return none."""
        return []

    def bases_of_account(self, account_id: str) -> list[Base]:
        """Return none."""
        return []

    def records_of(self, keys: Sequence[Key], *, first_day: int, last_day: int) -> Iterator[Record]:
        """Yield nothing."""
        return iter(())

    def records_of_account(self, account_id: str, *, first_day: int, last_day: int) -> Iterator[Record]:
        """Yield nothing."""
        return iter(())
