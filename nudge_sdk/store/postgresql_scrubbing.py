"""Overwriting what deleted rows leave behind in the files of a PostgreSQL database.

``VACUUM FULL`` writes a table and its indexes into new files; the server removes the old ones at its next checkpoint. A
plain ``VACUUM`` would leave the bytes on their pages. What stays: the write-ahead log until the server reuses it, and
backups.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

import psycopg
from psycopg import errors

from nudge_sdk.errors import StoreBusyError
from nudge_sdk.store.erasing_statements import ALL
from nudge_sdk.store.postgresql_connections import Bounded, Connections
from nudge_sdk.store.postgresql_partitions import PREFIX, first_day_of, partitions_of

_LOCK_SECONDS = 1
_PAUSE = 0.05

# A row that a transaction begun before the deletion may still look at is written anew like a living one.
_HORIZON = "SELECT pg_current_xact_id()::xid::text"
_OLDER = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND (age(backend_xmin) > age(%s::text::xid) OR age(backend_xid) > age(%s::text::xid))"
)

_NEEDED = (
    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass(%s) "
    "AND attnum > 0 AND attnotnull AND NOT attisdropped ORDER BY attnum"
)
_BLANK = {"text": "", "bytea": b"", "bigint": 0, "integer": 0, "smallint": 0}


def scrub(connections: Connections, days: Collection[int] | None, wait: float) -> None:
    """Write the tables that hold anything of people anew; see ``store.protocol.Store.scrub``."""
    deadline = time.monotonic() + wait
    partitions = partitions_of(connections, days)
    connection = connections.open(wait)
    try:
        with connections.translating():
            connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            _outwait(connection, connections.name, deadline)
            for table in (*ALL, *partitions):
                _until(partial(_write_anew, connection, table, "FULL, ANALYZE"), connections.name, deadline)
                _forget_samples(connection, table, table)
            if partitions:
                connection.execute("ANALYZE nudge_events")
                _forget_samples(connection, partitions[-1], "nudge_events")
            _until(partial(_write_anew, connection, "pg_statistic", "FULL"), connections.name, deadline)
    finally:
        connection.close()


def _forget_samples(connection: Bounded, table: str, analyzed: str) -> None:
    """Let the planner draw samples of an empty table anew.

    It keeps values it has seen, ids of users among them, and those of a table that became empty for ever. So it is
    shown a row that nobody else ever sees.

    Args:
        connection: Outside any transaction.
        table: Where to put the row: the table itself, or a partition of it.
        analyzed: The table.
    """
    if _one(connection, f"SELECT EXISTS (SELECT FROM {analyzed})"):
        return
    columns = connection.execute(_NEEDED, (table,)).fetchall()
    names = ", ".join(name for name, _ in columns)
    day = first_day_of(table) if table.startswith(PREFIX) else 0
    values = [day if name == "day" else _BLANK[kind] for name, kind in columns]
    marks = ", ".join(["%s"] * len(values))
    with connection.transaction():
        connection.execute(f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})", values)
        connection.execute(f"ANALYZE {analyzed}")
        connection.execute(f"DELETE FROM {table} WHERE xmin = pg_current_xact_id()::xid")


def _outwait(connection: Bounded, name: str, deadline: float) -> None:
    horizon = _one(connection, _HORIZON)
    _until(lambda: _one(connection, _OLDER, (horizon, horizon)) == 0, name, deadline)


def _one(connection: Bounded, query: str, parameters: Sequence[object] | None = None) -> object:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _until(work: Callable[[], bool], name: str, deadline: float) -> None:
    while not work():
        if time.monotonic() >= deadline:
            text = f"the {name} is in use, so what was deleted cannot be overwritten yet; do the same again later."
            raise StoreBusyError(text)
        time.sleep(_PAUSE)


def _write_anew(connection: Bounded, table: str, how: str) -> bool:
    try:
        connection.execute(f"VACUUM ({how}) {table}", prepare=False)
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return False
    except psycopg.errors.InsufficientPrivilege:
        if table != "pg_statistic":
            raise
    return True
