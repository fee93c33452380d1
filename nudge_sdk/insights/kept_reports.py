"""Kept reports: what took long to make is kept in the store, so that a page answers at once.

Signals read the events themselves, and calibration what was counted of everybody. Both change little from one day to
the next, and say for which instant they were made. One that is old is still shown, with its date, while a new one is
made.
"""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

import msgspec

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.times import DAY
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.store.sql_transaction import SqlTransaction

KEPT_FOR = DAY
"""One that is older than this is made anew when somebody looks at it."""

RENEWED_AFTER = DAY // 2
"""One that is older than this is made anew beforehand, where somebody does."""

Report = TypeVar("Report", bound=msgspec.Struct)

_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_learning = threading.Lock()

_PREFIX = "report "
_READ = "SELECT at, details FROM nudge_rollups WHERE name = ?"
_PUT = (
    "INSERT INTO nudge_rollups (name, at, details) VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details"
)
_ASK_ANEW = f"UPDATE nudge_rollups SET at = 0 WHERE name LIKE '{_PREFIX}%'"


class Kept(msgspec.Struct, Generic[Report], frozen=True, kw_only=True):
    """A report as it is kept.

    Attributes:
        at: The instant it was made for, in microseconds.
        definition: Number of the definition it was made by.
        is_asked_anew: Whether somebody asked for a new one since.
    """

    report: Report
    at: int
    definition: int
    is_asked_anew: bool = False

    def is_fresh(self, now: int, definition: int, *, within: int = KEPT_FOR) -> bool:
        """Whether it may stand for one that is made now.

        Args:
            now: The present instant, in microseconds.
            definition: Number of the definition in force.
            within: How old it may be, in microseconds.
        """
        return not self.is_asked_anew and self.definition == definition and 0 <= now - self.at < within


class _Anything(msgspec.Struct, frozen=True):
    """A report of which nobody looks at what it says."""


def kept_report(store: SqlStore, name: str, kind: type[Report]) -> Kept[Report] | None:
    """Return the report that is kept, however old it is; None where there is none that this release can read.

    Args:
        store: Where it is kept.
        name: What it answers.
        kind: What it is.
    """
    for at, details in store._read_long(_READ, (_PREFIX + name,)):
        try:
            found: Kept[Report] = _decoder(kind).decode(details)
        except msgspec.ValidationError:
            return None
        return msgspec.structs.replace(found, is_asked_anew=not at)
    return None


def _decoder(kind: type) -> msgspec.json.Decoder[Any]:
    """Return what reads such reports, made by one thread at a time; see ``runtime.catalog.learn_to_read``."""
    with _learning:
        if kind not in _decoders:
            _decoders[kind] = msgspec.json.Decoder(Kept[kind])  # type: ignore[valid-type]
        return _decoders[kind]


def kept_at(store: SqlStore, name: str) -> int | None:
    """Return the instant a kept report is of, in microseconds; 0 where a new one was asked for, None where none is."""
    found = store._read_long(_READ, (_PREFIX + name,))
    return found[0][0] if found else None


def is_due(store: SqlStore, name: str, now: int, definition: int) -> bool:
    """Whether a report should be made beforehand; what it says is not read."""
    found = kept_report(store, name, _Anything)
    return found is None or not found.is_fresh(now, definition, within=RENEWED_AFTER)


def keep_report(store: SqlStore, name: str, kept: Kept[Report]) -> None:
    """Keep a report; where the store is busy it is made anew the next time."""
    try:
        with store.transaction(wait=1.0) as transaction:
            transaction.count(_PUT, (_PREFIX + name, kept.at, msgspec.json.encode(kept)))
    except StoreError:
        return


def ask_anew(store: SqlStore) -> None:
    """Let every report be made anew; until then those that are kept can be shown.

    Raises:
        StoreError: The store did not answer.
    """
    with store.transaction(wait=1.0) as transaction:
        ask_anew_within(transaction)


def ask_anew_within(transaction: SqlTransaction) -> None:
    """Let every report be made anew, in a transaction of the caller's."""
    transaction.count(_ASK_ANEW, ())
