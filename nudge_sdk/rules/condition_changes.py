"""Until when the answer of a condition holds, if only time passes."""

from __future__ import annotations

from collections.abc import Callable, Collection

from nudge_sdk.rules.condition_terms import GROUPS, Condition, Facts, Hours, NextChange, Window, members_of, shape_of
from nudge_sdk.rules.condition_tests import compile_moment
from nudge_sdk.rules.condition_times import (
    MINUTES_A_DAY,
    compile_clock,
    compile_exposed,
    local_minute,
    minutes_of,
    span_of,
    zone_name,
)
from nudge_sdk.rules.times import DAY, FOREVER, MINUTE


def compile_next_change(condition: Condition | None) -> NextChange:
    """Turn a condition into a function that tells until when its answer holds, if only time passes.

    Args:
        condition: The condition; None never changes.

    Returns:
        A function from facts to an instant strictly after ``facts.now``, or ``FOREVER``. The answer is the same at
        every instant before it; it may be the same afterwards too.
    """
    if condition is None:
        return _unchanging
    kind, operator = shape_of(condition)
    if kind in GROUPS:
        return _soonest([compile_next_change(member) for member in members_of(condition)])
    if kind == "hours" and condition.hours is not None:
        return _next_edge(condition.hours)
    if kind == "count":
        return _next_count(condition.window)
    if operator == "within_days" and condition.within_days is not None:
        return _next_turn(_moments(condition, kind), span_of(condition.within_days))
    return _unchanging


def _unchanging(_: Facts) -> int:
    return FOREVER


def _soonest(parts: list[NextChange]) -> NextChange:
    changing = [part for part in parts if part is not _unchanging]
    if len(changing) < 2:
        return changing[0] if changing else _unchanging
    return lambda facts: min(part(facts) for part in changing)


def _moments(condition: Condition, kind: str) -> Callable[[Facts], Collection[int]]:
    if kind == "exposure" and condition.exposure is not None:
        return compile_exposed(condition.exposure, condition.did)
    moment = compile_moment(condition, kind)
    return lambda facts: () if (at := moment(facts)) is None else (at,)


def _next_turn(moments: Callable[[Facts], Collection[int]], span: int) -> NextChange:
    def next_change(facts: Facts) -> int:
        turns = (turn for at in moments(facts) for turn in (at, at + span) if turn > facts.now)
        return min((FOREVER, *turns))

    return next_change


def _next_count(window: Window | None) -> NextChange:
    if window is None or window.days is not None:
        return lambda facts: (facts.now // DAY + 1) * DAY
    if window.since_signup_days is not None:
        span = span_of(window.since_signup_days)
    elif window.since_signup_hours is not None:
        span = span_of(window.since_signup_hours / 24)
    else:
        return _unchanging
    return _next_turn(lambda facts: () if facts.signup_at is None else (facts.signup_at,), span)


def _next_edge(hours: Hours) -> NextChange:
    start, end, holds = minutes_of(hours.from_), minutes_of(hours.to), compile_clock(hours)
    if start is None or end is None or start == end or (end - start == MINUTES_A_DAY and not hours.weekdays):
        return _unchanging
    edges = {start % MINUTES_A_DAY, end % MINUTES_A_DAY}

    def next_change(facts: Facts) -> int:
        zone, minute = zone_name(facts), facts.now // MINUTE
        local = local_minute(zone, minute)
        ahead = min((edge - local - 1) % MINUTES_A_DAY + 1 for edge in edges)
        if (local_minute(zone, minute + ahead) - local - ahead) % (7 * MINUTES_A_DAY):
            return _careful_step(zone, minute, holds)
        return (minute + ahead) * MINUTE

    return next_change


def _careful_step(zone: str, minute: int, holds: Callable[[int], bool]) -> int:
    """Go on to the next quarter of an hour at most, minute by minute: the clocks change before the next edge."""
    present, quarter = holds(local_minute(zone, minute)), (minute // 15 + 1) * 15
    later = (at for at in range(minute + 1, quarter) if holds(local_minute(zone, at)) is not present)
    return next(later, quarter) * MINUTE
