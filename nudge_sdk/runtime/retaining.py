"""Retention: events of long ago are dropped, and what they came to is kept.

First the horizon, so that from that moment on nothing older is taken; then the old events go, oldest first, a few in
each transaction, which adds them to the bases of their senders: whenever it is broken off, each event is either stored
or in a base, never both. States and standings stay as they are: they are base plus stored events all the time.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from nudge_sdk.errors import StoreBusyError
from nudge_sdk.rules.bases import EVERYTHING, Base, grown
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.times import day_of
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.fold import MovedMeanwhileError
from nudge_sdk.runtime.intake import Intake, definition_state
from nudge_sdk.store.protocol import Key, Transaction

WAIT = 10.0
"""Seconds that each step waits for others that write."""

BATCH = 500
"""Events that are dropped in one transaction; their accounts stand still meanwhile."""

LEASE, LEASE_SECONDS = "retain", 60.0

_ATTEMPTS = 3

Progress = Callable[[int], None]
"""Told how many events were dropped so far."""


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """What dropping old events came to.

    Attributes:
        first_day: The first UTC day whose events are kept; older ones are refused from now on.
        events: How many events were dropped.
        partitions: How many partitions of the event table were dropped with them (PostgreSQL).
    """

    first_day: int
    events: int
    partitions: int


def retain(intake: Intake, *, days: int, progress: Progress | None = None) -> Retained:
    """Drop the events of all days but today and the ``days`` before; doing it again goes on where it was broken off.

    The horizon never moves back: where more was dropped already, that stays dropped, and refused.

    Args:
        intake: The way into the store.
        days: How many days to keep, 1 or more.
        progress: Told now and then how far it is.

    Raises:
        ValueError: ``days`` is less than 1.
        StoreError: The store refused or was busy, or another process is at it; what was dropped so far is in order.
    """
    if days < 1:
        raise ValueError(f"days is {days}; keep 1 day or more")
    intake.ready()
    holder = uuid.uuid4().hex
    _take_lease(intake, holder)
    try:
        first_day = _raise_horizon(intake, day_of(intake.clock()) - days)
        events = 0
        while dropped := intake.run(lambda transaction, catalog: _drop(transaction, catalog, first_day), WAIT):
            events += dropped
            _take_lease(intake, holder)
            if progress is not None:
                progress(events)
        partitions = intake.store.release_room(first_day, wait=WAIT)
    finally:
        intake.store.release_lease(LEASE, holder)
    return Retained(first_day=first_day, events=events, partitions=partitions)


def _take_lease(intake: Intake, holder: str) -> None:
    if not intake.store.acquire_lease(LEASE, holder, now=intake.clock(), seconds=LEASE_SECONDS):
        raise StoreBusyError("another process is dropping old events; try again when it is done")


def _raise_horizon(intake: Intake, first_day: int) -> int:
    """Refuse what is older from now on; nobody folds meanwhile, and whoever does afterwards knows the horizon."""
    for _ in range(_ATTEMPTS):
        catalog = intake.refresh()
        with intake.store.transaction(wait=WAIT) as transaction:
            if transaction.definition_state(is_changing=True) == definition_state(catalog):
                horizons = _with_signals(transaction.horizons(), catalog.plan)
                horizons[""] = max(first_day, horizons.get("", first_day))
                transaction.put_horizons(horizons)
                return horizons[""]
    raise StoreBusyError("definitions are published faster than they can be read")


def _with_signals(horizons: dict[str, int], plan: Plan) -> dict[str, int]:
    """Write down from which day on a new signal is counted; one that is asked for no more would be new again."""
    before = horizons.get("", EVERYTHING)
    days = {signal: horizons.get(signal, before) for signal in plan.signals}
    return days | ({"": before} if "" in horizons else {})


def _drop(transaction: Transaction, catalog: Catalog, first_day: int) -> int:
    """Move the oldest events before a day into the bases of their senders; how many there were."""
    records = _locked(transaction, transaction.oldest_records(first_day, limit=BATCH), first_day)
    if not records:
        return 0
    horizons = transaction.horizons()
    if horizons != (known := _with_signals(horizons, catalog.plan)):
        transaction.put_horizons(known)
    by_sender: defaultdict[Key, list[Record]] = defaultdict(list)
    for record in records:
        by_sender[record.account_id, record.user_id].append(record)
    bases = {base.key: base for base in transaction.bases_of(by_sender)}
    grew = [grown(bases.get(key, Base(*key)), told, catalog.plan) for key, told in sorted(by_sender.items())]
    transaction.put_bases(grew)
    transaction.delete_records(records)
    return len(records)


def _locked(transaction: Transaction, records: list[Record], first_day: int) -> list[Record]:
    """Lock the accounts that records were sent for and count for, where others write at the same time.

    Counting an account anew reads events and bases of everybody who counts for it: none may move from one to the other
    in between.
    """
    if transaction.is_alone or not records:
        return records
    accounts = _accounts(transaction, records)
    rows = transaction.lock_subjects([(account_id, "") for account_id in accounts])
    for key, row in rows.items():
        if not (row.state or row.ledger or row.standing) and row.first_day is None:
            transaction.delete_subject(key)
    found = transaction.oldest_records(first_day, limit=BATCH)
    if not _accounts(transaction, found) <= accounts:
        raise MovedMeanwhileError
    return found


def _accounts(transaction: Transaction, records: Iterable[Record]) -> set[str]:
    """Return the accounts that records were sent for, and those that they count for by way of moves."""
    wanted = {(record.account_id, record.user_id) for record in records}
    seen: set[Key] = set()
    while wanted:
        seen |= wanted
        moved = transaction.aliases(wanted)
        wanted = {(alias.to_account_id, alias.to_user_id) for alias in moved.values()} - seen
    return {account_id for account_id, _ in seen}
