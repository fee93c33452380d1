"""Kept reports: what took long to make is kept in the store for a day, so that a page answers at once.

Signals read the events themselves, and calibration what was counted of everybody. Both change little from one day to
the next, and say for which instant they were made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from nudge_sdk.errors import StoreError
from nudge_sdk.rules.times import DAY
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

KEPT_FOR = DAY
WORTH_KEEPING = 0.2
"""What was made in fewer seconds than this is made anew each time."""

Report = TypeVar("Report", bound=msgspec.Struct)

_PREFIX = "report "
_READ = "SELECT at, details FROM nudge_rollups WHERE name = ?"
_PUT = (
    "INSERT INTO nudge_rollups (name, at, details) VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details"
)
_FORGET = f"DELETE FROM nudge_rollups WHERE name LIKE '{_PREFIX}%'"


def kept_report(store: Store, name: str, kind: type[Report], make: Callable[[], Report], *, now: int) -> Report:
    """Return a report that is kept, or make it.

    Args:
        store: Where it is kept; stores that are no database keep none.
        name: Everything that it depends on but what happens, such as its options and the number of the definition.
        kind: What it is.
        make: Makes it.
        now: The present instant, in microseconds.
    """
    if not isinstance(store, SqlStore):
        return make()
    known = _known(store, name, kind, now)
    if known is not None:
        return known
    began = time.monotonic()
    report = make()
    if time.monotonic() - began >= WORTH_KEEPING:
        _keep(store, name, report, now)
    return report


def forget_reports(store: Store) -> None:
    """Let every report be made anew.

    Raises:
        StoreError: The store did not answer.
    """
    if isinstance(store, SqlStore):
        with store.transaction(wait=1.0) as transaction:
            transaction.count(_FORGET, ())


def _known(store: SqlStore, name: str, kind: type[Report], now: int) -> Report | None:
    for at, details in store._read_long(_READ, (_PREFIX + name,)):
        if 0 <= now - at < KEPT_FOR:
            try:
                return msgspec.json.decode(details, type=kind)
            except msgspec.ValidationError:
                return None  # of another release
    return None


def _keep(store: SqlStore, name: str, report: msgspec.Struct, now: int) -> None:
    try:
        with store.transaction(wait=1.0) as transaction:
            transaction.count(_PUT, (_PREFIX + name, now, msgspec.json.encode(report)))
    except StoreError:
        return  # it is made anew the next time
