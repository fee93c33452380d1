"""Journeys: when each member and account came how far, rolled up so that reports need not read the events.

Everybody's row is looked at, a page at a time; only of whom something changed is a journey made anew. It needs nothing
but the store. One process does it at a time; broken off at any moment, doing it again goes on.

Of events that were dropped (``nudge retain``), the instants found before stay.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.activation import activation_of
from nudge_sdk.insights.rolling import Rolling, Terms, Won, worth
from nudge_sdk.insights.scored import scored_events
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.identity import Aliases, Move
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.times import DAY, MINUTE, SECOND
from nudge_sdk.store.journey_rows import (
    LAST,
    Span,
    conversions_in,
    facts_in,
    journeys_in,
    put_journeys,
    put_moves,
    put_rollup,
    read_rollup,
    stored_moves,
)
from nudge_sdk.store.protocol import Key, Store, SubjectRow
from nudge_sdk.store.sql_store import SqlStore

NAME = "journeys"
FRESH = 10 * MINUTE
"""Reports are made from journeys that are no older than this, where somebody refreshes them."""

PAGE = 1000
MOST_AT_ONCE = 20_000
"""How many members may be rolled up while somebody waits for a page."""

_WAIT = 10.0
_WRITTEN_AT_ONCE = 500
_LEASE_SECONDS = 60.0


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh did.

    Attributes:
        at: The instant it was begun with, in microseconds.
        subjects: How many members and accounts there are.
        changed: How many journeys were written.
        gone: How many were deleted, of members that are no more.
        seconds: How long it took.
    """

    at: int
    subjects: int
    changed: int
    gone: int
    seconds: float


Progress = Callable[[int], None]
"""Told how many members and accounts were looked at so far."""


def refresh(store: Store, rules: Rules, now: int, progress: Progress | None = None) -> Refreshed | None:
    """Bring the journeys up to date; None while another process is at it.

    Args:
        store: Where they are; what is written is nothing but journeys.
        rules: The definition in force: what activation is, and the goal.
        now: The present instant, in microseconds.
        progress: Told now and then how far it is.

    Raises:
        SetupError: The store is no database.
        StoreError: It refused or was busy; what was written so far is in order.
    """
    done = None
    for done in steps(store, rules, now):
        if progress is not None:
            progress(done.subjects)
    return done


def refreshed_at(store: Store) -> int | None:
    """Return the instant of the last whole refresh, in microseconds, or None."""
    rollup = read_rollup(database_of(store), NAME)
    return rollup[0] if rollup else None


def are_fresh(store: Store, rules: Rules, now: int) -> bool:
    """Whether the last refresh was by this definition, and no longer ago than ``FRESH``."""
    rollup = read_rollup(database_of(store), NAME)
    return rollup is not None and now - rollup[0] < FRESH and rollup[1].get("definition") == rules.number


def ensure_fresh(store: Store, rules: Rules, now: int, *, most: int = MOST_AT_ONCE) -> int | None:
    """Refresh if the last time is longer ago than ``FRESH``, or by another definition; return the instant they are of.

    Args:
        store: Where they are.
        rules: The definition in force.
        now: The present instant, in microseconds.
        most: If there are more members than this, nothing is done.
    """
    database = database_of(store)
    if are_fresh(store, rules, now):
        return refreshed_at(store)
    count = database._read_long("SELECT count(*) FROM (SELECT 1 FROM nudge_members LIMIT ?) AS m", (most + 1,))
    if count[0][0] <= most:
        refresh(store, rules, now)
    return refreshed_at(store)


def steps(store: Store, rules: Rules, now: int) -> Generator[Refreshed, None, None]:
    """Do a refresh a page at a time; yield how far it is, and in the end what it did. See ``refresh``."""
    database = database_of(store)
    holder, began = uuid.uuid4().hex, time.monotonic()
    if not _has_lease(database, holder, now, began):
        return
    try:
        _roll_up_moves(database)
        roll, before = _rolling(database, rules)
        changed = gone = subjects = 0
        for rows, last in _pages(database):
            found, lost = _page(database, roll, rows, before, last)
            changed += _write(database, found, lost)
            gone += len(lost)
            subjects += len(rows)
            before = last
            _has_lease(database, holder, now, began)
            yield Refreshed(at=now, subjects=subjects, changed=changed, gone=gone, seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        _note(database, roll.terms, now, _known_of(rules) | {"seconds": round(seconds, 3), "subjects": subjects})
        yield Refreshed(at=now, subjects=subjects, changed=changed, gone=gone, seconds=seconds)
    finally:
        database.release_lease(NAME, holder)


def database_of(store: Store) -> SqlStore:
    """Return a store as the database it is.

    Raises:
        SetupError: It is none.
    """
    if not isinstance(store, SqlStore):
        raise SetupError("a store in memory keeps nothing that reports could read; use SQLite or PostgreSQL")
    return store


def _has_lease(store: SqlStore, holder: str, now: int, began: float) -> bool:
    at = now + round((time.monotonic() - began) * SECOND)
    return store.acquire_lease(NAME, holder, now=at, seconds=_LEASE_SECONDS)


def _roll_up_moves(store: SqlStore) -> None:
    """Write down for whom everybody counts in the end who moved."""
    moves = store.aliases()
    aliases = Aliases(Move((a.account_id, a.user_id), (a.to_account_id, a.to_user_id), a.at, a.id) for a in moves)
    resolved = {source: aliases.resolve(source) for source in aliases.moves}
    wanted = {source: target for source, target in resolved.items() if source != target}
    known = stored_moves(store)
    changed = [(source, target) for source, target in wanted.items() if known.get(source) != target]
    gone = sorted(known.keys() - wanted.keys())
    while changed or gone:
        with store.transaction(wait=_WAIT) as transaction:
            put_moves(transaction, dict(changed[:_WRITTEN_AT_ONCE]), gone[:_WRITTEN_AT_ONCE])
        changed, gone = changed[_WRITTEN_AT_ONCE:], gone[_WRITTEN_AT_ONCE:]


def _rolling(store: SqlStore, rules: Rules) -> tuple[Rolling, Key]:
    rollup = read_rollup(store, NAME)
    goals = rules.definition.goals
    horizon = store.read_horizons().get("")
    goal = goals[0].key if goals else ""
    is_same_goal = rollup is not None and rollup[1].get("goal") == goal
    terms = Terms(
        definition=rules.number,
        activation=activation_of(rules.definition),
        goal=goal,
        is_goal_of_account=not goals or goals[0].unit == "account",
        kept_before=horizon * DAY if horizon is not None and is_same_goal else None,
    )
    return Rolling(terms), ("", "")


def _pages(store: SqlStore) -> Iterator[tuple[list[SubjectRow], Key]]:
    """Yield pages of rows with the last key of each stretch; at last an empty one, up to the end of all keys."""
    after: Key | None = None
    while rows := store.subjects(after=after, limit=PAGE):
        after = rows[-1].key
        yield rows, after
    yield [], LAST


def _page(
    store: SqlStore, roll: Rolling, rows: list[SubjectRow], before: Key, last: Key
) -> tuple[list[Any], list[Key]]:
    """Return the journeys of a page that changed, and the keys of those that are gone."""
    span: Span = (*before, *last)
    stored = journeys_in(store, span)
    if rows:
        roll.learn(facts_in(store, span, roll.terms.activation.keys), stored, _conversions(store, roll, rows, span))
    found = roll.take(rows)
    return found, sorted(stored.keys() - {row.key for row in rows})


def _conversions(store: SqlStore, roll: Rolling, rows: list[SubjectRow], span: Span) -> dict[Key, list[Won]]:
    """Return (instant, value) of each time the goal was met, by key; under the account where the goal is its own."""
    accounts = [row.account_id for row in rows if not row.user_id]
    if roll.terms.is_goal_of_account:
        if not accounts:
            return {}
        span = (*span[:2], accounts[-1], LAST[1])
    found: dict[Key, list[Won]] = {}
    for account_id, user_id, at, data in conversions_in(store, span, roll.terms.goal):
        key = (account_id, "") if roll.terms.is_goal_of_account else (account_id, user_id)
        found.setdefault(key, []).append((at, worth(msgspec.json.decode(data).get("value") if data else None)))
    return found


def _write(store: SqlStore, found: list[Any], gone: list[Key]) -> int:
    written = 0
    while found or gone:
        with store.transaction(wait=_WAIT) as transaction:
            written += put_journeys(transaction, found[:_WRITTEN_AT_ONCE], gone[:_WRITTEN_AT_ONCE])
        found, gone = found[_WRITTEN_AT_ONCE:], gone[_WRITTEN_AT_ONCE:]
    return written


def _known_of(rules: Rules) -> dict[str, Any]:
    """Return what reports need of the definition: they may read an archive, which has none."""
    return {
        "segments": {each.key: name_of(each) for each in rules.definition.segments},
        "scored": sorted(scored_events(rules.definition)),
        "has_pqa": any(each.account.hot is not None for each in rules.definition.segments),
    }


def _note(store: SqlStore, terms: Terms, now: int, facts: dict[str, Any]) -> None:
    details = {
        "definition": terms.definition,
        "goal": terms.goal,
        "goal_unit": "account" if terms.is_goal_of_account else "member",
        "activation": terms.activation.keys,
        "activation_basis": terms.activation.basis,
    }
    with store.transaction(wait=_WAIT) as transaction:
        put_rollup(transaction, NAME, now, details | facts)
