"""The partitions of the event table: one a month, made when its first event comes."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from psycopg import errors

from nudge_sdk.rules.times import DAY, SECOND, day_of
from nudge_sdk.store import postgresql_statements as sql
from nudge_sdk.store.postgresql_connections import Bounded, Connections

PREFIX = "nudge_events_"

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
"""Events of other years, such as those of a device without a clock, share two partitions that are always there."""

_OTHERS = (f"{PREFIX}before", f"{PREFIX}after")

AHEAD = 7
"""Days before a month begins in which its partition is made."""

_WAIT = 5.0
_LOCK_SECONDS = 1


class Partitions:
    """Makes room for events.

    Args:
        connections: Where to; each partition is made in a transaction of its own.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: set[str] = set()
        self.after_fork()

    def after_fork(self) -> None:
        """Forget a parent's lock."""
        self._lock = threading.Lock()

    def ensure(self, days: set[int]) -> None:
        """Make the partitions of these UTC days, and of those a week ahead, where they are missing."""
        ahead = {day + AHEAD for day in days}
        missing = {month for month in map(_month_of, ahead.union(days)) if month and _name(month) not in self._known}
        if missing:
            with self._lock:
                self._make(sorted(missing))

    def _make(self, months: list[tuple[int, int]]) -> None:
        self._known = {row[0] for row in self._connections.read(sql.PARTITIONS)}
        missing = [month for month in months if _name(month) not in self._known]
        if not missing:
            return
        connection = self._connections.open(_WAIT)
        try:
            for month in missing:
                with self._connections.translating(), connection.transaction():
                    connection.execute(sql.LOCK_TO_PARTITION)
                    if not connection.execute("SELECT to_regclass(%s)", (_name(month),)).fetchone()[0]:  # type: ignore[index]
                        for statement in sql.make_partition(_name(month), *_days(month)):
                            connection.execute(statement)
                self._known.add(_name(month))
        finally:
            connection.close()


def partitions_of(connections: Connections, days: Collection[int] | None) -> list[str]:
    """Return the names of the partitions that hold events of these UTC days; None for all."""
    present = sorted(row[0] for row in connections.read(sql.PARTITIONS))
    if days is None:
        return present
    months = {_month_of(day) for day in days}
    names = {_name(month) for month in months if month}
    return [name for name in present if name in names or (None in months and name in _OTHERS)]


def drop_empty(connections: Connections, before: int, wait: float) -> int:
    """Drop the partitions of months that lie before a UTC day and hold nothing; how many there were.

    One that others keep in use is left to the next time: whoever waits for the table holds up all the others.
    """
    present = [row[0] for row in connections.read(sql.PARTITIONS)]
    old = [name for name in sorted(present) if name not in _OTHERS and _end_day(name) <= before]
    connection = connections.open(wait)
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
        return sum(_drop_if_empty(connections, connection, name) for name in old)
    finally:
        connection.close()


def _drop_if_empty(connections: Connections, connection: Bounded, name: str) -> bool:
    """Look first without stopping anybody, then again with nobody else at the table."""
    held = f"SELECT 1 FROM {name} LIMIT 1"
    with connections.translating(), suppress(errors.LockNotAvailable), connection.transaction():
        if connection.execute(held).fetchone():
            return False
        connection.execute("LOCK TABLE nudge_events IN ACCESS EXCLUSIVE MODE")
        if connection.execute(held).fetchone():
            return False
        connection.execute(f"DROP TABLE {name}")
        return True
    return False


def _end_day(partition: str) -> int:
    year, month = map(int, partition.removeprefix(PREFIX).split("_"))
    return _days((year, month))[1]


def first_day_of(partition: str) -> int:
    """Return a UTC day whose events are in a partition."""
    if partition in _OTHERS:
        first, end = (_days((year, 1))[0] for year in (_FIRST_YEAR, _LAST_YEAR))
        return first - 1 if partition == _OTHERS[0] else end
    year, month = partition.removeprefix(PREFIX).split("_")
    return _days((int(year), int(month)))[0]


def _month_of(day: int) -> tuple[int, int] | None:
    try:
        at = datetime.fromtimestamp(day * DAY / SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return (at.year, at.month) if _FIRST_YEAR <= at.year < _LAST_YEAR else None


def _name(month: tuple[int, int]) -> str:
    return f"{PREFIX}{month[0]}_{month[1]:02}"


def _days(month: tuple[int, int]) -> tuple[int, int]:
    """Return the first day of a month and of the next one."""
    year, number = month
    following = (year + number // 12, number % 12 + 1)
    first, end = (datetime(*each, 1, tzinfo=UTC) for each in (month, following))
    return day_of(round(first.timestamp()) * SECOND), day_of(round(end.timestamp()) * SECOND)
