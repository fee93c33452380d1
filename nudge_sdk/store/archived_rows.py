"""The reads that an archive is written from: what each day comes to, and the events of one day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nudge_sdk.store.rows import EventRow
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.store.statements import EVENT_COLUMNS

_BYTES = {"sqlite": "length", "postgresql": "octet_length"}


def day_sums(store: SqlStore, modulus: int) -> Iterator[tuple[int, ...]]:
    """Yield of each UTC day with events, ascending: the day, and what its events come to; see ``archive_format.Sums``.

    One pass over all events, whatever their number.
    """
    size = _BYTES[store.sqlalchemy_url.partition(":")[0].partition("+")[0]]
    query = (
        f"SELECT day, count(*), sum(at % {modulus}), sum(delay % {modulus}), sum(kind), sum(history), "
        "sum(length(account_id)), sum(length(user_id)), sum(length(name)), sum(coalesce(length(release), 0)), "
        f"sum(coalesce({size}(data), 0)) FROM nudge_events GROUP BY day ORDER BY day"
    )
    return (tuple(map(int, row)) for row in store._stream(query))


def events_of_day(store: SqlStore, day: int) -> Iterator[EventRow]:
    """Yield the events of a UTC day as they are stored, by account, user, instant and id."""
    order = "e.account_id, e.user_id, e.at, e.id"
    return store._stream(f"SELECT {EVENT_COLUMNS} FROM nudge_events e WHERE e.day = {int(day)} ORDER BY {order}")


def rows_of(store: SqlStore, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query of a report's table."""
    return store._stream(query)
