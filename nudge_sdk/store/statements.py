"""The SQL that every database understands, with ``?`` for a value and ``?1`` for the first one, wherever it stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nudge_sdk.rules.bases import Base
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

MEMBERS, ACCOUNTS = TABLES = ("nudge_members", "nudge_accounts")

SUBJECT = SubjectRow.__struct_fields__
_LEDGER = ("ledger", "ledger_version")
# An index costs as much as the row; an update that leaves these columns out leaves the indexes alone.
INDEXED = ("signals", "definition", "segment", "tier", "next_change", "import_id")
PLAIN = tuple(name for name in SUBJECT[2:] if name not in (*_LEDGER, *INDEXED))


def columns(names: Sequence[str], prefix: str = "") -> str:
    """Return names as they stand in a statement."""
    return ", ".join(prefix + name for name in names)


def marks(count: int) -> str:
    """Return places for so many values."""
    return ", ".join("?" * count)


def subject(table: str, where: str = "") -> str:
    """Return the query of whole rows of members or accounts."""
    names = columns(SUBJECT, "s.") if table == MEMBERS else f"s.account_id, '', {columns(SUBJECT[2:], 's.')}"
    return f"SELECT {names} FROM {table} s {where}"


def subject_names(table: str) -> tuple[str, ...]:
    """Return the columns that a row of this table is written with."""
    return SUBJECT if table == MEMBERS else (SUBJECT[0], *SUBJECT[2:])


def _insert_subject(table: str) -> str:
    names = subject_names(table)
    return f"INSERT INTO {table} ({columns(names)}) VALUES ({marks(len(names))})"


def by_key(table: str) -> str:
    """Return the condition that names one row."""
    return "WHERE account_id = ? AND user_id = ?" if table == MEMBERS else "WHERE account_id = ?"


_WRITTEN = [name for name in SUBJECT[2:] if name not in _LEDGER]
_KEY = {MEMBERS: "(account_id, user_id)", ACCOUNTS: "(account_id)"}
ON_CONFLICT_UPDATE = {
    table: f"ON CONFLICT {_KEY[table]} DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _WRITTEN)}"
    for table in TABLES
}

INSERT_SUBJECT = {table: _insert_subject(table) for table in TABLES}
PUT_SUBJECT = {table: f"{INSERT_SUBJECT[table]} {ON_CONFLICT_UPDATE[table]}" for table in TABLES}
PUT_SUBJECT_PLAIN = {
    table: f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in PLAIN)} {by_key(table)}" for table in TABLES
}
PUT_LEDGER = {
    table: f"UPDATE {table} SET ledger = ?, ledger_version = ledger_version + 1 {by_key(table)} AND ledger_version = ?"
    for table in TABLES
}
DELETE_SUBJECT = {table: f"DELETE FROM {table} {by_key(table)}" for table in TABLES}


def _few(member: str, account: str) -> tuple[str, str, str]:
    member, account = f"{member} {by_key(MEMBERS)}", f"{account} {by_key(ACCOUNTS)}"
    return member, account, f"{member} UNION ALL {account}"


# Of a member, of an account, of one of each.
READ_FEW = _few(subject(MEMBERS), subject(ACCOUNTS))
READ_FEW_VERSIONS = _few(
    f"SELECT account_id, user_id, ledger_version FROM {MEMBERS}",
    f"SELECT account_id, '', ledger_version FROM {ACCOUNTS}",
)


_IS_MOVED = "EXISTS (SELECT 1 FROM nudge_aliases WHERE account_id = ?1 AND user_id = ?2)"


def read_profile(positions: str) -> str:
    """Return the query of a member, its account, and beside each ``positions`` and whether the member was moved.

    There is one row even where there is neither.
    """
    member = subject(MEMBERS, "WHERE s.account_id = ?1 AND s.user_id = ?2")
    account = subject(ACCOUNTS, "WHERE s.account_id = ?1")
    return (
        "SELECT found.*, p.positions, p.is_moved "
        f"FROM (SELECT ({positions}) AS positions, {_IS_MOVED} AS is_moved) AS p "
        f"LEFT JOIN ({member} UNION ALL {account}) AS found ON 1 = 1"
    )


_EVENT = "day, account_id, user_id, at, id, kind, history, delay, name, data, release"
COUNTED = "CASE WHEN e.delay < -300000000 THEN e.at + e.delay ELSE e.at END"
EVENT_COLUMNS = columns(_EVENT.split(", "), "e.")

INSERT_EVENT = f"INSERT INTO nudge_events ({_EVENT}) VALUES ({marks(11)})"
INSERT_CLAMPED = "INSERT INTO nudge_clamped (at, account_id, user_id, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
HAS_CLAMPED = "SELECT 1 FROM nudge_clamped LIMIT 1"
EVENTS = f"SELECT {EVENT_COLUMNS} FROM nudge_events e ORDER BY e.day, {COUNTED}"

_NOBODY = "''"
_DUE = f"next_change <= ?1 AND next_change < {FOREVER} AND import_id = ''"
_STALE = "definition < ?2 AND import_id = '' AND evaluated_at <> 0 AND next_change > ?1"


def _due(user_id: str, table: str) -> str:
    return (
        f"SELECT * FROM (SELECT 0 AS turn, next_change AS since, account_id, {user_id} AS user_id FROM {table} "
        f"WHERE {_DUE} ORDER BY next_change LIMIT ?3) AS due UNION ALL "
        f"SELECT * FROM (SELECT 1, definition, account_id, {user_id} FROM {table} "
        f"WHERE {_STALE} ORDER BY definition LIMIT ?3) AS stale"
    )


DUE = (
    f"SELECT account_id, user_id FROM ({_due('user_id', MEMBERS)} UNION ALL {_due(_NOBODY, ACCOUNTS)}) AS found "
    "ORDER BY turn, since, account_id, user_id LIMIT ?3"
)
_OUTDATED = "signals < ?1 AND length(state) > 0"
OUTDATED = (
    f"SELECT * FROM (SELECT account_id, user_id FROM {MEMBERS} WHERE {_OUTDATED} ORDER BY signals LIMIT ?2) AS m "
    f"UNION ALL SELECT * FROM (SELECT account_id, '' FROM {ACCOUNTS} WHERE {_OUTDATED} ORDER BY signals LIMIT ?2) AS a "
    "ORDER BY 1, 2 LIMIT ?2"
)
COUNT_OUTDATED = "SELECT " + " + ".join(f"(SELECT count(*) FROM {table} WHERE {_OUTDATED})" for table in TABLES)
RELEASE_IMPORT = [
    f"UPDATE {table} SET import_id = '', next_change = CASE WHEN next_change < ?2 THEN next_change ELSE ?2 END "
    "WHERE import_id <> '' AND import_id = ?1"
    for table in TABLES
]

PAGE_MEMBERS = subject(MEMBERS, "WHERE (s.account_id, s.user_id) > (?1, ?2) ORDER BY s.account_id, s.user_id LIMIT ?3")
PAGE_ACCOUNTS = subject(ACCOUNTS, "WHERE s.account_id > ?1 ORDER BY s.account_id LIMIT ?3")
PAGE_ALL = f"SELECT * FROM ({PAGE_MEMBERS}) AS m UNION ALL SELECT * FROM ({PAGE_ACCOUNTS}) AS a ORDER BY 1, 2 LIMIT ?3"


def _names(row: type[msgspec.Struct]) -> str:
    return columns(["position" if name == "offset" else name for name in row.__struct_fields__])


def _insert(table: str, row: type[msgspec.Struct], on_conflict: str = "DO NOTHING") -> str:
    return f"INSERT INTO {table} ({_names(row)}) VALUES ({marks(len(row.__struct_fields__))}) ON CONFLICT {on_conflict}"


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
ALIAS_COLUMNS = columns(Alias.__struct_fields__, "s.")
ALIAS = _select("nudge_aliases", Alias, "WHERE account_id = ? AND user_id = ?")
ALIAS_SOURCES = _select(
    "nudge_aliases", Alias, "WHERE to_account_id = ? AND to_user_id = ? ORDER BY account_id, user_id"
)
DEFINITION_STATE = (
    "SELECT coalesce((SELECT number FROM nudge_definitions ORDER BY number DESC LIMIT 1), 0), coalesce("
    "(SELECT number FROM nudge_definitions WHERE live_at IS NOT NULL ORDER BY number DESC LIMIT 1), 0)"
)
DEFINITIONS = _select("nudge_definitions", DefinitionRow, "ORDER BY number")

POSITION = "SELECT position FROM nudge_journals WHERE journal = ?"
PUT_POSITION = (
    "INSERT INTO nudge_journals (journal, position) VALUES (?, ?) "
    "ON CONFLICT (journal) DO UPDATE SET position = excluded.position"
)
DELETE_POSITION = "DELETE FROM nudge_journals WHERE journal = ?"

HAS_INBOX = "SELECT 1 FROM nudge_inbox LIMIT 1"
PUT_INBOX = "INSERT INTO nudge_inbox (account_id, line) VALUES (?, ?)"

LEASE = "SELECT holder, until FROM nudge_leases WHERE name = ?"
TAKE_LEASE = (
    "INSERT INTO nudge_leases AS held (name, holder, until) VALUES (?1, ?2, ?3) ON CONFLICT (name) "
    "DO UPDATE SET holder = ?2, until = ?3 WHERE held.holder = ?2 OR held.until <= ?4 OR held.until > ?5"
)
RELEASE_LEASE = "DELETE FROM nudge_leases WHERE name = ? AND holder = ?"

HORIZON = "SELECT day FROM nudge_horizons WHERE signal = ''"
HORIZONS = "SELECT signal, day FROM nudge_horizons"
DELETE_HORIZONS = "DELETE FROM nudge_horizons"
ADD_HORIZON = "INSERT INTO nudge_horizons (signal, day) VALUES (?, ?)"
PUT_BASE = _insert(
    "nudge_bases", Base, "(account_id, user_id) DO UPDATE SET member = excluded.member, account = excluded.account"
)
BASE = _select("nudge_bases", Base, "WHERE account_id = ? AND user_id = ?")
BASES_OF_ACCOUNT = _select("nudge_bases", Base, "WHERE account_id = ? ORDER BY user_id")
BASES = _select("nudge_bases", Base, "ORDER BY account_id, user_id")
ALIASES = _select("nudge_aliases", Alias, "ORDER BY account_id, user_id")
OLDEST_EVENTS = (
    f"SELECT {EVENT_COLUMNS} FROM nudge_events e WHERE e.day < ? "
    "ORDER BY e.day, e.account_id, e.user_id, e.at, e.id LIMIT ?"
)
DELETE_EVENT = "DELETE FROM nudge_events WHERE day = ? AND account_id = ? AND user_id = ? AND at = ? AND id = ?"

REVISION = "SELECT version_num FROM nudge_alembic_version"
