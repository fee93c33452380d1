"""Replaying imported history, so that reports tell when people would have qualified rather than when it was imported.

An import of history concludes everything at its end. For journeys the history is replayed once by the definition in
force, as if that had always been: a part of the accounts at a time, so that any length takes bounded memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.journeys import database_of
from nudge_sdk.insights.kept_reports import ask_anew_within
from nudge_sdk.insights.peaks import Climb, aliases_of, first_entries, follow
from nudge_sdk.insights.sampling import draw
from nudge_sdk.rules.authoring import fingerprint
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.identity import Aliases
from nudge_sdk.store.journey_rows import (
    Replayed,
    imported_accounts,
    last_import,
    put_replayed,
    put_rollup,
    read_rollup,
)
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

NAME = "replayed"
ACCOUNTS_AT_ONCE = 10_000
"""How many accounts are replayed in one reading of the history."""

_WRITTEN_AT_ONCE = 200
_WAIT = 10.0


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did.

    Attributes:
        accounts: How many accounts history was imported of.
        members: How many members they have.
        qualified: How many of those would have qualified.
        seconds: How long it took.
    """

    accounts: int
    members: int
    qualified: int
    seconds: float


def needs_replay(store: Store, rules: Rules) -> bool:
    """Whether history was imported since the last replay, or others would qualify by the definition in force."""
    database = database_of(store)
    imported = last_import(database)
    if imported is None or database.read_horizons().get("") is not None:
        return False
    done = read_rollup(database, NAME)
    return done is None or done[0] < imported or done[1].get("judged_by") != _judging(rules)


def replay_history(store: Store, rules: Rules, now: int, progress: Callable[[int, int], None] | None = None) -> Replay:
    """Replay what was imported, and write down when everybody would have qualified.

    Args:
        store: Where the history is.
        rules: The definition in force.
        now: The present instant, in microseconds.
        progress: Told how many accounts of how many are done.

    Raises:
        SetupError: The store is no database, or old events were dropped, so that the history is not whole.
    """
    database = database_of(store)
    if database.read_horizons().get("") is not None:
        raise SetupError("old events were dropped from this store, so its history cannot be replayed whole")
    began = time.monotonic()
    aliases = aliases_of(store)
    owners = _owners(database, aliases)
    parts = -(-len(owners) // ACCOUNTS_AT_ONCE)
    members = qualified = done = 0
    for part in range(parts):
        mine = {each for each in owners if draw(each) % parts == part}
        found = follow(rules, store.records(), aliases, now, most=1 << 62, wanted=mine.__contains__).climbs
        _write(database, rules, found)
        members += sum(bool(each.user_id) for each in found)
        qualified += sum(bool(each.user_id and first_entries(each, rules.definition)) for each in found)
        done += len(mine)
        if progress is not None:
            progress(done, len(owners))
    with database.transaction(wait=_WAIT) as transaction:
        put_rollup(transaction, NAME, now, {"judged_by": _judging(rules), "accounts": len(owners)})
        ask_anew_within(transaction)
    return Replay(accounts=len(owners), members=members, qualified=qualified, seconds=time.monotonic() - began)


def _judging(rules: Rules) -> str:
    """Return what tells definitions apart by which others would qualify; copy, for one, does not."""
    mine = rules.definition
    return fingerprint(Definition(milestones=mine.milestones, groups=mine.groups, segments=mine.segments))


def _owners(store: SqlStore, aliases: Aliases) -> set[str]:
    """Return the accounts that imported records count for."""
    sent = imported_accounts(store)
    moved = {aliases.resolve(source)[0] for source in aliases.moves if source[0] in sent}
    return sent | moved


def _write(store: SqlStore, rules: Rules, found: tuple[Climb, ...]) -> None:
    of: dict[str, list[Replayed]] = {}
    for each in found:
        first = first_entries(each, rules.definition)
        row = (each.account_id, each.user_id, first.get("warm"), first.get("hot"))
        of.setdefault(each.account_id, []).append(row)
    accounts = sorted(of)
    for start in range(0, len(accounts), _WRITTEN_AT_ONCE):
        batch = accounts[start : start + _WRITTEN_AT_ONCE]
        with store.transaction(wait=_WAIT) as transaction:
            put_replayed(transaction, batch, [row for account_id in batch for row in of[account_id]])
