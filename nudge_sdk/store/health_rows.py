"""What only somebody who looks whether all is well asks of a store."""

from __future__ import annotations

from typing import NamedTuple

from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

LEASES = "SELECT name, holder, until FROM nudge_leases ORDER BY name"

SERVER_CLOCK = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"

# The nudges are walked through by their index, so that only what is newer is read.
OUTDATED_DECISIONS = """
WITH RECURSIVE keys (nudge) AS (
  SELECT min(nudge) FROM nudge_exposures
  UNION ALL
  SELECT (SELECT min(e.nudge) FROM nudge_exposures AS e WHERE e.nudge > keys.nudge) FROM keys
  WHERE keys.nudge IS NOT NULL
)
SELECT count(*) FROM keys JOIN nudge_exposures AS e ON e.nudge = keys.nudge AND e.at >= ?
WHERE e.definition < ? AND e.kind IN ('offered', 'withheld')
"""


class HeldLease(NamedTuple):
    """A job that one process does at a time.

    Attributes:
        name: The job.
        holder: Who does it, or did.
        until: Until when, unless renewed; in microseconds.
    """

    name: str
    holder: str
    until: int


def leases(store: Store) -> list[HeldLease]:
    """Return all leases, also those that are over."""
    return [HeldLease(*row) for row in store._read(LEASES)] if isinstance(store, SqlStore) else []


def server_clock(store: Store) -> int | None:
    """Return the present instant by the clock of the store's server, in microseconds, or None if it has none."""
    if not isinstance(store, SqlStore) or not store.sqlalchemy_url.startswith("postgresql"):
        return None
    now: int = store._read(SERVER_CLOCK)[0][0]
    return now


def outdated_decisions(store: Store, *, since: int, definition: int) -> int:
    """Return how many nudges were chosen since an instant by an older definition."""
    if not isinstance(store, SqlStore):
        return 0
    count: int = store._read_long(OUTDATED_DECISIONS, (since, definition))[0][0]
    return count
