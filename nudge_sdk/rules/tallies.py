"""What one signal has counted: a pure function of the set of its occurrences, bounded in a way that keeps it so."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from nudge_sdk.rules.times import DAY, FOREVER


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
        early = self.early
        extra = value if amount is None else amount
        if early and at > early[-1]:
            if len(early) < capacity.occurrences:
                early.append(at)
                if extra is not None:
                    self.early_with.append(extra)
        else:
            self._add_early(at, extra, capacity)
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

    def has_seen(self, value: int, at: int) -> bool:
        """Whether a value was seen before, with a last day and a first time that an occurrence leaves as they are."""
        return self.value_days.get(value, -FOREVER) >= at // DAY and self.value_times.get(value, FOREVER) <= at

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


class _PackedTally(msgspec.Struct, array_like=True):
    total: int
    first: int
    last: int
    days: bytes
    counts: bytes
    early: bytes
    total_sum: int | str = 0
    sums: Sequence[int | str] = []
    early_with: Sequence[int | str] = []
    value_days: dict[int, int] = {}
    value_times: dict[int, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_PackedTally).decode


def pack_tally(tally: Tally) -> msgspec.Raw:
    """Return a tally as it stands in a packed state."""
    fields = (
        tally.total,
        tally.first,
        tally.last,
        _to_bytes(tally.days),
        _to_bytes(tally.counts),
        _to_bytes(tally.early),
        _narrow(tally.total_sum),
        _narrowed(tally.sums),
        _narrowed(tally.early_with),
        tally.value_days,
        tally.value_times,
    )
    return msgspec.Raw(_encode(fields))


def unpack_tally(packed: msgspec.Raw) -> Tally:
    """Return one tally of a packed state."""
    raw = _decode(packed)
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


def _narrowed(numbers: Sequence[int]) -> Sequence[int | str]:
    if not numbers or (min(numbers) >= -(2**63) and max(numbers) < 2**63):
        return numbers
    return [_narrow(number) for number in numbers]


def _swapped(numbers: array[int]) -> bytes:
    numbers = array(numbers.typecode, numbers)
    numbers.byteswap()
    return numbers.tobytes()


_to_bytes: Callable[[array[int]], bytes] = array.tobytes if sys.byteorder == "little" else _swapped


def _from_bytes(numbers: array[int], data: bytes) -> None:
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
