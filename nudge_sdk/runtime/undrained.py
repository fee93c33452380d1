"""What this process has not drained yet of one account, folded over the rows of the members that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nudge_sdk.rules.records import Record
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.fold import Fold
from nudge_sdk.runtime.overlay import Overlay
from nudge_sdk.store.protocol import Key, SubjectRow

_OF_ONE = frozenset({"track", "exposure"})
"""Kinds of records that change how their own member stands, and the account, but no colleague."""


class Undrained:
    """One fold for a whole account, so that a record is folded once and not once for each colleague.

    Args:
        catalog: The published definitions.
        now: The present instant in microseconds.
        target_of: Where a member's records count instead, as far as that is known here.

    Attributes:
        taken: How many undrained records it has taken in, a source.
    """

    def __init__(self, catalog: Catalog, now: int, target_of: Callable[[Key], Key | None]) -> None:
        self._rows: dict[Key, SubjectRow] = {}
        self.fold = Fold(Overlay(self._rows, target_of), catalog, now)
        self.taken: dict[str, int] = {}
        self._is_wide = False

    def hold(self, rows: Mapping[Key, SubjectRow]) -> bool:
        """Take in the rows of an account and a member; False where that comes too late, and all must begin anew."""
        missing = {key: row for key, row in rows.items() if self._rows.get(key) is not row}
        if not missing:
            return True
        if self._is_wide or not missing.keys().isdisjoint(self.fold.works):
            return False
        self._rows.update(missing)
        self.fold.lock(missing)
        return True

    def absorb(self, records: Iterable[Record]) -> None:
        """Fold records in."""
        wanted = list(records)
        self._is_wide = self._is_wide or any(record.kind not in _OF_ONE for record in wanted)
        self.fold.absorb(wanted)
