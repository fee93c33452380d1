"""The SQL that the SQLite store speaks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import msgspec

from nudge_sdk.rules.times import FOREVER
from nudge_sdk.store.protocol import (
    Alias,
    DefinitionRow,
    EpisodeRow,
    Exposure,
    Quarantined,
    Reached,
    SubjectRow,
    Transition,
)

T = TypeVar("T")

TABLES = ("nudge_members", "nudge_accounts")

_SUBJECT = SubjectRow.__struct_fields__
_LEDGER = ("ledger", "ledger_version")
# An index costs as much as the row; an update that leaves these columns out leaves the indexes alone.
INDEXED = ("signals", "definition", "segment", "tier", "next_change", "import_id")
PLAIN = tuple(name for name in _SUBJECT[2:] if name not in (*_LEDGER, *INDEXED))


def _columns(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _subject(table: str, where: str = "") -> str:
    columns = _columns(_SUBJECT, "s.") if table == "nudge_members" else "s.account_id, ''" + _rest()
    return f"SELECT {columns} FROM {table} s {where}"


def _rest() -> str:
    return ", " + _columns(_SUBJECT[2:], "s.")


def _insert_subject(table: str) -> str:
    names = _SUBJECT if table == "nudge_members" else (_SUBJECT[0], *_SUBJECT[2:])
    return f"INSERT INTO {table} ({_columns(names)}) VALUES ({_marks(len(names))})"


def _by_key(table: str) -> str:
    return "WHERE account_id = ? AND user_id = ?" if table == "nudge_members" else "WHERE account_id = ?"


_WRITTEN = [name for name in _SUBJECT[2:] if name not in _LEDGER]
_ON_CONFLICT = {"nudge_members": "(account_id, user_id)", "nudge_accounts": "(account_id)"}

INSERT_SUBJECT = {table: _insert_subject(table) for table in TABLES}
PUT_SUBJECT = {
    table: f"{INSERT_SUBJECT[table]} ON CONFLICT {_ON_CONFLICT[table]} DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _WRITTEN)
    for table in TABLES
}
PUT_SUBJECT_PLAIN = {
    table: f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in PLAIN)} {_by_key(table)}" for table in TABLES
}
PUT_LEDGER = {
    table: f"UPDATE {table} SET ledger = ?, ledger_version = ledger_version + 1 {_by_key(table)} AND ledger_version = ?"
    for table in TABLES
}


def _few(member: str, account: str) -> tuple[str, str, str]:
    member, account = f"{member} {_by_key('nudge_members')}", f"{account} {_by_key('nudge_accounts')}"
    return member, account, f"{member} UNION ALL {account}"


# Of a member, of an account, of one of each.
READ_FEW = _few(_subject("nudge_members"), _subject("nudge_accounts"))
READ_FEW_VERSIONS = _few(
    "SELECT account_id, user_id, ledger_version FROM nudge_members",
    "SELECT account_id, '', ledger_version FROM nudge_accounts",
)

_JOIN = {
    "nudge_members": "s.account_id = k.account_id AND s.user_id = k.user_id",
    "nudge_accounts": "s.account_id = k.account_id",
}


def _keys(count: int, names: str) -> str:
    row = f"({_marks(names.count(',') + 1)})"
    return f"WITH k({names}) AS (VALUES {', '.join([row] * count)})"


@cache
def read_subjects(table: str, count: int) -> str:
    """Return the query of the rows of ``count`` keys, given as (account_id, user_id) pairs."""
    start = _subject(table).replace(f"FROM {table} s", f"FROM k CROSS JOIN {table} s ON {_JOIN[table]}")
    return f"{_keys(count, 'account_id, user_id')} {start}"


@cache
def existing(table: str, count: int) -> str:
    """Return the query that gives back those of ``count`` keys that have a row."""
    return (
        f"{_keys(count, 'account_id, user_id')} SELECT k.account_id, k.user_id "
        f"FROM k CROSS JOIN {table} s ON {_JOIN[table]}"
    )


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


_EVENT = "day, account_id, user_id, at, id, kind, history, delay, name, data, release"
_COUNTED = "CASE WHEN e.delay < -300000000 THEN e.at + e.delay ELSE e.at END"
_EVENT_COLUMNS = _columns(_EVENT.split(", "), "e.")

INSERT_EVENT = f"INSERT INTO nudge_events ({_EVENT}) VALUES ({_marks(11)})"
INSERT_CLAMPED = "INSERT INTO nudge_clamped (at, account_id, user_id, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
HAS_CLAMPED = "SELECT 1 FROM nudge_clamped LIMIT 1"
EVENTS = f"SELECT {_EVENT_COLUMNS} FROM nudge_events e ORDER BY e.day, {_COUNTED}"

# The days that hold any event at all, one seek each, however wide the asked range is.
_DAYS = (
    "days(day) AS (SELECT min(day) FROM nudge_events WHERE day >= ? UNION ALL "
    "SELECT (SELECT min(n.day) FROM nudge_events n WHERE n.day > days.day) FROM days WHERE days.day < ?), "
    "held(day) AS (SELECT day FROM days WHERE day <= ?)"
)
EVENTS_OF_ACCOUNT = (
    f"WITH RECURSIVE {_DAYS} SELECT {_EVENT_COLUMNS} FROM held CROSS JOIN nudge_events e "
    f"ON e.day = held.day AND e.account_id = ? ORDER BY e.day, {_COUNTED}"
)


@cache
def events_of(count: int) -> str:
    """Return the query of the events of ``count`` keys between two days."""
    return (
        f"{_keys(count, 'account_id, user_id').replace('WITH', 'WITH RECURSIVE')}, {_DAYS} "
        f"SELECT {_EVENT_COLUMNS} FROM held CROSS JOIN k CROSS JOIN nudge_events e "
        f"ON e.day = held.day AND e.account_id = k.account_id AND e.user_id = k.user_id ORDER BY e.day, {_COUNTED}"
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


_DUE = f"next_change <= ?1 AND next_change < {FOREVER} AND import_id = ''"
_STALE = "definition < ?2 AND import_id = '' AND evaluated_at <> 0 AND next_change > ?1"


def _due(user_id: str, table: str) -> str:
    return (
        f"SELECT * FROM (SELECT 0 AS turn, next_change AS since, account_id, {user_id} AS user_id FROM {table} "
        f"WHERE {_DUE} ORDER BY next_change LIMIT ?3) UNION ALL "
        f"SELECT * FROM (SELECT 1, definition, account_id, {user_id} FROM {table} "
        f"WHERE {_STALE} ORDER BY definition LIMIT ?3)"
    )


_DUE_MEMBERS, _DUE_ACCOUNTS = _due("user_id", "nudge_members"), _due("''", "nudge_accounts")
DUE = (
    f"SELECT account_id, user_id FROM ({_DUE_MEMBERS} UNION ALL {_DUE_ACCOUNTS}) "
    "ORDER BY turn, since, account_id, user_id LIMIT ?3"
)
_OUTDATED = "signals < ?1 AND length(state) > 0"
OUTDATED = (
    "SELECT * FROM (SELECT account_id, user_id FROM nudge_members "
    f"WHERE {_OUTDATED} ORDER BY signals LIMIT ?2) UNION ALL "
    "SELECT * FROM (SELECT account_id, '' FROM nudge_accounts "
    f"WHERE {_OUTDATED} ORDER BY signals LIMIT ?2) ORDER BY 1, 2 LIMIT ?2"
)
COUNT_OUTDATED = " + ".join(f"(SELECT count(*) FROM {table} WHERE {_OUTDATED})" for table in TABLES).join(
    ("SELECT ", "")
)
RELEASE_IMPORT = [
    f"UPDATE {table} SET import_id = '', next_change = min(next_change, ?2) WHERE import_id <> '' AND import_id = ?1"
    for table in TABLES
]
DELETE_SUBJECT = {table: f"DELETE FROM {table} {_by_key(table)}" for table in TABLES}


@cache
def members_of(count: int) -> str:
    """Return the query of the keys of the members of ``count`` accounts."""
    return (
        f"{_keys(count, 'account_id')} SELECT s.account_id, s.user_id FROM k CROSS JOIN nudge_members s "
        "ON s.account_id = k.account_id"
    )


PAGE_MEMBERS = _subject(
    "nudge_members", "WHERE (s.account_id, s.user_id) > (?1, ?2) ORDER BY s.account_id, s.user_id LIMIT ?3"
)
PAGE_ACCOUNTS = _subject("nudge_accounts", "WHERE s.account_id > ?1 ORDER BY s.account_id LIMIT ?3")
PAGE_ALL = f"SELECT * FROM ({PAGE_MEMBERS}) UNION ALL SELECT * FROM ({PAGE_ACCOUNTS}) ORDER BY 1, 2 LIMIT ?3"


def _names(row: type[msgspec.Struct]) -> str:
    return _columns(["position" if name == "offset" else name for name in row.__struct_fields__])


def _insert(table: str, row: type[msgspec.Struct], on_conflict: str = "DO NOTHING") -> str:
    marks = _marks(len(row.__struct_fields__))
    return f"INSERT INTO {table} ({_names(row)}) VALUES ({marks}) ON CONFLICT {on_conflict}"


def _select(table: str, row: type[msgspec.Struct], rest: str) -> str:
    return f"SELECT {_names(row)} FROM {table} {rest}"


ADD_TRANSITION = _insert("nudge_transitions", Transition)
ADD_REACHED = _insert("nudge_reached", Reached)
PUT_EPISODE = _insert(
    "nudge_episodes",
    EpisodeRow,
    "(account_id, user_id, started_at) DO UPDATE SET ended_at = excluded.ended_at, end_reason = excluded.end_reason",
)
ADD_EXPOSURE = _insert("nudge_exposures", Exposure)
ADD_QUARANTINED = (
    f"INSERT INTO nudge_quarantine ({_names(Quarantined)}) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS "
    "(SELECT 1 FROM nudge_quarantine WHERE journal = ?1 AND position = ?2 AND line = ?3)"
)
PUT_ALIAS = _insert(
    "nudge_aliases",
    Alias,
    "(account_id, user_id) DO UPDATE SET to_account_id = excluded.to_account_id, "
    "to_user_id = excluded.to_user_id, at = excluded.at, id = excluded.id",
)
PUT_DEFINITION = _insert("nudge_definitions", DefinitionRow, "(number) DO UPDATE SET live_at = excluded.live_at")

_OF = "WHERE account_id = ? AND user_id = ? ORDER BY"
TRANSITIONS = _select("nudge_transitions", Transition, f"{_OF} at, observed_at, cause, tier, is_correction")
EPISODES = _select("nudge_episodes", EpisodeRow, f"{_OF} started_at")
EXPOSURES = _select("nudge_exposures", Exposure, f"{_OF} at, id, kind")
REACHED = _select("nudge_reached", Reached, f"{_OF} at, milestone")
QUARANTINED = _select("nudge_quarantine", Quarantined, "ORDER BY id")
ALIAS = _select("nudge_aliases", Alias, "WHERE account_id = ? AND user_id = ?")
ALIAS_SOURCES = _select(
    "nudge_aliases", Alias, "WHERE to_account_id = ? AND to_user_id = ? ORDER BY account_id, user_id"
)
DEFINITION_STATE = (
    "SELECT coalesce((SELECT number FROM nudge_definitions ORDER BY number DESC LIMIT 1), 0), coalesce("
    "(SELECT number FROM nudge_definitions WHERE live_at IS NOT NULL ORDER BY number DESC LIMIT 1), 0)"
)
DEFINITIONS = _select("nudge_definitions", DefinitionRow, "ORDER BY number")


@cache
def read_aliases(count: int) -> str:
    """Return the query of the aliases of ``count`` keys."""
    columns = _columns(Alias.__struct_fields__, "s.")
    join = f"FROM k CROSS JOIN nudge_aliases s ON {_JOIN['nudge_members']}"
    return f"{_keys(count, 'account_id, user_id')} SELECT {columns} {join}"


POSITION = "SELECT position FROM nudge_journals WHERE journal = ?"
PUT_POSITION = (
    "INSERT INTO nudge_journals (journal, position) VALUES (?, ?) "
    "ON CONFLICT (journal) DO UPDATE SET position = excluded.position"
)
DELETE_POSITION = "DELETE FROM nudge_journals WHERE journal = ?"

PUT_INBOX = "INSERT INTO nudge_inbox (account_id, line) VALUES (?, ?)"
INBOX = "SELECT id, line FROM nudge_inbox ORDER BY id LIMIT ?"
DELETE_INBOX = "DELETE FROM nudge_inbox WHERE id <= ?"

LEASE = "SELECT holder, until FROM nudge_leases WHERE name = ?"
TAKE_LEASE = (
    "INSERT INTO nudge_leases (name, holder, until) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (name) DO UPDATE SET holder = ?2, until = ?3 WHERE holder = ?2 OR until <= ?4"
)
RELEASE_LEASE = "DELETE FROM nudge_leases WHERE name = ? AND holder = ?"

REVISION = "SELECT version_num FROM nudge_alembic_version"
