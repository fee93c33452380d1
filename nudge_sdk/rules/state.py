"""What is known of a member or an account: a pure function of the set of accepted records.

Every part is bounded in a way that depends on the set alone, never on the order of arrival: the latest days, the
earliest occurrences, the latest and the earliest distinct values. So counting commutes, and two states of disjoint sets
of records merge into the state of both.

A packed state (bytes) is the value that goes around. ``unpack`` gives a working copy that belongs to its caller.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nudge_sdk.rules.tallies import CAPACITY, Capacity, Tally, keep_latest, pack_tally, unpack_tally
from nudge_sdk.rules.times import DAY, FOREVER, to_iso

VERSION = 1

MEMBERS = ""
"""Stands among the touched signals when a member was active on another day."""

Taken = tuple[int | None, int | None]
"""What a signal takes from an event: its amount, for sums; a hash of its value, for distinct values."""

Written = tuple[int, str, Any]
"""A last-writer-wins entry: (occurred_at, message id, value)."""


class State:
    """The working copy of what is known of one subject.

    Attributes:
        events: Number of counted events.
        clamped: How many of them had a time too far in the future.
        first, last: Instants of the first and last event, or None.
        tallies: Signal id to its tally.
        traits: Trait to (at, message id, value); a value of None is a removed trait.
        goals: Goal to (at, message id, [is met, value]).
        opted_out: Category (empty for all) to (at, message id, is out).
        members: Of an account: member to the last UTC day of any counted event.
        left: Of an account: member to (at, message id, has left).
        touched: Signals counted since they were last measured, to the earliest UTC day; no part of what is packed.
        renewed: Those of them whose distinct values differ now.
        counted: Signals counted since the state was last packed; no part of what is packed.
        packed: The tallies as they were last packed.
    """

    __slots__ = (
        "clamped", "counted", "events", "first", "goals", "last", "left", "members", "opted_out", "packed", "renewed",
        "tallies", "touched", "traits",
    )  # fmt: skip

    def __init__(self) -> None:
        self.events = 0
        self.clamped = 0
        self.first: int | None = None
        self.last: int | None = None
        self.tallies: dict[str, Tally] = {}
        self.traits: dict[str, Written] = {}
        self.goals: dict[str, Written] = {}
        self.opted_out: dict[str, Written] = {}
        self.members: dict[str, int] = {}
        self.left: dict[str, Written] = {}
        self.touched: dict[str, int] = {}
        self.renewed: set[str] = set()
        self.counted: set[str] = set()
        self.packed: dict[str, msgspec.Raw] = {}

    def note_event(self, at: int, *, is_clamped: bool = False) -> None:
        """Count that something happened, whatever it was."""
        self.events += 1
        self.clamped += is_clamped
        if self.first is None or at < self.first:
            self.first = at
        if self.last is None or at > self.last:
            self.last = at

    def note_member(self, user_id: str, day: int, capacity: Capacity = CAPACITY) -> None:
        """Count a member as active on a day."""
        if self.members.get(user_id) != day:
            keep_latest(self.members, user_id, day, capacity.members)
            self.touched[MEMBERS] = min(day, self.touched.get(MEMBERS, day))

    def count(self, signal_id: str, at: int, taken: Taken, capacity: Capacity) -> None:
        """Count one occurrence of a signal, with what was taken from it."""
        day = at // DAY
        if self.touched.get(signal_id, FOREVER) > day:
            self.touched[signal_id] = day
        self.counted.add(signal_id)
        tally = self.tallies.get(signal_id) or self.tally(signal_id)
        amount, value = taken
        if value is not None and not tally.has_seen(value, at):
            self.renewed.add(signal_id)
        tally.add(at, amount, value, capacity)

    def note_measured(self) -> None:
        """Begin anew to note what is counted since it was last measured."""
        self.touched.clear()
        self.renewed.clear()

    def tally(self, signal_id: str) -> Tally:
        """Return the tally of a signal to count into, a new one if there was none."""
        self.counted.add(signal_id)
        found = self.tallies.get(signal_id)
        if found is None:
            found = self.tallies[signal_id] = Tally()
        return found

    def merge(self, other: State, capacity: Capacity = CAPACITY) -> None:
        """Take in what another state knows of other records."""
        self.events += other.events
        self.clamped += other.clamped
        if other.first is not None:
            self.first = other.first if self.first is None else min(self.first, other.first)
        if other.last is not None:
            self.last = other.last if self.last is None else max(self.last, other.last)
        for signal_id, tally in other.tallies.items():
            self.tally(signal_id).merge(tally, capacity)
        for mine, theirs in (
            (self.traits, other.traits),
            (self.goals, other.goals),
            (self.opted_out, other.opted_out),
            (self.left, other.left),
        ):
            for name, written in theirs.items():
                write(mine, name, written, capacity)
        for user_id, day in other.members.items():
            keep_latest(self.members, user_id, day, capacity.members)

    def is_full(self, capacity: Capacity = CAPACITY) -> bool:
        """Whether any part that names members is at its capacity, so that none can be renamed exactly."""
        return (
            len(self.members) >= capacity.members
            or len(self.left) >= capacity.traits
            or any(tally.is_full(capacity) for tally in self.tallies.values())
        )

    def has_left(self, user_id: str) -> bool:
        """Whether a member has left the account."""
        return user_id in self.left and bool(self.left[user_id][2])

    def is_opted_out(self, category: str = "") -> bool:
        """Whether the member said no, to everything or to a category."""
        return any(name in self.opted_out and self.opted_out[name][2] for name in {"", category})

    def is_met(self, goal: str) -> bool:
        """Whether a goal is met."""
        return goal in self.goals and bool(self.goals[goal][2][0])

    def plain_traits(self) -> dict[str, Any]:
        """Return the traits by name, without removed ones."""
        return {name: written[2] for name, written in self.traits.items() if written[2] is not None}


def write(entries: dict[str, Written], name: str, written: Written, capacity: Capacity = CAPACITY) -> None:
    """Write an entry if it is later than what is there: the last writer by (occurred_at, message id) wins."""
    old = entries.get(name)
    if old is None or _order(old) < _order(written):
        entries[name] = written
        if len(entries) > capacity.traits:
            del entries[min(entries, key=lambda key: (*_order(entries[key]), key))]


def _order(written: Written) -> tuple[int, str, bytes]:
    return (written[0], written[1], msgspec.json.encode(written[2], order="sorted"))


class _PackedState(msgspec.Struct, array_like=True, omit_defaults=True):
    version: int
    events: int
    clamped: int
    first: int | None
    last: int | None
    tallies: dict[str, msgspec.Raw]
    traits: dict[str, tuple[int, str, Any]] = {}
    goals: dict[str, tuple[int, str, Any]] = {}
    opted_out: dict[str, tuple[int, str, Any]] = {}
    members: dict[str, int] = {}
    left: dict[str, tuple[int, str, Any]] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_PackedState).decode


def pack(state: State) -> bytes:
    """Return a state as bytes."""
    for signal_id in state.counted:
        state.packed[signal_id] = pack_tally(state.tallies[signal_id])
    state.counted.clear()
    return _encode(
        _PackedState(
            VERSION,
            state.events,
            state.clamped,
            state.first,
            state.last,
            state.packed,
            state.traits,
            state.goals,
            state.opted_out,
            state.members,
            state.left,
        )
    )


def unpack(packed: bytes) -> State:
    """Return a working copy of a packed state; empty bytes are the state of no records."""
    state = unpack_around_tallies(packed)
    state.tallies = {signal_id: unpack_tally(tally) for signal_id, tally in state.packed.items()}
    return state


def unpack_around_tallies(packed: bytes) -> State:
    """Return a packed state without its tallies, which are most of it; ``packed`` has them, each still packed."""
    state = State()
    if not packed:
        return state
    raw = _decode(packed)
    state.events, state.clamped, state.first, state.last = raw.events, raw.clamped, raw.first, raw.last
    state.packed = raw.tallies
    state.traits, state.goals, state.opted_out = raw.traits, raw.goals, raw.opted_out
    state.members, state.left = raw.members, raw.left
    return state


def canonical(state: State) -> dict[str, Any]:
    """Return everything a state says, in one order, as plain JSON values."""
    return {
        "events": state.events,
        "clamped": state.clamped,
        "first": None if state.first is None else to_iso(state.first),
        "last": None if state.last is None else to_iso(state.last),
        "signals": {key: _canonical_tally(state.tallies[key]) for key in sorted(state.tallies)},
        "traits": dict(sorted(state.traits.items())),
        "goals": dict(sorted(state.goals.items())),
        "opted_out": dict(sorted(state.opted_out.items())),
        "members": dict(sorted(state.members.items())),
        "left": dict(sorted(state.left.items())),
    }


def _canonical_tally(tally: Tally) -> dict[str, Any]:
    return {
        "total": tally.total,
        "total_sum": tally.total_sum,
        "first": tally.first,
        "last": tally.last,
        "days": list(tally.days),
        "counts": list(tally.counts),
        "sums": tally.sums,
        "early": list(tally.early),
        "early_with": tally.early_with,
        "value_days": sorted(tally.value_days.items()),
        "value_times": sorted(tally.value_times.items()),
    }
