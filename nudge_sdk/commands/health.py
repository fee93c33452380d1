"""Whether all is well with a store and its journals, said in plain words."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from nudge_sdk.commands.opening import journals_of, sqlite_file
from nudge_sdk.errors import NudgeError, StoreBusyError
from nudge_sdk.rules.times import DAY, HOUR, MINUTE, SECOND
from nudge_sdk.runtime.catalog import Catalog
from nudge_sdk.runtime.drainer import LOCK_NAME
from nudge_sdk.runtime.journal_files import adopt, journals, read_lines
from nudge_sdk.runtime.recorder import present
from nudge_sdk.store import open_store
from nudge_sdk.store.protocol import Store

OVERDUE = 5 * MINUTE
"""Members who should have been judged longer ago than this are a sign that nobody sweeps."""

_MOST_DUE = 1000
_MOST_LAG = 64 * 1024 * 1024
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


def examine(store: str, journal: str | None = None) -> list[Check]:
    """Look at everything; what cannot be reached is said and ends the list.

    Args:
        store: URL of the store.
        journal: Folder of the journals; by default beside the SQLite file.
    """
    checks: list[Check] = []
    path = sqlite_file(store)
    if path is not None and not path.exists():
        return [Check("store", False, f"{path} is not there; check the name, or run: nudge migrate --store {store}")]
    with closing(open_store(store)) as opened:
        try:
            checks.extend(_examine_store(opened, store))
        except NudgeError as error:
            checks.append(Check("store", False, f"{store} does not answer: {error}"))
            return checks
        if checks[-1].name != "tables":
            checks.extend(_examine_journals(opened, journals_of(store, journal)))
    return checks


def _examine_store(store: Store, url: str) -> Iterator[Check]:
    is_current = store.schema_is_current()
    yield Check("store", True, f"{url} answers")
    if not is_current:
        yield Check("tables", False, f"not of this release; run: nudge migrate --store {url}")
        return
    yield Check("tables", True, "of this release")
    catalog = Catalog(store.definitions())
    yield from _examine_definitions(catalog)
    count = len(store.quarantined())
    told = f"{count} could not be taken in; nudge_quarantine has each with its reason" if count else "none"
    yield Check("lines set aside", not count, told, {"lines": count})
    yield _examine_due(store, catalog)


def _examine_definitions(catalog: Catalog) -> Iterator[Check]:
    live = [row for row in catalog.rows if row.live_at is not None]
    if not live:
        yield Check("definition", False, "none is in force, so nothing is shown; run: nudge publish FILE")
        return
    age = present() - (live[-1].live_at or 0)
    told = f"{live[-1].number} is in force since {_span(age)}"
    yield Check("definition", True, told, {"number": live[-1].number, "age_seconds": age // SECOND})
    if catalog.rows[-1].number != live[-1].number:
        told = f"{catalog.rows[-1].number} is published but not counted yet; publish it again if that goes on"
        yield Check("next definition", False, told, {"number": catalog.rows[-1].number})
    if catalog.warnings:
        yield Check("parts of the definition", False, "; ".join(catalog.warnings), {"parts": len(catalog.warnings)})


def _examine_due(store: Store, catalog: Catalog) -> Check:
    try:
        with store.transaction(wait=_WAIT) as transaction:
            due = len(transaction.due(present() - OVERDUE, definition=catalog.number, limit=_MOST_DUE))
    except StoreBusyError as error:
        return Check("members due", False, f"cannot be counted, the store is busy: {error}")
    many = f"{due} or more" if due == _MOST_DUE else f"{due}"
    told = f"{many} members and accounts wait to be judged; is a host or nudge worker running?" if due else "none waits"
    return Check("members due", not due, told, {"due": due})


def _examine_journals(store: Store, folder: Path) -> Iterator[Check]:
    found = journals(folder)
    lag_bytes = lag_lines = 0
    orphans: list[str] = []
    for path in found:
        size, lines, is_orphan = _examine_journal(store, path)
        lag_bytes, lag_lines = lag_bytes + size, lag_lines + lines
        if is_orphan and size:
            orphans.append(path.name)
    is_drained = _is_drained(folder)
    numbers = {"journals": len(found), "bytes": lag_bytes, "lines": lag_lines}
    told = f"{len(found)} in {folder}, {lag_lines} lines ({lag_bytes} bytes) not in the store yet"
    if lag_bytes and not is_drained:
        told += '; nobody drains them: run nudge worker, or a client with drain="thread"'
    yield Check("journals", not lag_bytes or (is_drained and lag_bytes < _MOST_LAG), told, numbers)
    if orphans:
        told = f"{len(orphans)} with lines whose process is gone: {', '.join(orphans)}; nudge worker takes them over"
        yield Check("orphans", is_drained, told, {"journals": len(orphans)})


def _examine_journal(store: Store, path: Path) -> tuple[int, int, bool]:
    """Return (bytes and lines that are not in the store, whether its owner is gone)."""
    offset = store.read_position(path.name) or 0
    end, lines = offset, 0
    try:
        while (piece := read_lines(path, end)).end > end:
            end, lines = piece.end, lines + len(piece.lines)
        adopted = adopt(path)
    except FileNotFoundError:
        return 0, 0, False
    if adopted is not None:
        adopted.close()
    return end - offset, lines, adopted is not None


def _is_drained(folder: Path) -> bool:
    """Whether some process drains the folder at this moment."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _span(micros: int) -> str:
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if micros >= unit:
            count = micros // unit
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a minute"
