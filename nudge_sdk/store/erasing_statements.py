"""The SQL that finds and deletes all that is stored of a person, the same in every database."""

from __future__ import annotations

from nudge_sdk.store.rows import KINDS
from nudge_sdk.store.statements import ACCOUNTS, MEMBERS, marks

BESIDE_EVENTS = (
    MEMBERS,
    "nudge_clamped",
    "nudge_transitions",
    "nudge_reached",
    "nudge_episodes",
    "nudge_exposures",
    "nudge_aliases",
    "nudge_bases",
    "nudge_journeys",
    "nudge_moved",
    "nudge_replayed",
)
"""Tables with an account and a user in each row, but for the events."""

LINES = ("nudge_quarantine", "nudge_inbox")
"""Tables with lines as they were sent."""

ALL = (*BESIDE_EVENTS, ACCOUNTS, *LINES)

SECRET = "SELECT value FROM nudge_secrets WHERE name = ?"
ADD_SECRET = "INSERT INTO nudge_secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
HAS_TOMBSTONES = "SELECT 1 FROM nudge_forgotten LIMIT 1"
ADD_TOMBSTONE = "INSERT INTO nudge_forgotten (digest, at) VALUES (?, ?) ON CONFLICT DO NOTHING"
DELETE_TOMBSTONE = "DELETE FROM nudge_forgotten WHERE digest = ?"

DELETE_OF_MEMBER = [f"DELETE FROM {table} WHERE account_id = ? AND user_id = ?" for table in BESIDE_EVENTS]
DELETE_MOVES_TO = [
    f"DELETE FROM {table} WHERE to_account_id = ? AND to_user_id = ?" for table in ("nudge_aliases", "nudge_moved")
]
DELETE_OF_ACCOUNT = [f"DELETE FROM {table} WHERE account_id = ?" for table in (*BESIDE_EVENTS, ACCOUNTS)]

LINES_OF = {
    "nudge_quarantine": "SELECT id, line, reason FROM nudge_quarantine",
    "nudge_inbox": "SELECT id, line, '' FROM nudge_inbox",
}
DELETE_LINE = {table: f"DELETE FROM {table} WHERE id = ?" for table in LINES}

CAUSES = {
    table: f"SELECT DISTINCT cause FROM {table} WHERE account_id = ?"
    for table in ("nudge_transitions", "nudge_episodes")
}
HIDE_CAUSE = {table: f"UPDATE {table} SET cause = ? WHERE account_id = ? AND cause = ?" for table in CAUSES}


def tombstones(count: int) -> str:
    """Return the query of those of ``count`` tombstones that there are."""
    return f"SELECT digest FROM nudge_forgotten WHERE digest IN ({marks(count)})"


def keys_of(count: int) -> str:
    """Return the query of the keys under which anything of ``count`` user ids is stored, but for events alone."""
    among = f"IN ({marks(count)})"
    found = [f"SELECT account_id, user_id FROM {table} WHERE user_id {among}" for table in BESIDE_EVENTS]
    found.append(f"SELECT to_account_id, to_user_id FROM nudge_aliases WHERE to_user_id {among}")
    return " UNION ".join(found)


def delete_events(keys: int, accounts: int, names: int) -> str:
    """Return the statement that deletes events: of so many keys, whole accounts, and aliases to so many users.

    It reads the whole table once: nothing but that finds an alias that was said and did not hold.
    """
    wanted = []
    if keys:
        wanted.append(f"(account_id, user_id) IN (VALUES {', '.join(['(?, ?)'] * keys)})")
    if accounts:
        wanted.append(f"account_id IN ({marks(accounts)})")
    if names:
        wanted.append(f"(kind = {KINDS.index('alias') + 1} AND name IN ({marks(names)}))")
    return f"DELETE FROM nudge_events WHERE {' OR '.join(wanted) or '1 = 0'}"
