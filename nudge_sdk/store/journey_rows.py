"""Journeys and other roll-ups as they stand in an SQL database, and the reads they are made from.

Every read is of a stretch of keys, so that a history of any length is rolled up in bounded memory; whoever moved is
found under the key that counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from nudge_sdk.rules.records import PERSONAL
from nudge_sdk.store.protocol import Key, Store
from nudge_sdk.store.rows import KINDS
from nudge_sdk.store.sql_store import SqlStore
from nudge_sdk.store.sql_transaction import SqlTransaction
from nudge_sdk.store.statements import COUNTED, columns, marks

Span = tuple[str, str, str, str]
"""(account_id, user_id) after which a stretch of keys begins, and the last one in it."""

LAST: Key = ("\U0010ffff", "\U0010ffff")
"""A key after every other."""

_WAIT = 10.0
_CONVERT = KINDS.index("convert") + 1


class Journey(msgspec.Struct, frozen=True, array_like=True):
    """When one member (or account: ``user_id`` empty) came how far; instants in microseconds, None for never.

    Attributes:
        segment: Key of the segment.
        source: Where they came from, as the traits say; empty if they do not.
        signed_up_at: Sign-up.
        activated_at: Activation; of an account, its own or its first member's.
        qualified_at: First warm or hot; of an account, its first member's.
        hot_at: The account's first hot.
        won_at: The first goal met for the first time; of a member the account's, where the goal is the account's.
        value: What that was worth, in millionths.
        offered_at, withheld_at: The first nudge offered or withheld; of an account, to its first member.
        last_at: The last event.
        events: How many events there are.
        traits: Scalar traits, as JSON.
        mark: Hash of what this was made from.
    """

    account_id: str
    user_id: str
    segment: str
    source: str
    signed_up_at: int | None
    activated_at: int | None
    qualified_at: int | None
    hot_at: int | None
    won_at: int | None
    value: int | None
    offered_at: int | None
    withheld_at: int | None
    last_at: int | None
    events: int
    traits: str
    mark: bytes

    @property
    def key(self) -> Key:
        """(account_id, user_id)."""
        return (self.account_id, self.user_id)


Tiers = tuple[int | None, int | None]
"""(first warm or hot, first hot), in microseconds."""

Replayed = tuple[str, str, int | None, int | None]
"""(account_id, user_id, first warm or hot, first hot)."""


class Facts(NamedTuple):
    """What the logs say of a stretch of keys.

    Attributes:
        tiers: Key to (first warm or hot, first hot).
        reached: Key to (milestone, instant), of the milestones asked for.
        nudges: Key to (first offered, first withheld).
    """

    tiers: dict[Key, Tiers]
    reached: dict[Key, list[tuple[str, int]]]
    nudges: dict[Key, tuple[int | None, int | None]]


_COLUMNS = Journey.__struct_fields__
_PUT = (
    f"INSERT INTO nudge_journeys ({columns(_COLUMNS)}) VALUES ({marks(len(_COLUMNS))}) ON CONFLICT "
    f"(account_id, user_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[2:])}"
)
_DELETE = "DELETE FROM nudge_journeys WHERE account_id = ? AND user_id = ?"
_BLANK = "UPDATE nudge_journeys SET source = '', traits = '{}', mark = ? WHERE account_id = ?"
_OF = f"SELECT {columns(_COLUMNS)} FROM nudge_journeys WHERE account_id = ? AND user_id = ?"


def _in_span(account_id: str, user_id: str) -> str:
    return f"({account_id}, {user_id}) > (?1, ?2) AND ({account_id}, {user_id}) <= (?3, ?4)"


def _owned(table: str, names: str, where: str) -> str:
    """Return the query of rows of a stretch of keys, under the key that counts: their own, and those that moved to it.

    The rows of somebody who moved come under the old key as well, of which there is no member any more.
    """
    return (
        f"SELECT e.account_id AS account_id, e.user_id AS user_id, {names} FROM {table} e "
        f"WHERE {_in_span('e.account_id', 'e.user_id')} AND {where} UNION ALL "
        f"SELECT m.to_account_id, m.to_user_id, {names} FROM nudge_moved m JOIN {table} e "
        "ON e.account_id = m.account_id AND e.user_id = m.user_id "
        f"WHERE {_in_span('m.to_account_id', 'm.to_user_id')} AND {where}"
    )


_IN_SPAN = f"SELECT {columns(_COLUMNS)} FROM nudge_journeys WHERE {_in_span('account_id', 'user_id')}"
_RISEN = _owned("nudge_transitions", "e.tier AS tier, e.cause AS cause, e.at AS at", "e.tier <> 'none'")
_TIERS = (
    "SELECT account_id, user_id, cause = 'import', min(at), min(CASE tier WHEN 'hot' THEN at ELSE NULL END) "
    f"FROM ({_RISEN}) AS t GROUP BY 1, 2, 3"
)
_REPLAYED = (
    f"SELECT account_id, user_id, qualified_at, hot_at FROM nudge_replayed WHERE {_in_span('account_id', 'user_id')}"
)
_PUT_REPLAYED = "INSERT INTO nudge_replayed (account_id, user_id, qualified_at, hot_at) VALUES (?, ?, ?, ?)"
_DELETE_REPLAYED = "DELETE FROM nudge_replayed WHERE account_id = ?"
_CHOSEN = _owned("nudge_exposures", "e.kind AS kind, e.at AS at", "e.kind IN ('offered', 'withheld')")
_NUDGES = (
    "SELECT account_id, user_id, min(CASE kind WHEN 'offered' THEN at ELSE NULL END), "
    f"min(CASE kind WHEN 'withheld' THEN at ELSE NULL END) FROM ({_CHOSEN}) AS t GROUP BY 1, 2"
)
# The first condition is the one of the partial index, in its words.
_GOALS = _owned(
    "nudge_events",
    f"{COUNTED} AS counted_at, e.data AS data",
    f"e.kind IN ({_CONVERT}, {_CONVERT + 1}) AND e.kind = {_CONVERT} AND e.name = ?5",
)


def journeys_in(store: SqlStore, span: Span) -> dict[Key, Journey]:
    """Return the stored journeys of a stretch of keys."""
    return {(row[0], row[1]): _journey(row) for row in store._read_long(_IN_SPAN, span)}


def journeys_of(store: Store, keys: Iterable[Key]) -> list[Journey]:
    """Return the stored journeys of some members or accounts; of a store in memory, none."""
    if not isinstance(store, SqlStore):
        return []
    return [_journey(row) for key in keys for row in store._read_long(_OF, key)]


def facts_in(store: SqlStore, span: Span, milestones: Collection[str]) -> Facts:
    """Return what the logs say of a stretch of keys.

    Args:
        store: Read only.
        span: Which keys.
        milestones: Keys of the milestones whose first time is asked for.
    """
    reached: dict[Key, list[tuple[str, int]]] = {}
    for account_id, user_id, milestone, at in _reached_in(store, span, sorted(milestones)):
        reached.setdefault((account_id, user_id), []).append((milestone, at))
    return Facts(
        _tiers_in(store, span),
        reached,
        {(row[0], row[1]): (row[2], row[3]) for row in store._read_long(_NUDGES, span)},
    )


def _tiers_in(store: SqlStore, span: Span) -> dict[Key, Tiers]:
    """Return when everybody first rose: as it was concluded; of imported history that was replayed, as it happened."""
    replayed = {(row[0], row[1]): (row[2], row[3]) for row in store._read_long(_REPLAYED, span)}
    found: dict[Key, Tiers] = dict(replayed)
    for account_id, user_id, is_of_import, risen_at, hot_at in store._read_long(_TIERS, span):
        key = (account_id, user_id)
        if not (is_of_import and key in replayed):
            known = found.get(key, (None, None))
            found[key] = (earlier(known[0], risen_at), earlier(known[1], hot_at))
    return found


def earlier(one: int | None, other: int | None) -> int | None:
    """Return the earlier of two instants, None if there is neither."""
    return min((each for each in (one, other) if each is not None), default=None)


def put_replayed(transaction: SqlTransaction, account_ids: Iterable[str], rows: Sequence[Replayed]) -> None:
    """Write when people of imported history would have qualified, in place of all that was known of these accounts.

    Args:
        transaction: Where.
        account_ids: The accounts.
        rows: Theirs; those who were forgotten are left out.
    """
    transaction.definition_state()
    forgotten = _forgotten(transaction, {name for each in rows for name in _named((each[0], each[1]))})
    transaction.many(_DELETE_REPLAYED, [(account_id,) for account_id in sorted(set(account_ids))])
    transaction.many(_PUT_REPLAYED, [each for each in rows if forgotten.isdisjoint(_named((each[0], each[1])))])


def imported_accounts(store: SqlStore) -> set[str]:
    """Return the accounts, as sent, of which history was imported."""
    return {row[0] for row in store._read_long("SELECT DISTINCT account_id FROM nudge_events WHERE history = 1")}


def note_import(store: Store, at: int) -> None:
    """Write down that history was imported, so that it is replayed for reports; in memory there are none."""
    if isinstance(store, SqlStore):
        with store.transaction(wait=_WAIT) as transaction:
            put_rollup(transaction, "imported", at, {})


def last_import(store: SqlStore) -> int | None:
    """Return the instant of the last import of history, in microseconds, or None."""
    noted = read_rollup(store, "imported")
    return noted[0] if noted else None


def _reached_in(store: SqlStore, span: Span, milestones: list[str]) -> list[Any]:
    if not milestones:
        return []
    among = ", ".join(f"?{number}" for number in range(5, 5 + len(milestones)))
    query = _owned("nudge_reached", "e.milestone AS milestone, e.at AS at", f"e.milestone IN ({among})")
    return store._read_long(query, (*span, *milestones))


def conversions_in(store: SqlStore, span: Span, goal: str) -> list[tuple[str, str, int, bytes | None]]:
    """Return (account, user, instant, packed data) of each time a goal was said to be met, of a stretch of keys."""
    return store._read_long(_GOALS, (*span, goal))


def read_rollup(store: SqlStore, name: str) -> tuple[int, dict[str, Any]] | None:
    """Return when something was rolled up, in microseconds, and how; None for never."""
    rows = store._read_long("SELECT at, details FROM nudge_rollups WHERE name = ?", (name,))
    return (rows[0][0], msgspec.json.decode(rows[0][1])) if rows else None


def put_rollup(transaction: SqlTransaction, name: str, at: int, details: dict[str, Any]) -> None:
    """Write down that something was rolled up."""
    transaction.count(
        "INSERT INTO nudge_rollups (name, at, details) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details",
        (name, at, msgspec.json.encode(details)),
    )


def delete_rollup(transaction: SqlTransaction, name: str) -> None:
    """Forget a roll-up."""
    transaction.count("DELETE FROM nudge_rollups WHERE name = ?", (name,))


def put_journeys(transaction: SqlTransaction, journeys: Sequence[Journey], gone: Iterable[Key] = ()) -> int:
    """Write journeys, and delete those of keys that are gone; how many were written.

    Nobody forgets anybody meanwhile, and whoever was forgotten is left out.
    """
    transaction.definition_state()
    forgotten = _forgotten(transaction, {name for each in journeys for name in _named(each.key)})
    kept = [each for each in journeys if forgotten.isdisjoint(_named(each.key))]
    transaction.many(_PUT, [msgspec.structs.astuple(each) for each in kept])
    transaction.many(_DELETE, sorted({*gone, *({each.key for each in journeys} - {each.key for each in kept})}))
    return len(kept)


def blank_journeys(transaction: Any, account_ids: Iterable[str]) -> None:
    """Take out of accounts' journeys what traits say, until they are rolled up again; in memory there are none."""
    if isinstance(transaction, SqlTransaction):
        transaction.many(_BLANK, [(b"", account_id) for account_id in sorted(account_ids)])


def stored_moves(store: SqlStore) -> dict[Key, Key]:
    """Return for whom those who moved count, as last rolled up."""
    rows = store._read_long("SELECT account_id, user_id, to_account_id, to_user_id FROM nudge_moved")
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def put_moves(transaction: SqlTransaction, changed: dict[Key, Key], gone: Iterable[Key]) -> None:
    """Write for whom members count who moved; those who were forgotten are left out."""
    transaction.definition_state()
    forgotten = _forgotten(transaction, {*changed, *changed.values()})
    rows = [(*source, *target) for source, target in changed.items() if forgotten.isdisjoint((source, target))]
    transaction.many("DELETE FROM nudge_moved WHERE account_id = ? AND user_id = ?", sorted({*gone, *changed}))
    transaction.many(
        "INSERT INTO nudge_moved (account_id, user_id, to_account_id, to_user_id) VALUES (?, ?, ?, ?)", sorted(rows)
    )


def _named(key: Key) -> set[Key]:
    """Return the members a key names: whose it is, and in whose personal account."""
    account_id, user_id = key
    named = {key} if user_id else set()
    return named | ({(account_id, account_id.removeprefix(PERSONAL))} if account_id.startswith(PERSONAL) else set())


def _forgotten(transaction: SqlTransaction, named: set[Key]) -> set[Key]:
    return transaction.forgotten(named) if named and transaction.has_forgotten() else set()


def _journey(row: Any) -> Journey:
    return Journey(**dict(zip(_COLUMNS, (*row[:-1], bytes(row[-1])), strict=True)))
