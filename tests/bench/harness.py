"""Timing by turns: all cases of a figure run in one process, one after the other, again and again.

A slow second of the machine then hits every case and not just one. A figure is the median of the ratios of single
turns; absolute times are details.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from statistics import median
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")
MICRO = 1e6
STRETCH = 50


class Limit(NamedTuple):
    """What a figure has to keep to."""

    side: Literal["at most", "at least"]
    bound: float

    def __str__(self) -> str:
        return f"{self.side} {self.bound:g}"

    def holds(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value <= self.bound if self.side == "at most" else value >= self.bound


class Figure(NamedTuple):
    """One measured figure, which is one row of the table.

    Attributes:
        what: What was measured, for people.
        values: Its value in each turn.
        unit: What the values are, such as ``of GrowthBook's time``.
        limit: What the median has to keep to; None where it is only told.
        details: What helps to read it: times, counts.
        form: How a value is written: ``1/n``, ``×``, ``%``, or the sign of its unit.
        told: The times or rates behind the median, for people.
        holds: False where something besides the median failed.
    """

    name: str
    what: str
    values: Sequence[float]
    unit: str
    limit: Limit | None
    details: Mapping[str, Any]
    form: str = "×"
    told: str = ""
    holds: bool = True

    @property
    def ok(self) -> bool:
        """Whether it keeps to its limit."""
        return self.holds and (self.limit is None or self.limit.holds(median(self.values)))

    def line(self) -> str:
        """Return the figure as one line of JSON."""
        shown = {
            "figure": self.name,
            "what": self.what,
            "value": significant(median(self.values)),
            "unit": self.unit,
            "form": self.form,
            "limit": str(self.limit) if self.limit else None,
            "ok": self.ok,
            "repeats": len(self.values),
            "spread": [significant(min(self.values)), significant(max(self.values))],
            "told": self.told,
            "details": self.details,
        }
        return msgspec.json.encode(shown).decode()


class Scale(NamedTuple):
    """How much is measured.

    Attributes:
        turns: Repeats of each case of a figure.
        calls: Calls of a cheap function in one turn.
        starts: Fresh interpreters, a module.
        drained: Events drained in one turn.
        drains: Turns of draining.
        histories: Stored events before draining, each a figure.
        paced: Calls at a thousand a second in one turn.
        imported: Events of the import of history.
        requests: Requests in one turn.
        growth: How many times longer a member's history grows.
        archived: Events of the archive that reports are read from.
    """

    turns: int = 21
    calls: int = 3000
    starts: int = 11
    drained: int = 10_000
    drains: int = 7
    histories: tuple[int, ...] = (0, 1_000_000)
    paced: int = 1000
    imported: int = 300_000
    requests: int = 1500
    growth: int = 1000
    archived: int = 10_000_000

    @property
    def few(self) -> int:
        """Repeats of cases that take long."""
        return max(3, self.turns // 3)

    def with_events(self, events: int) -> Scale:
        """Return it with longer histories: that many events imported, and stored before draining."""
        if not events:
            return self
        return self._replace(imported=events, histories=(*(each for each in self.histories if each < events), events))


FULL = Scale()
QUICK = Scale(
    turns=7,
    calls=1000,
    starts=5,
    drained=3000,
    drains=3,
    histories=(0, 50_000),
    paced=300,
    imported=30_000,
    requests=400,
    growth=100,
    archived=200_000,
)


def timed(case: Callable[[], object]) -> Callable[[], float]:
    """Return what runs a case and says how many seconds it took."""

    def run() -> float:
        began = time.perf_counter()
        case()
        return time.perf_counter() - began

    return run


def by_turns(cases: Mapping[str, Callable[[], float]], turns: int) -> dict[str, list[float]]:
    """Run every case once a turn, a different one first each time; return what each gave."""
    names = list(cases)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns):
        start = turn % len(names)
        for name in (*names[start:], *names[:start]):
            gc.collect()
            found[name].append(cases[name]())
    return found


def seconds_a_call(call: Callable[[T], object], inputs: Sequence[T]) -> float:
    """Return the seconds of one call: the median over short stretches of calls in a row.

    A stretch lasts about a millisecond, so that the median leaves out those in which the machine did something else.
    """
    found = []
    for start in range(0, len(inputs), STRETCH):
        stretch = inputs[start : start + STRETCH]
        started = time.perf_counter()
        for each in stretch:
            call(each)
        found.append((time.perf_counter() - started) / len(stretch))
    return median(found)


def each_call(call: Callable[[T], object], inputs: Sequence[T], *, a_second: int = 0) -> list[float]:
    """Return the seconds of every single call, made in a row or so many a second."""
    found = []
    due = time.perf_counter()
    for each in inputs:
        if a_second:
            due += 1 / a_second
            time.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        call(each)
        found.append(time.perf_counter() - started)
    return found


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Return upper / lower, turn by turn."""
    return [above / below for above, below in zip(upper, lower, strict=True)]


def p50_p99(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in microseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {f"p{share}_us": significant(ordered[round(share / 100 * last)] * MICRO) for share in (50, 99)}


def microseconds(seconds: Sequence[float]) -> float:
    """Return the median in microseconds."""
    return significant(median(seconds) * MICRO)


def in_words(seconds: Sequence[float]) -> str:
    """Return the median for people: ``4.8 µs``, ``1.2 ms``, ``2.6 s``."""
    micros = median(seconds) * MICRO
    if micros >= MICRO:
        return f"{micros / MICRO:.3g} s"
    return f"{micros / 1000:.3g} ms" if micros >= 1000 else f"{micros:.3g} µs"


def a_second(rates: Sequence[float]) -> str:
    """Return the median of rates for people: ``12,300 a second``."""
    return f"{significant(median(rates), 3):,.0f} a second"


def significant(number: float, digits: int = 4) -> float:
    """Return a number rounded to its leading digits."""
    if not number or not math.isfinite(number):
        return number
    return round(number, digits - 1 - math.floor(math.log10(abs(number))))


def endless(items: Sequence[T], step: int = 1) -> Iterator[T]:
    """Yield items over and over, each time ``step`` further."""
    return (items[index * step % len(items)] for index in count())
