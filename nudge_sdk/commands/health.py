"""Whether all is well with a store and its journals, said in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from nudge_sdk.commands.opening import journals_of, sqlite_file
from nudge_sdk.errors import NudgeError, SetupError, StoreBusyError
from nudge_sdk.rules.times import DAY, HOUR, MINUTE, SECOND
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store, shown
from nudge_sdk.store.health_rows import HeldLease, leases, outdated_decisions, server_clock
from nudge_sdk.store.protocol import Store

OVERDUE = 5 * MINUTE
"""Members who should have been judged longer ago than this are a sign that nobody sweeps."""

MOST_SKEW = 5 * SECOND
"""Clocks that differ by more put events of one person into the wrong order."""

REFRESHED = MINUTE
"""Every process has seen a publication after this; by default it takes two seconds."""

LONGEST_LEASE = HOUR
"""Nobody takes a lease for so long: one that lasts longer comes from a clock that was wrong."""

_MOST_DUE = 1000
_WAIT = 5.0


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        is_well: Whether it needs no attention.
        text: What was found, and what to do about it.
        numbers: What was counted.
    """

    name: str
    is_well: bool
    text: str
    numbers: dict[str, int] = {}


def examine(store: str | Store, journal: str | Path | None = None) -> list[Check]:
    """Look at everything; what cannot be reached is said and ends the list.

    Args:
        store: URL of the store, or the opened store, which stays open.
        journal: Folder of the journals; by default beside the SQLite file. Other stores have none by default.
    """
    if not isinstance(store, str):
        return _examine(store, _url_of(store), journal)
    path = sqlite_file(store)
    if path is not None and not path.exists():
        return [Check("store", False, f"{path} is not there; check the name, or run: nudge migrate --store {store}")]
    with closing(open_store(store)) as opened:
        return _examine(opened, store, journal)


def _url_of(store: Store) -> str:
    path = getattr(store, "path", "")
    return f"sqlite:///{path}" if path else getattr(store, "url", "memory://")


def _examine(store: Store, url: str, journal: str | Path | None) -> list[Check]:
    # Only a doctor's visit needs them: publishing and the admin ask for less.
    from nudge_sdk.commands.health_journals import examine_journals

    checks: list[Check] = []
    try:
        # One by one: what was found before the store failed is told.
        for check in _examine_store(store, shown(url)):
            checks.append(check)
        if checks[-1].name != "tables":
            folder = _folder_of(url, journal)
            checks.extend(examine_journals(store, folder) if folder else [_without_journals()])
    except NudgeError as error:
        checks = [check for check in checks if check.name != "store"]
        checks.append(Check("store", False, f"{shown(url)} does not answer: {error}"))
    return checks


def _folder_of(url: str, journal: str | Path | None) -> Path | None:
    try:
        return journals_of(url, str(journal) if journal else None)
    except SetupError:
        return None


def _without_journals() -> Check:
    return Check("journals", True, "not looked at; on a machine that has some, say where: --journal /var/lib/…")


def _examine_store(store: Store, url: str) -> Iterator[Check]:
    is_current = store.schema_is_current()
    yield Check("store", True, f"{url} answers")
    if not is_current:
        yield Check("tables", False, f"not of this release; run: nudge migrate --store {url}")
        return
    yield Check("tables", True, "of this release")
    yield from _examine_clock(store)
    catalog = Catalog(store.definitions())
    yield from _examine_definitions(store, catalog)
    count = len(store.quarantined())
    told = f"{count} could not be taken in; nudge_quarantine has each with its reason" if count else "none"
    yield Check("lines set aside", not count, told, {"lines": count})
    yield from _examine_writing(store, catalog)
    yield _examine_leases(leases(store))


def _examine_clock(store: Store) -> Iterator[Check]:
    before = present()
    theirs = server_clock(store)
    if theirs is None:
        return
    ahead = (before + present()) // 2 - theirs
    is_well = abs(ahead) <= MOST_SKEW
    told = "this machine's and the database's agree"
    if not is_well:
        which = "ahead of" if ahead > 0 else "behind"
        told = f"this machine's is {span(abs(ahead))} {which} the database's; have both set by a time server"
    yield Check("clocks", is_well, told, {"ahead_milliseconds": ahead // 1000})


def _examine_definitions(store: Store, catalog: Catalog) -> Iterator[Check]:
    live = [row for row in catalog.rows if row.live_at is not None]
    if not live:
        yield Check("definition", False, "none is in force, so nothing is shown; run: nudge publish FILE")
        return
    live_at = live[-1].live_at or 0
    age = present() - live_at
    told = f"{live[-1].number} is in force since {span(age)}"
    yield Check("definition", True, told, {"number": live[-1].number, "age_seconds": age // SECOND})
    if catalog.rows[-1].number != live[-1].number:
        told = f"{catalog.rows[-1].number} is published but not counted yet; publish it again if that goes on"
        yield Check("next definition", False, told, {"number": catalog.rows[-1].number})
    if catalog.warnings:
        yield Check("parts of the definition", False, "; ".join(catalog.warnings), {"parts": len(catalog.warnings)})
    unreadable = catalog.unreadable.get(live[-1].number)
    if unreadable:
        told = f"{live[-1].number} cannot be read by this release, {catalog.rules.number} is used: {unreadable}"
        yield Check("release", False, told, {"number": live[-1].number})
    yield _examine_deciders(store, live[-1].number, live_at)


def _examine_deciders(store: Store, number: int, live_at: int) -> Check:
    """Look whether a process still decides by an older definition."""
    since = max(live_at + REFRESHED, present() - HOUR)
    count = outdated_decisions(store, since=since, definition=number)
    told = f"all that decided lately used definition {number}"
    if count:
        told = f"{count} nudges were chosen by an older definition than {number} since then; "
        told += "a process does not see what is published: look into its log, then update or restart it"
    return Check("processes", not count, told, {"outdated": count})


def _examine_writing(store: Store, catalog: Catalog) -> Iterator[Check]:
    try:
        with store.transaction(wait=_WAIT) as transaction:
            due = len(transaction.due(present() - OVERDUE, definition=catalog.number, limit=_MOST_DUE))
    except StoreBusyError as error:
        told = f"the store is locked: others have been writing for over {_WAIT:g} s; find out who ({error})"
        yield Check("writing", False, told)
        return
    except NudgeError as error:
        yield Check("writing", False, f"the store refuses to be written: {error}")
        return
    yield Check("writing", True, "the store can be written")
    many = f"{due} or more" if due == _MOST_DUE else f"{due}"
    told = f"{many} members and accounts wait to be judged; is a host or nudge worker running?" if due else "none waits"
    yield Check("members due", not due, told, {"due": due})


def _examine_leases(held: list[HeldLease]) -> Check:
    now = present()
    words = [_lease(lease, now) for lease in held]
    wrong = sum(lease.until - now > LONGEST_LEASE for lease in held)
    return Check("leases", not wrong, "; ".join(words) or "none is held", {"leases": len(held)})


def _lease(lease: HeldLease, now: int) -> str:
    left = lease.until - now
    if left > LONGEST_LEASE:
        return f"{lease.name} is held by {lease.holder} for {span(left)}: its clock was wrong; set it by a time server"
    if left > 0:
        return f"{lease.name} is held by {lease.holder}"
    return f"{lease.name} is free; {lease.holder} held it until {span(-left)} ago"


def span(micros: int) -> str:
    """Return a span of time in words."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
        if micros >= unit:
            count = micros // unit
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a second"
