"""Signals: what is counted of each event, and how much of it there is at an instant.

Milestones that differ only in points, threshold, window or copy share a signal, and so do counts, days and streaks of
the same events: they read the same tally. A signal's id is a hash of its canonical form.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from nudge_sdk.rules.amounts import AMOUNT_SCALE, to_amount, value_hash
from nudge_sdk.rules.conditions import Signal, Window, compile_where
from nudge_sdk.rules.records import Record
from nudge_sdk.rules.state import State, Taken
from nudge_sdk.rules.tallies import CAPACITY, Capacity, Tally
from nudge_sdk.rules.times import DAY, FOREVER, HOUR

Recording = Literal["counts", "sums", "values"]
Reader = Callable[[Tally, int, int], int]
"""(tally, instant, sign-up instant) -> how much, in the measure's unit (sums in millionths)."""

DEFAULT_WINDOW = Window(days=14)
USER = "$user"

_RECORDING: dict[str, Recording] = {"values": "values", "sum": "sums"}


def event_names(signal: Signal) -> tuple[str, ...]:
    """Return the names of the events a signal counts, sorted."""
    return (signal.event,) if isinstance(signal.event, str) else tuple(sorted(set(signal.event)))


def recording(signal: Signal) -> Recording:
    """Return what must be written down for a signal's measure."""
    return _RECORDING.get(signal.measure, "counts")


def signal_id(signal: Signal) -> str:
    """Return the id: 12 hex digits of the SHA-256 of what is counted."""
    kind = recording(signal)
    form = [event_names(signal), signal.where, kind, signal.property if kind != "counts" else ""]
    return hashlib.sha256(msgspec.json.encode(form, order="sorted")).hexdigest()[:12]


class Counted(msgspec.Struct, frozen=True):
    """A signal made ready to count: whether an event's properties match, and what to take from them."""

    id: str
    kind: Recording
    property: str
    matches: Callable[[dict[str, Any]], bool] | None


class Plan:
    """What to count of each event, by event name."""

    def __init__(self, signals: Iterable[Signal], capacity: Capacity = CAPACITY) -> None:
        self.capacity = capacity
        self.signals = {signal_id(signal): signal for signal in signals}
        self.by_event: dict[str, tuple[Counted, ...]] = {}
        for key in sorted(self.signals):
            signal = self.signals[key]
            matches = compile_where(signal.where) if signal.where is not None else None
            counted = Counted(key, recording(signal), signal.property, matches)
            for name in event_names(signal):
                self.by_event[name] = (*self.by_event.get(name, ()), counted)

    def only(self, ids: Iterable[str]) -> Plan:
        """Return the plan of some of the signals."""
        wanted = set(ids)
        return Plan([signal for key, signal in self.signals.items() if key in wanted], self.capacity)

    def count(self, state: State, record: Record, user_id: str, at: int) -> None:
        """Count a ``track`` record, at the instant it counts at, into the signals it matches."""
        for signal, taken in self.taken(record, user_id):
            state.count(signal, at, taken, self.capacity)

    def taken(self, record: Record, user_id: str) -> list[tuple[str, Taken]]:
        """Return the signals that a ``track`` record counts for, each with what it takes from it."""
        found: list[tuple[str, Taken]] = []
        for counted in self.by_event.get(record.name, ()):
            if counted.matches is None or counted.matches(record.data):
                taken = _NOTHING if counted.kind == "counts" else _taken(counted, record, user_id)
                if counted.kind == "counts" or taken != _NOTHING:
                    found.append((counted.id, taken))
        return found


_NOTHING: Taken = (None, None)


def _taken(counted: Counted, record: Record, user_id: str) -> Taken:
    """Return the amount or the value hash that a signal takes from an event; neither if there is none to take."""
    if counted.kind == "sums":
        return to_amount(record.data.get(counted.property)), None
    found = user_id if counted.property == USER else record.data.get(counted.property)
    return None, None if found is None else value_hash(found)


def target(signal: Signal, at_least: float) -> int:
    """Return "at least" in the unit of the signal's reader."""
    if signal.measure == "sum":
        return to_amount(at_least) or 0
    return -int(-at_least // 1)


def compile_reader(signal: Signal, window: Window | None) -> Reader:
    """Return the function that measures a signal in a window.

    For an instant in the past a day is judged as a whole, from the counts of the days until then (for distinct values:
    those whose last day is in the window or after it).
    """
    window = window or DEFAULT_WINDOW
    by_window = _READERS[signal.measure]
    if window.days is not None:
        return by_window[0](window.days)
    if window.ever:
        return by_window[0](0)
    return by_window[1](since_signup_length(window))


def since_signup_length(window: Window) -> int:
    """Return the length of a since-sign-up window in microseconds, 0 if it is none."""
    return round((window.since_signup_days or 0) * DAY) + round((window.since_signup_hours or 0) * HOUR)


def compile_lapse(signal: Signal, window: Window | None, needed: int) -> Callable[[Tally, int], int]:
    """Return the function that tells when, by time alone, "at least ``needed``" next changes (or FOREVER)."""
    window = window or DEFAULT_WINDOW
    if window.days is None:
        return lambda tally, at: FOREVER
    length = window.days
    read = compile_reader(signal, window)
    only_falls = signal.measure != "sum"

    def lapse(tally: Tally, at: int) -> int:
        is_reached = read(tally, at, 0) >= needed
        if only_falls and not is_reached:
            return FOREVER
        for day in _leaving_days(tally, at // DAY, length, by_value=signal.measure == "values"):
            midnight = day * DAY
            if (read(tally, midnight, 0) >= needed) != is_reached:
                return midnight
        return FOREVER

    return lapse


def compile_probe(signal: Signal, window: Window | None, needed: int) -> Callable[[Tally, int, int], tuple[bool, int]]:
    """Return the function (tally, instant, sign-up) -> (whether there is enough, when time alone changes that).

    It answers what the reader and ``compile_lapse`` answer; counts and days, the most frequent, in one pass.
    """
    window = window or DEFAULT_WINDOW
    if window.days is not None and signal.measure in ("count", "days"):
        return _counted_probe(window.days, needed, by_day=signal.measure == "days")
    read, lapse = compile_reader(signal, window), compile_lapse(signal, window, needed)
    return lambda tally, at, signup: (read(tally, at, signup) >= needed, lapse(tally, at))


def _counted_probe(length: int, needed: int, *, by_day: bool) -> Callable[[Tally, int, int], tuple[bool, int]]:
    """The latest ``needed`` occurrences (or days) leave the window together with the earliest of them."""

    def probe(tally: Tally, at: int, signup: int) -> tuple[bool, int]:
        days, counts, today, left = tally.days, tally.counts, at // DAY, needed
        for index in range(len(days) - 1, -1, -1):
            day = days[index]
            if day <= today - length:
                break
            if day <= today:
                left -= 1 if by_day else counts[index]
                if left <= 0:
                    return True, (day + length) * DAY
        return needed <= 0, FOREVER

    return probe


def _leaving_days(tally: Tally, today: int, length: int, *, by_value: bool) -> list[int]:
    seen = tally.value_days.values() if by_value else tally.days
    return sorted({day + length for day in seen if today - length < day <= today})


def _trailing_slice(tally: Tally, at: int, length: int) -> tuple[int, int]:
    days = tally.days
    today = at // DAY
    end = len(days)
    while end and days[end - 1] > today:
        end -= 1
    start = end
    if length:
        low = today - length
        while start and days[start - 1] > low:
            start -= 1
        return start, end
    return 0, end


def _count_trailing(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _trailing_slice(tally, at, length)
        if length:
            return sum(tally.counts[start:end])
        return tally.total - sum(tally.counts[end:])

    return read


def _sum_trailing(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _trailing_slice(tally, at, length)
        if length:
            return sum(tally.sums[start:end])
        return tally.total_sum - sum(tally.sums[end:])

    return read


def _days_trailing(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _trailing_slice(tally, at, length)
        return end - start

    return read


def _streak_trailing(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _trailing_slice(tally, at, length)
        return _longest_run(tally.days[start:end])

    return read


def _values_trailing(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        if not length:
            return sum(1 for first in tally.value_times.values() if first // DAY <= at // DAY)
        low = at // DAY - length
        return sum(1 for day in tally.value_days.values() if day > low)

    return read


def _early_slice(tally: Tally, at: int, signup: int, length: int) -> tuple[int, int]:
    end = min(signup + length - 1, at)
    return bisect_left(tally.early, signup), bisect_right(tally.early, end)


def _count_since_signup(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _early_slice(tally, at, signup, length)
        return max(0, end - start)

    return read


def _sum_since_signup(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        start, end = _early_slice(tally, at, signup, length)
        return sum(tally.early_with[start:end])

    return read


def _days_in_early(tally: Tally, at: int, signup: int, length: int) -> list[int]:
    """Return the days since sign-up: whole days from the day counts, the first and last from the occurrences."""
    start, end = _early_slice(tally, at, signup, length)
    seen = {time // DAY for time in tally.early[start:end]}
    last_whole = (min(signup + length - 1, at) + 1) // DAY
    seen.update(day for day in tally.days if signup // DAY < day < last_whole)
    return sorted(seen)


def _days_since_signup(length: int) -> Reader:
    return lambda tally, at, signup: len(_days_in_early(tally, at, signup, length))


def _streak_since_signup(length: int) -> Reader:
    return lambda tally, at, signup: _longest_run(_days_in_early(tally, at, signup, length))


def _values_since_signup(length: int) -> Reader:
    def read(tally: Tally, at: int, signup: int) -> int:
        end = min(signup + length - 1, at)
        seen = {value for value, first in tally.value_times.items() if signup <= first <= end}
        if tally.first < signup:
            # What was seen before sign-up may have been seen again after it.
            start, stop = _early_slice(tally, at, signup, length)
            seen.update(tally.early_with[start:stop])
        return len(seen)

    return read


def _longest_run(days: Iterable[int]) -> int:
    longest = run = 0
    previous: int | None = None
    for day in days:
        run = run + 1 if previous is not None and day == previous + 1 else 1
        longest = max(longest, run)
        previous = day
    return longest


_READERS: dict[str, tuple[Callable[[int], Reader], Callable[[int], Reader]]] = {
    "count": (_count_trailing, _count_since_signup),
    "sum": (_sum_trailing, _sum_since_signup),
    "days": (_days_trailing, _days_since_signup),
    "streak": (_streak_trailing, _streak_since_signup),
    "values": (_values_trailing, _values_since_signup),
}


def display_amount(signal: Signal, measured: int) -> int | float:
    """Return a measured number as a person would write it."""
    if signal.measure != "sum":
        return measured
    amount = measured / AMOUNT_SCALE
    return int(amount) if amount.is_integer() else amount
