"""Who a record counts for: personal accounts that move into a named one, anonymous members that get a name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nudge_sdk.rules.amounts import value_hash
from nudge_sdk.rules.records import PERSONAL, Record, personal_account
from nudge_sdk.rules.signals import USER, Plan, recording
from nudge_sdk.rules.state import State, write
from nudge_sdk.rules.tallies import keep_latest

Key = tuple[str, str]


class Move(NamedTuple):
    """One member's records count for another from now on."""

    source: Key
    target: Key
    at: int
    id: str

    @property
    def order(self) -> tuple[int, str, Key]:
        """What says which of two moves of one member holds: the lower one does."""
        return (self.at, self.id, self.target)

    @property
    def takes_account(self) -> bool:
        """Whether the source's whole (personal) account goes along."""
        return self.source[0] != self.target[0]


def move_of(record: Record) -> Move | None:
    """Return the move a record asks for: an ``alias``, or a ``group`` of a user with a personal account."""
    account_id, user_id = record.account_id, record.user_id
    if record.kind == "alias" and record.name and record.name != user_id:
        is_personal = account_id.startswith(PERSONAL)
        target = (personal_account(record.name) if is_personal else account_id, record.name)
        return Move((account_id, user_id), target, record.counted_at, record.id)
    if record.kind == "group" and user_id and not account_id.startswith(PERSONAL):
        return Move((personal_account(user_id), user_id), (account_id, user_id), record.counted_at, record.id)
    return None


def named_in(record: Record) -> set[Key]:
    """Return the members a record names: of whom it is, in whose personal account, and to whom it joins somebody."""
    account_id, user_id = record.account_id, record.user_id
    found = {(account_id, user_id)} if user_id else set()
    if account_id.startswith(PERSONAL):
        found.add((account_id, account_id.removeprefix(PERSONAL)))
    if record.kind == "alias":
        move = move_of(record)
        found |= {move.target} if move else set()
    return found


class Aliases:
    """Where each moved member's records count; the earliest move of a member by (time, id) holds."""

    def __init__(self, moves: Iterable[Move] = ()) -> None:
        self.moves: dict[Key, Move] = {}
        for move in moves:
            self.learn(move)

    def learn(self, move: Move) -> bool:
        """Take in a move; whether it is new, or earlier than the one that held."""
        known = self.moves.get(move.source)
        if known is not None and known.order <= move.order:
            return False
        self.moves[move.source] = move
        return True

    def resolve(self, key: Key) -> Key:
        """Return the member that a member's records count for; of a circle of moves the latest does not hold."""
        seen: list[Key] = []
        while (move := self.moves.get(key)) is not None:
            if key in seen:
                return max(seen[seen.index(key) :], key=lambda each: self.moves[each].order)
            seen.append(key)
            key = move.target
        return key


def rename_member(account: State, old: str, new: str, plan: Plan) -> None:
    """Count one member as another, in a state: in its active users and in signals of distinct members."""
    if old in account.members:
        keep_latest(account.members, new, account.members.pop(old), plan.capacity.members)
    if old in account.left:
        write(account.left, new, account.left.pop(old), plan.capacity)
    for signal_id, signal in plan.signals.items():
        is_of_members = recording(signal) == "values" and signal.property == USER
        if is_of_members and signal_id in account.tallies:
            account.tally(signal_id).rename_value(value_hash(old), value_hash(new), plan.capacity)
