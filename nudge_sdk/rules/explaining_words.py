"""Words: points, dates, lengths of time and measures as a person would write them; English, whatever the locale."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from math import floor

from nudge_sdk.rules.compiled import POINT
from nudge_sdk.rules.conditions import Condition, Facts, Signal, Window
from nudge_sdk.rules.lint_findings import points_text
from nudge_sdk.rules.signals import DEFAULT_WINDOW, USER, since_signup_length
from nudge_sdk.rules.times import DAY, HOUR, MINUTE, SECOND, day_of, to_iso

Number = int | float

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_VALUE = 60
"""Characters of a trait's value that are shown."""
NO_DATE = 253_402_300_800 * SECOND


def window_words(window: Window | None) -> str:
    """Return when something must have happened."""
    window = window or DEFAULT_WINDOW
    if window.ever:
        return "so far"
    if window.days is not None:
        return "today" if window.days == 1 else f"in the last {window.days} days"
    hours = window.since_signup_hours
    first = counted_words(hours, "hour") if hours is not None else span_words(since_signup_length(window))
    return f"in the first {first.removeprefix('1 ')}"


def unit_words(signal: Signal | None, amount: Number) -> str:
    """Return what a measure counts."""
    if signal is None:
        return ""
    days = " day" if amount == 1 else " days"
    values = " different"
    if signal.property == USER:
        values = " person" if amount == 1 else " people"
    return {"count": "", "days": days, "streak": f"{days} in a row", "values": values, "sum": " in total"}[
        signal.measure
    ]


def usage_words(numbers: tuple[float, float] | None, share: float) -> str:
    """Return how much of a limit is used."""
    if numbers is None:
        return "not known"
    value, limit = numbers
    percent = f" ({floor(100 * value / limit)} %)" if limit > 0 else ""
    needed = "" if share == 1 else f", {number_words(100 * share)} % needed"
    return f"{number_words(value)} of {number_words(limit)} used{percent}{needed}"


def trait_words(when: Condition, facts: Facts) -> Iterator[str]:
    """Say what is known of every trait that a condition looks at."""
    for inner in (*(when.all or ()), *(when.any or ()), *((when.not_,) if when.not_ else ())):
        yield from trait_words(inner, facts)
    name = when.trait or when.account_trait
    if name:
        value = (facts.traits if when.trait else facts.account_traits).get(name)
        yield f"{name} is {'not known' if value is None else _value_words(value)}"


def _value_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = number_words(value) if isinstance(value, int | float) else str(value)
    return words if len(words) <= LONGEST_VALUE else f"{words[:LONGEST_VALUE]}…"


def points_number(thousandths: int) -> Number:
    """Return points as a number: whole where they are."""
    return thousandths / POINT if thousandths % POINT else thousandths // POINT


def points_words(thousandths: int) -> str:
    """Return points with their word."""
    return f"{points_text(thousandths)} {'point' if thousandths == POINT else 'points'}"


def whole(number: Number) -> Number:
    """Return a number with at most six decimals, whole where it is."""
    number = round(number, 6)
    return int(number) if number == int(number) else number


def number_words(number: Number) -> str:
    """Return a number as a person would write it."""
    return str(whole(number))


def iso(at: int | None) -> str | None:
    """Return an instant as ISO 8601, or None where there is none."""
    return None if at is None or at >= NO_DATE else to_iso(at)


def day_words(at: int, now: int | None = None) -> str:
    """Return ``2 Mar 2026``, without the year where it is that of ``now``."""
    day = _date_of(at)
    is_this_year = now is not None and _date_of(now).year == day.year
    return f"{day.day} {MONTHS[day.month - 1]}" + ("" if is_this_year else f" {day.year}")


def _date_of(at: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day_of(at))


def moment_words(at: int) -> str:
    """Return the time of day and the day."""
    return f"{to_iso(at)[11:16]} UTC on {day_words(at)}"


def span_words(length: float) -> str:
    """Return a length of time, in microseconds, in its largest fitting unit."""
    for unit, word in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if length >= unit:
            return counted_words(round(length / unit, 1), word)
    return counted_words(round(length / SECOND, 1), "second")


def ago_words(at: int, now: int) -> str:
    """Return how long ago, rounded down."""
    unit = next((unit for unit in (DAY, HOUR, MINUTE) if now - at >= unit), 0)
    return f"{span_words((now - at) // unit * unit)} ago" if unit else "just now"


def rate_words(period: int) -> str:
    """Return the period of a cap."""
    return {0: "ever", HOUR: "an hour", DAY: "a day", 7 * DAY: "a week"}.get(period, f"in {span_words(period)}")


def counted_words(number: Number, word: str) -> str:
    """Return a number with its word."""
    return f"{number_words(number)} {word}" if number == 1 else f"{number_words(number)} {word}s"
