"""Bases: what was counted of records that are stored no more.

One is kept for each member or account as it was sent, before anybody moves: so a later move is resolved as it is for
stored records, and somebody can be forgotten without touching what others did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.identity import Key, rename_member
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.state import State, pack, unpack

EVERYTHING = -(2**31)
"""The day that a signal is counted from of which nothing was dropped uncounted."""


class Base(msgspec.Struct, frozen=True, array_like=True):
    """What the dropped records of one sender came to.

    Attributes:
        account_id, user_id: As sent; an empty user is the account itself.
        member: Packed state of the member.
        account: Packed state: what these records add to the account's.
    """

    account_id: str
    user_id: str
    member: bytes = b""
    account: bytes = b""

    @property
    def key(self) -> Key:
        """(account_id, user_id) as sent."""
        return (self.account_id, self.user_id)


def grown(base: Base, records: Iterable[Record], plan: Plan) -> Base:
    """Return a base that counts further records of its sender; signals the plan has not are given up."""
    member, account = unpacked(base.member, plan), unpacked(base.account, plan)
    for record in records:
        apply_to_account(account, record, plan, base.user_id)
        if base.user_id:
            apply_to_member(member, record, plan, base.user_id)
    return Base(*base.key, pack(member), pack(account))


def merge_base(base: Base, key: Key, states: dict[Key, State], plan: Plan) -> None:
    """Count what a base holds into the states of whom it counts for.

    Args:
        base: The base.
        key: The member its records count for.
        states: By member and account; where a state is missing, one is made.
        plan: What is counted.
    """
    parts = ((key, base.member), ((key[0], ""), base.account)) if key[1] else (((key[0], ""), base.account),)
    for owner, packed in parts:
        state = unpacked(packed, plan)
        if key[1] != base.user_id:
            rename_member(state, base.user_id, key[1], plan)
        states.setdefault(owner, State()).merge(state, plan.capacity)


def counted_from(horizons: Mapping[str, int], plan: Plan) -> dict[str, int]:
    """Return the UTC day that signals are counted from, of those of which older records were dropped uncounted.

    Args:
        horizons: Signal to that day, and under an empty id the first day whose records are stored; empty without one.
        plan: The signals asked for.
    """
    if "" not in horizons:
        return {}
    days = {signal: horizons.get(signal, horizons[""]) for signal in plan.signals}
    return {signal: day for signal, day in days.items() if day > EVERYTHING}


def unpacked(packed: bytes, plan: Plan) -> State:
    """Return a working copy of a packed state, of the plan's signals alone."""
    state = unpack(packed)
    state.tallies = {name: tally for name, tally in state.tallies.items() if name in plan.signals}
    state.packed = {name: raw for name, raw in state.packed.items() if name in plan.signals}
    return state
