"""The SQL that only PostgreSQL speaks: many keys at once as arrays, many rows at once through a staging table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from nudge_sdk.store import statements
from nudge_sdk.store.statements import ACCOUNTS, COUNTED, EVENT_COLUMNS, MEMBERS, subject

# Numbers of advisory locks: the first marks them as ours.
OURS = 1_853_186_151
MIGRATING, PUBLISHING, PARTITIONING = 1, 2, 3

LOCK_TO_MIGRATE = f"SELECT pg_advisory_xact_lock({OURS}, {MIGRATING})"
LOCK_TO_PUBLISH = f"SELECT pg_advisory_xact_lock({OURS}, {PUBLISHING})"
LET_NOBODY_PUBLISH = f"SELECT pg_advisory_xact_lock_shared({OURS}, {PUBLISHING})"
LOCK_TO_PARTITION = f"SELECT pg_advisory_xact_lock({OURS}, {PARTITIONING})"

HAS_TABLES = "SELECT to_regclass('nudge_alembic_version') IS NOT NULL"

_PAIRS = "unnest(?1::text[], ?2::text[]) AS k(account_id, user_id)"
_SAME = "s.account_id = k.account_id AND s.user_id = k.user_id"
_AMONG = {
    MEMBERS: f"WHERE (s.account_id, s.user_id) IN (SELECT k.account_id, k.user_id FROM {_PAIRS})",
    ACCOUNTS: "WHERE s.account_id = ANY(?1::text[])",
}
_ORDER = {MEMBERS: "ORDER BY s.account_id, s.user_id", ACCOUNTS: "ORDER BY s.account_id"}

READ_SUBJECTS = {table: subject(table, _AMONG[table]) for table in statements.TABLES}
LOCK_SUBJECTS = {table: f"{READ_SUBJECTS[table]} {_ORDER[table]} FOR UPDATE" for table in statements.TABLES}
READ_PROFILE = statements.read_profile(
    "SELECT string_agg(journal || ' ' || position, '|') FROM nudge_journals WHERE journal = ANY(?3::text[])"
)
READ_VERSIONS = {
    MEMBERS: f"SELECT s.account_id, s.user_id, s.ledger_version FROM {MEMBERS} s {_AMONG[MEMBERS]}",
    ACCOUNTS: f"SELECT s.account_id, '', s.ledger_version FROM {ACCOUNTS} s {_AMONG[ACCOUNTS]}",
}
MEMBERS_OF = f"SELECT account_id, user_id FROM {MEMBERS} WHERE account_id = ANY(?1::text[])"
READ_ALIASES = f"SELECT {statements.ALIAS_COLUMNS} FROM nudge_aliases s JOIN {_PAIRS} ON {_SAME}"


EVENTS_TABLE = "nudge_events"
STAGE = {MEMBERS: "nudge_stage_members", ACCOUNTS: "nudge_stage_accounts", EVENTS_TABLE: "nudge_stage_events"}
_NAMES = {
    EVENTS_TABLE: EVENT_COLUMNS.replace("e.", ""),
    **{table: statements.columns(statements.subject_names(table)) for table in statements.TABLES},
}
MAKE_STAGE = {
    table: f"CREATE TEMP TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS "
    f"AS SELECT {_NAMES[table]} FROM {table} WITH NO DATA"
    for table, stage in STAGE.items()
}
COPY = {table: f"COPY pg_temp.{stage} ({_NAMES[table]}) FROM STDIN (FORMAT BINARY)" for table, stage in STAGE.items()}
EMPTY_STAGE = {table: f"DELETE FROM pg_temp.{stage}" for table, stage in STAGE.items()}

_TYPES = {
    "account_id": "text", "user_id": "text", "segment": "text", "tier": "text", "import_id": "text",
    "state": "bytea", "standing": "bytea", "ledger": "bytea", "ledger_version": "int4",
    "signals": "int4", "definition": "int4", "active_users": "int4", "first_day": "int4", "last_day": "int4",
}  # fmt: skip
COPIED_TYPES = {
    EVENTS_TABLE: ("int4", "text", "text", "int8", "bytea", "int2", "int2", "int8", "text", "bytea", "text"),
    **{
        table: tuple(_TYPES.get(name, "int8") for name in statements.subject_names(table))
        for table in statements.TABLES
    },
}


def _put_staged(table: str) -> str:
    return (
        f"INSERT INTO {table} ({_NAMES[table]}) SELECT {_NAMES[table]} FROM pg_temp.{STAGE[table]} "
        f"{statements.ON_CONFLICT_UPDATE[table]}"
    )


PUT_STAGED = {table: _put_staged(table) for table in statements.TABLES}
INSERT_STAGED_EVENTS = (
    f"INSERT INTO {EVENTS_TABLE} ({_NAMES[EVENTS_TABLE]}) SELECT {_NAMES[EVENTS_TABLE]} "
    f"FROM pg_temp.{STAGE[EVENTS_TABLE]} ON CONFLICT DO NOTHING"
)
INSERT_EVENT = f"{statements.INSERT_EVENT} ON CONFLICT DO NOTHING"
EMPTY_STAGE = {table: f"DELETE FROM pg_temp.{stage}" for table, stage in STAGE.items()}

_EVENT_KEYS = (
    "unnest(?1::int4[], ?2::text[], ?3::text[], ?4::int8[], ?5::bytea[]) AS k(day, account_id, user_id, at, id)"
)
STORED_EVENTS = (
    f"SELECT k.day, k.account_id, k.user_id, k.at, k.id FROM {_EVENT_KEYS} JOIN nudge_events e ON e.day = k.day "
    "AND e.account_id = k.account_id AND e.user_id = k.user_id AND e.at = k.at AND e.id = k.id"
)
STORED_CLAMPED = (
    "SELECT k.at, k.account_id, k.user_id, k.id FROM "
    "unnest(?1::int8[], ?2::text[], ?3::text[], ?4::bytea[]) AS k(at, account_id, user_id, id) "
    "JOIN nudge_clamped c ON c.at = k.at AND c.account_id = k.account_id AND c.user_id = k.user_id AND c.id = k.id"
)

# The days that hold any event at all, one seek each, however wide the asked range is.
_HELD = (
    "WITH RECURSIVE days(day) AS (SELECT min(day) FROM nudge_events WHERE day >= ?1 UNION ALL "
    "SELECT (SELECT min(n.day) FROM nudge_events n WHERE n.day > days.day) FROM days WHERE days.day < ?2), "
    "held(day) AS MATERIALIZED (SELECT day FROM days WHERE day <= ?2)"
)
EVENTS_OF_ACCOUNT = (
    f"{_HELD} SELECT e.* FROM held CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM nudge_events e "
    f"WHERE e.day = held.day AND e.account_id = ?3) AS e ORDER BY e.day, {COUNTED}"
)
EVENTS_OF = (
    f"{_HELD} SELECT e.* FROM held CROSS JOIN unnest(?3::text[], ?4::text[]) AS k(account_id, user_id) "
    f"CROSS JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM nudge_events e WHERE e.day = held.day "
    f"AND e.account_id = k.account_id AND e.user_id = k.user_id) AS e ORDER BY e.day, {COUNTED}"
)

# Ids are given when a host writes, not when it commits: one that was given earlier may appear later.
TAKE_INBOX = (
    "DELETE FROM nudge_inbox WHERE id IN (SELECT id FROM nudge_inbox ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED) "
    "RETURNING id, line"
)

PARTITIONS = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = to_regclass('nudge_events')"
)


def make_partition(name: str, first_day: int, end_day: int) -> tuple[str, str]:
    """Return the statements that make a partition of the events of these days; attaching it stops no writer."""
    return (
        f"CREATE TABLE {name} (LIKE nudge_events INCLUDING ALL)",
        f"ALTER TABLE nudge_events ATTACH PARTITION {name} FOR VALUES FROM ({first_day}) TO ({end_day})",
    )


@cache
def translated(statement: str) -> tuple[str, bool]:
    """Return a statement with the driver's marks for values, and whether those are numbered."""
    numbered, count = re.subn(r"\?(\d+)", r"%(p\1)s", statement)
    return (numbered, True) if count else (statement.replace("?", "%s"), False)


def spoken(statement: str, parameters: Sequence[Any]) -> tuple[str, Sequence[Any] | Mapping[str, Any] | None]:
    """Return a statement and its parameters as the driver takes them."""
    text, is_numbered = translated(statement)
    if not parameters:
        return text, None
    return text, {f"p{n}": value for n, value in enumerate(parameters, 1)} if is_numbered else parameters
