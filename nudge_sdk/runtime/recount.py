"""Counting anew from the stored records: for a new signal, or where states cannot be joined exactly."""

from __future__ import annotations

from collections.abc import Mapping

from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.identity import Aliases, Move
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State
from nudge_sdk.store.protocol import Alias, FoldTransaction, Key, SubjectRow


def rebuild(transaction: FoldTransaction, plan: Plan, rows: Mapping[Key, SubjectRow]) -> dict[Key, State]:
    """Return the states of one account and its members, counted from every stored record of theirs.

    Args:
        transaction: The open transaction, with the rows locked.
        plan: What to count.
        rows: The account's row and those of all its members.
    """
    days = [day for row in rows.values() for day in (row.first_day, row.last_day) if day is not None]
    states: dict[Key, State] = {key: State() for key in rows}
    if not days:
        return states
    account_id = next(iter(rows))[0]
    sources = _sources(transaction, [key for key in rows if key[1]])
    aliases = Aliases(Move((a.account_id, a.user_id), (a.to_account_id, a.to_user_id), a.at, a.id) for a in sources)
    foreign = [(a.account_id, a.user_id) for a in sources if a.account_id != account_id]
    first, last = min(days), max(days)
    for record in transaction.records_of_account(account_id, first_day=first, last_day=last):
        _apply(states, (account_id, ""), aliases.resolve((record.account_id, record.user_id)), record, plan)
    for record in transaction.records_of(foreign, first_day=first, last_day=last) if foreign else ():
        _apply(states, (account_id, ""), aliases.resolve((record.account_id, record.user_id)), record, plan)
    return states


def _apply(states: dict[Key, State], account: Key, key: Key, record: Record, plan: Plan) -> None:
    if key[0] != account[0]:
        return
    apply_to_account(states[account], record, plan, key[1])
    if key[1]:
        apply_to_member(states.setdefault(key, State()), record, plan, key[1])


def _sources(transaction: FoldTransaction, keys: list[Key]) -> list[Alias]:
    found: list[Alias] = []
    pending = list(keys)
    while pending:
        aliases = transaction.alias_sources(pending.pop())
        found += aliases
        pending += [(alias.account_id, alias.user_id) for alias in aliases]
    return found
