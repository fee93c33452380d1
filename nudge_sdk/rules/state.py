"""What is known of a member or an account: a pure function of the set of accepted records.

Every part is bounded in a way that depends on the set alone, never on the order of arrival: the latest days, the
earliest occurrences, the latest and the earliest distinct values. So counting commutes, and two states of disjoint sets
of records merge into the state of both.

A packed state (bytes) is the value that goes around. ``unpack`` gives a working copy that belongs to its caller.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

import msgspec

from nudge_sdk.rules.times import DAY, to_iso

VERSION = 1
AMOUNT_SCALE = 1_000_000
"""Amounts are exact integers of millionths."""
AMOUNT_LIMIT = 10**15
"""Larger amounts, either way, are not numbers of a product and are not counted."""


class Capacity(NamedTuple):
    """How much a state keeps of each bounded part.

    Attributes:
        days: Latest UTC days with any event, a signal.
        occurrences: Earliest occurrences, a signal.
        values: Latest and earliest distinct values, a signal.
        members: Latest active members of an account.
        traits: Traits, goals and other last-writer-wins entries, each.
    """

    days: int = 400
    occurrences: int = 128
    values: int = 128
    members: int = 128
    traits: int = 256


CAPACITY = Capacity()

MEMBERS = ""
"""Stands among the touched signals when a member was active on another day."""

Written = tuple[int, str, Any]
"""A last-writer-wins entry: (occurred_at, message id, value)."""


class Tally:
    """What one signal has counted.

    Attributes:
        total: Number of occurrences.
        total_sum: Sum of amounts, in millionths.
        first, last: First and last instant.
        days, counts, sums: Per UTC day that has any, ascending: the day, its occurrences, its amounts.
        early, early_with: The earliest occurrences: instants, and with each its amount or value hash.
        value_days: Distinct value (hash) to the last day it was seen.
        value_times: Distinct value (hash) to the instant it was first seen.
    """

    __slots__ = (
        "counts", "days", "early", "early_with", "first", "last", "sums", "total", "total_sum", "value_days",
        "value_times",
    )  # fmt: skip

    def __init__(self) -> None:
        self.total = 0
        self.total_sum = 0
        self.first = 0
        self.last = 0
        self.days = array("i")
        self.counts = array("Q")
        self.sums: list[int] = []
        self.early = array("q")
        self.early_with: list[int] = []
        self.value_days: dict[int, int] = {}
        self.value_times: dict[int, int] = {}

    def add(self, at: int, amount: int | None, value: int | None, capacity: Capacity) -> None:
        """Count one occurrence; ``amount`` for sums, ``value`` (a hash) for distinct values."""
        if not self.total:
            self.first = self.last = at
        elif at > self.last:
            self.last = at
        elif at < self.first:
            self.first = at
        self.total += 1
        day = at // DAY
        if amount is not None:
            self.total_sum += amount
            self._add_day(day, 1, amount, capacity)
        elif self.days and self.days[-1] == day:
            self.counts[-1] += 1
        else:
            self._add_day(day, 1, None, capacity)
        if len(self.early) < capacity.occurrences or at <= self.early[-1]:
            self._add_early(at, value if amount is None else amount, capacity)
        if value is not None:
            keep_latest(self.value_days, value, day, capacity.values)
            keep_earliest(self.value_times, value, at, capacity.values)

    def merge(self, other: Tally, capacity: Capacity) -> None:
        """Take in what another tally counted of other records."""
        self._widen(other.first, other.last, other.total)
        self.total_sum += other.total_sum
        has_sums = bool(other.sums)
        for index, day in enumerate(other.days):
            self._add_day(day, other.counts[index], other.sums[index] if has_sums else None, capacity)
        for index, at in enumerate(other.early):
            self._add_early(at, other.early_with[index] if other.early_with else None, capacity)
        for value, day in other.value_days.items():
            keep_latest(self.value_days, value, day, capacity.values)
        for value, at in other.value_times.items():
            keep_earliest(self.value_times, value, at, capacity.values)

    def rename_value(self, old: int, new: int, capacity: Capacity) -> None:
        """Count one distinct value as another (two members became one)."""
        if old in self.value_days:
            keep_latest(self.value_days, new, self.value_days.pop(old), capacity.values)
        if old in self.value_times:
            keep_earliest(self.value_times, new, self.value_times.pop(old), capacity.values)
        renamed = [new if value == old else value for value in self.early_with]
        self.early_with = [value for _, value in sorted(zip(self.early, renamed, strict=True))]

    def is_full(self, capacity: Capacity) -> bool:
        """Whether more distinct values may have been seen than are kept."""
        return len(self.value_times) >= capacity.values

    def _widen(self, first: int, last: int, count: int) -> None:
        if not self.total or first < self.first:
            self.first = first
        if not self.total or last > self.last:
            self.last = last
        self.total += count

    def _add_day(self, day: int, count: int, amount: int | None, capacity: Capacity) -> None:
        days = self.days
        index = len(days) - 1 if days and days[-1] == day else bisect_left(days, day)
        if index < len(days) and days[index] == day:
            self.counts[index] += count
            if amount is not None:
                self.sums[index] += amount
            return
        if len(days) >= capacity.days:
            if index == 0:
                return
            self._drop_first_day()
            index -= 1
        days.insert(index, day)
        self.counts.insert(index, count)
        if amount is not None:
            self.sums.insert(index, amount)

    def _drop_first_day(self) -> None:
        del self.days[0], self.counts[0]
        if self.sums:
            del self.sums[0]

    def _add_early(self, at: int, extra: int | None, capacity: Capacity) -> None:
        early = self.early
        is_full = len(early) >= capacity.occurrences
        if is_full and at > early[-1]:
            return
        index = bisect_left(early, at)
        if extra is not None:
            while index < len(early) and early[index] == at and self.early_with[index] < extra:
                index += 1
            self.early_with.insert(index, extra)
            del self.early_with[capacity.occurrences :]
        early.insert(index, at)
        del early[capacity.occurrences :]


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
        counted: Signals counted since the state was last packed; no part of what is packed.
        packed: The tallies as they were last packed.
    """

    __slots__ = (
        "clamped", "counted", "events", "first", "goals", "last", "left", "members", "opted_out", "packed", "tallies",
        "touched", "traits",
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


def keep_latest(kept: dict[Any, int], key: Any, at: int, most: int) -> None:
    """Keep the keys with the latest times, at most so many; ties by key."""
    old = kept.get(key)
    if old is not None:
        if at > old:
            kept[key] = at
        return
    kept[key] = at
    if len(kept) > most:
        del kept[min(kept, key=lambda k: (kept[k], k))]


def keep_earliest(kept: dict[Any, int], key: Any, at: int, most: int) -> None:
    """Keep the keys with the earliest times, at most so many; ties by key."""
    old = kept.get(key)
    if old is not None:
        if at < old:
            kept[key] = at
        return
    kept[key] = at
    if len(kept) > most:
        del kept[max(kept, key=lambda k: (kept[k], k))]


def to_amount(value: object) -> int | None:
    """Return a number as exact millionths (rounded half to even), or None for what is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return value * AMOUNT_SCALE if -AMOUNT_LIMIT <= value <= AMOUNT_LIMIT else None
    if not -AMOUNT_LIMIT <= value <= AMOUNT_LIMIT:
        return None
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return int((exact * AMOUNT_SCALE).to_integral_value(ROUND_HALF_EVEN))


def value_hash(value: object) -> int:
    """Return a 63-bit hash of any JSON value, the same in every process."""
    encoded = msgspec.json.encode(value, order="sorted")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big") >> 1


def _order(written: Written) -> tuple[int, str, bytes]:
    return (written[0], written[1], msgspec.json.encode(written[2], order="sorted"))


class _PackedTally(msgspec.Struct, array_like=True):
    total: int
    first: int
    last: int
    days: bytes
    counts: bytes
    early: bytes
    total_sum: int | str = 0
    sums: list[int | str] = []
    early_with: list[int | str] = []
    value_days: dict[int, int] = {}
    value_times: dict[int, int] = {}


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
_decode_tally = msgspec.msgpack.Decoder(_PackedTally).decode


def pack(state: State) -> bytes:
    """Return a state as bytes."""
    for signal_id in state.counted:
        state.packed[signal_id] = _pack_tally(state.tallies[signal_id])
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


def _pack_tally(tally: Tally) -> msgspec.Raw:
    packed = _PackedTally(
        tally.total,
        tally.first,
        tally.last,
        _to_bytes(tally.days),
        _to_bytes(tally.counts),
        _to_bytes(tally.early),
        _narrow(tally.total_sum),
        [_narrow(amount) for amount in tally.sums] if tally.sums else [],
        [_narrow(extra) for extra in tally.early_with] if tally.early_with else [],
        tally.value_days,
        tally.value_times,
    )
    return msgspec.Raw(_encode(packed))


def unpack_tally(packed: msgspec.Raw) -> Tally:
    """Return one tally of a packed state."""
    raw = _decode_tally(packed)
    tally = Tally()
    tally.total, tally.first, tally.last = raw.total, raw.first, raw.last
    _from_bytes(tally.days, raw.days)
    _from_bytes(tally.counts, raw.counts)
    _from_bytes(tally.early, raw.early)
    tally.total_sum = int(raw.total_sum)
    tally.sums = [int(amount) for amount in raw.sums] if raw.sums else []
    tally.early_with = [int(extra) for extra in raw.early_with] if raw.early_with else []
    tally.value_days, tally.value_times = raw.value_days, raw.value_times
    return tally


def _narrow(number: int) -> int | str:
    """MessagePack holds 64 bits; a longer sum is written as text."""
    return number if -(2**63) <= number < 2**63 else str(number)


def _to_bytes(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _from_bytes(numbers: array[int], data: bytes) -> None:
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
