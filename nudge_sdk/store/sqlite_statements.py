"""The SQL that only SQLite speaks: many keys at once, as rows of values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from nudge_sdk.store.statements import ALIAS_COLUMNS, COUNTED, EVENT_COLUMNS, MEMBERS, marks, read_profile, subject

T = TypeVar("T")

_JOIN = {
    "nudge_members": "s.account_id = k.account_id AND s.user_id = k.user_id",
    "nudge_accounts": "s.account_id = k.account_id",
}

INBOX = "SELECT id, line FROM nudge_inbox ORDER BY id LIMIT ?"
DELETE_INBOX = "DELETE FROM nudge_inbox WHERE id <= ?"

READ_PROFILE = read_profile(
    "SELECT group_concat(journal || ' ' || position, '|') FROM nudge_journals "
    "WHERE journal IN (SELECT value FROM json_each(?3))"
)


def _keys(count: int, names: str) -> str:
    row = f"({marks(names.count(',') + 1)})"
    return f"WITH k({names}) AS (VALUES {', '.join([row] * count)})"


@cache
def read_subjects(table: str, count: int) -> str:
    """Return the query of the rows of ``count`` keys, given as (account_id, user_id) pairs."""
    start = subject(table).replace(f"FROM {table} s", f"FROM k CROSS JOIN {table} s ON {_JOIN[table]}")
    return f"{_keys(count, 'account_id, user_id')} {start}"


@cache
def read_versions(table: str, count: int) -> str:
    """Return the query of the ledger versions of ``count`` keys."""
    return (
        f"{_keys(count, 'account_id, user_id')} SELECT k.account_id, k.user_id, s.ledger_version "
        f"FROM k CROSS JOIN {table} s ON {_JOIN[table]}"
    )


def chunks(items: Sequence[T], size: int = 256) -> list[Sequence[T]]:
    """Cut into pieces whose length is a power of two, filled up by repeating the last item.

    So a handful of statements serve any number of keys, and SQLite need not compile a new one for each batch.
    """
    pieces = [items[start : start + size] for start in range(0, len(items), size)]
    return [[*piece, *[piece[-1]] * ((1 << (len(piece) - 1).bit_length()) - len(piece))] for piece in pieces]


# The days that hold any event at all, one seek each, however wide the asked range is.
_DAYS = (
    "days(day) AS (SELECT min(day) FROM nudge_events WHERE day >= ? UNION ALL "
    "SELECT (SELECT min(n.day) FROM nudge_events n WHERE n.day > days.day) FROM days WHERE days.day < ?), "
    "held(day) AS (SELECT day FROM days WHERE day <= ?)"
)
EVENTS_OF_ACCOUNT = (
    f"WITH RECURSIVE {_DAYS} SELECT {EVENT_COLUMNS} FROM held CROSS JOIN nudge_events e "
    f"ON e.day = held.day AND e.account_id = ? ORDER BY e.day, {COUNTED}"
)


@cache
def events_of(count: int) -> str:
    """Return the query of the events of ``count`` keys between two days."""
    return (
        f"{_keys(count, 'account_id, user_id').replace('WITH', 'WITH RECURSIVE')}, {_DAYS} "
        f"SELECT {EVENT_COLUMNS} FROM held CROSS JOIN k CROSS JOIN nudge_events e "
        f"ON e.day = held.day AND e.account_id = k.account_id AND e.user_id = k.user_id ORDER BY e.day, {COUNTED}"
    )


@cache
def stored_events(count: int) -> str:
    """Return the query that gives back those of ``count`` event keys that are stored."""
    return (
        f"{_keys(count, 'day, account_id, user_id, at, id')} SELECT k.* FROM k CROSS JOIN nudge_events e "
        "ON e.day = k.day AND e.account_id = k.account_id AND e.user_id = k.user_id AND e.at = k.at AND e.id = k.id"
    )


@cache
def stored_clamped(count: int) -> str:
    """Return the query that gives back those of ``count`` identities that are stored as clamped."""
    return (
        f"{_keys(count, 'at, account_id, user_id, id')} SELECT k.* FROM k CROSS JOIN nudge_clamped c "
        "ON c.at = k.at AND c.account_id = k.account_id AND c.user_id = k.user_id AND c.id = k.id"
    )


@cache
def members_of(count: int) -> str:
    """Return the query of the keys of the members of ``count`` accounts."""
    return (
        f"{_keys(count, 'account_id')} SELECT s.account_id, s.user_id FROM k CROSS JOIN {MEMBERS} s "
        "ON s.account_id = k.account_id"
    )


@cache
def read_aliases(count: int) -> str:
    """Return the query of the aliases of ``count`` keys."""
    join = f"FROM k CROSS JOIN nudge_aliases s ON {_JOIN['nudge_members']}"
    return f"{_keys(count, 'account_id, user_id')} SELECT {ALIAS_COLUMNS} {join}"
