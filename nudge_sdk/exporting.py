"""The canonical dump: what is known and concluded of everybody, in one form that depends on the events alone.

Two stores with the same events and the same definition give the same bytes, however the events came in: in any order,
in any batches, by any number of processes, once or again. Episodes and the instants at which milestones were found to
be reached tell what the system did and when; they are no part of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from nudge_sdk.rules.bases import Base, merge_base
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.counting import apply_to_account, apply_to_member
from nudge_sdk.rules.identity import Aliases, Key, Move, move_of
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.signals import Plan
from nudge_sdk.rules.standing import UNJUDGED, Judged, Standing, judge
from nudge_sdk.rules.state import State, canonical, unpack
from nudge_sdk.rules.stepping import BY_TIME
from nudge_sdk.rules.times import day_of
from nudge_sdk.store.protocol import Store

PAGE = 1000

_encode = msgspec.json.Encoder(order="sorted").encode
_NOTHING = canonical(State())


class Tiers(msgspec.Struct):
    """How many members and accounts of each tier a dump holds."""

    members: Counter[str]
    accounts: Counter[str]


class Dump:
    """The canonical dump, line by line; digest and numbers are complete when the last line is out.

    Args:
        states: (account, user) and state, by account and user: each account before its members.
        rules: The definition to judge by.
        at: The instant to judge at, in microseconds.

    Attributes:
        tiers: How many subjects of each tier there were.
    """

    def __init__(self, states: Iterable[tuple[Key, State]], rules: Rules, at: int) -> None:
        self._states = states
        self._rules = rules
        self._at = at
        self._hash = hashlib.sha256()
        self.tiers = Tiers(Counter(), Counter())

    def lines(self) -> Iterator[bytes]:
        """Yield one line of JSON a subject, each with its line end; subjects without any record are left out."""
        account_id, account = "", State()
        for (owner, user_id), state in self._states:
            if not user_id:
                account_id, account = owner, state
            line = self._line((owner, user_id), state, account if owner == account_id else State())
            if line:
                self._hash.update(line)
                yield line

    def sha256(self) -> str:
        """Go through the lines that are left, and return the SHA-256, in hex, of all lines."""
        for _ in self.lines():
            pass
        return self._hash.hexdigest()

    def _line(self, key: Key, state: State, account: State) -> bytes:
        plain = _restricted(canonical(state), self._rules.plan)
        if plain == _NOTHING:
            return b""
        standing = judge(self._rules, Judged(key[1], state, account, key[0]), self._at, UNJUDGED, BY_TIME)
        (self.tiers.members if key[1] else self.tiers.accounts)[standing.tier] += 1
        return _encode({"account": key[0], "user": key[1], "state": plain, **_concluded(standing)}) + b"\n"


def stored_states(store: Store) -> Iterator[tuple[Key, State]]:
    """Yield every state as it is stored, by account and user."""
    after: Key | None = None
    while page := store.subjects(after=after, limit=PAGE):
        yield from ((row.key, unpack(row.state)) for row in page)
        after = page[-1].key


class Dropped(msgspec.Struct, frozen=True):
    """What a store keeps of records that were dropped.

    Attributes:
        bases: What was counted of them.
        moves: Where everybody counts who moved by one of them.
        first_day: The first UTC day whose records are stored, or None where none were dropped.
    """

    bases: tuple[Base, ...] = ()
    moves: tuple[Move, ...] = ()
    first_day: int | None = None


NOTHING_DROPPED = Dropped()


def dropped_from(store: Store) -> Dropped:
    """Return what a store keeps of the records it dropped."""
    first_day = store.read_horizons().get("")
    if first_day is None:
        return NOTHING_DROPPED
    moves = [Move((a.account_id, a.user_id), (a.to_account_id, a.to_user_id), a.at, a.id) for a in store.aliases()]
    old = tuple(move for move in moves if day_of(move.at) < first_day)
    return Dropped(tuple(store.bases()), old, first_day)


def recounted_states(
    records: Callable[[], Iterable[Record]], plan: Plan, dropped: Dropped = NOTHING_DROPPED
) -> Iterator[tuple[Key, State]]:
    """Yield every state as the records alone give it, by account and user; with what was counted of dropped ones.

    Applies each record once, straight to whom it counts for in the end, and judges nobody: the fast way to what
    ``rules.replay`` finds by stepping through every boundary.

    Args:
        records: Gives all records, by counted time and id; called twice.
        plan: What to count.
        dropped: What is kept of records that were dropped.
    """
    aliases = moves_in(records(), dropped.moves)
    states: dict[Key, State] = {}
    for base in dropped.bases:
        merge_base(base, aliases.resolve(base.key), states, plan)
    for record in records():
        account_id, user_id = aliases.resolve((record.account_id, record.user_id))
        apply_to_account(states.setdefault((account_id, ""), State()), record, plan, user_id)
        if user_id:
            apply_to_member(states.setdefault((account_id, user_id), State()), record, plan, user_id)
    for key in sorted(states):
        yield key, states.pop(key)


def moves_in(records: Iterable[Record], before: Iterable[Move] = ()) -> Aliases:
    """Return where everybody's records count in the end; records by counted time and id, after moves before them."""
    return Aliases(chain(before, filter(None, map(move_of, records))))


def records_for(records: Iterable[Record], aliases: Aliases, account_id: str) -> Iterator[Record]:
    """Yield the records that count for an account, or were sent for it."""
    for record in records:
        if account_id in (record.account_id, aliases.resolve((record.account_id, record.user_id))[0]):
            yield record


def _restricted(plain: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Leave out signals that the definition no longer asks for."""
    return {**plain, "signals": {key: tally for key, tally in plain["signals"].items() if key in plan.signals}}


def _concluded(standing: Standing) -> dict[str, Any]:
    return {
        "score": standing.score,
        "fit": standing.fit,
        "tier": standing.tier,
        "entry": standing.entry,
        "segment": standing.segment,
    }
