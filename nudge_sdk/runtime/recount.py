"""Counting anew from the stored records: for a new signal, or where states cannot be joined exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain

from nudge_sdk.rules.bases import merge_base
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.identity import Aliases, Move
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State
from nudge_sdk.store.protocol import Alias, FoldTransaction, Key, SubjectRow

Identity = tuple[str, str, str, int]


def rebuild(
    transaction: FoldTransaction, plan: Plan, rows: Mapping[Key, SubjectRow], *, without: Collection[Identity] = ()
) -> dict[Key, State]:
    """Return the states of one account and its members, counted from every stored record of theirs, and their bases.

    Args:
        transaction: The open transaction, with the rows locked.
        plan: What to count.
        rows: The account's row and those of all its members.
        without: Identities of stored records that are still to be counted by somebody else.
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
    own = transaction.records_of_account(account_id, first_day=first, last_day=last)
    others = transaction.records_of(foreign, first_day=first, last_day=last) if foreign else ()
    for base in chain(transaction.bases_of_account(account_id), transaction.bases_of(foreign)):
        owner = aliases.resolve(base.key)
        if owner[0] == account_id:
            merge_base(base, owner, states, plan)
    for record in chain(own, others):
        if record.identity not in without:
            _apply(states, (account_id, ""), aliases.resolve((record.account_id, record.user_id)), record, plan)
    return states


def _apply(states: dict[Key, State], account: Key, key: Key, record: Record, plan: Plan) -> None:
    if key[0] != account[0]:
        return
    apply_to_account(states[account], record, plan, key[1])
    if key[1]:
        apply_to_member(states.setdefault(key, State()), record, plan, key[1])


def _sources(transaction: FoldTransaction, keys: list[Key]) -> list[Alias]:
    found: dict[Key, Alias] = {}
    pending = list(keys)
    while pending:
        aliases = {(alias.account_id, alias.user_id): alias for alias in transaction.alias_sources(pending.pop())}
        pending += [key for key in aliases if key not in found]
        found.update(aliases)
    return list(found.values())
