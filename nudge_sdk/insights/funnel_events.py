"""A funnel of events: who did one after the other, by the earliest match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.funnel_journeys import steps_of
from nudge_sdk.insights.funnel_reports import FunnelGroup, FunnelReport, Unit
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

_OF_UNIT = {"member": ["account_id", "user_id"], "account": ["account_id"]}
_SESSION = "session"
_MOST_STEPS = 20


def event_funnel(
    tables: Tables,
    steps: tuple[str, ...],
    *,
    unit: Unit = "member",
    within_days: float | None = None,
    session_property: str = "session_id",
    at: int | None = None,
) -> FunnelReport:
    """Return how many did one event after the other: each step the earliest at or after the one before.

    Args:
        tables: What to read.
        steps: Names of events, two or more, each once.
        unit: Whose events they are: a member's, an account's, or those of a member with one value of
            ``session_property``.
        within_days: How long after the first time of the first step the last may come; None for ever.
        session_property: Property that tells sessions apart.
        at: As of when, in microseconds; the moment of the tables if not said.

    Raises:
        SetupError: Fewer than two steps, or one twice.
    """
    _check(steps)
    moment = tables.as_of if at is None else at
    window = None if within_days is None else round(within_days * DAY)
    counts, waiting, done_last = _count(tables, steps, (unit, session_property), (window, moment))
    return FunnelReport(
        unit=unit,
        by="",
        at=moment,
        within_days=within_days,
        total=FunnelGroup(
            key="",
            name="Everybody",
            steps=steps_of(counts, [(step, step) for step in steps]),
            outside=(),
            outside_count=done_last,
            waiting=waiting,
            is_observed=True,
        ),
        notes=tuple(_notes(unit, session_property, within_days)),
    )


def _check(steps: tuple[str, ...]) -> None:
    if not 2 <= len(steps) <= _MOST_STEPS:
        raise SetupError(f"a funnel has 2 to {_MOST_STEPS} steps, such as --steps signed_up,sent,paid")
    twice = sorted({step for step in steps if steps.count(step) > 1})
    if twice:
        raise SetupError(f"{twice[0]} is named twice; each event can be one step of a funnel")


def _count(
    tables: Tables, steps: tuple[str, ...], of: tuple[Unit, str], window: tuple[int | None, int]
) -> tuple[list[int], int, int]:
    """Return the counts of those whose window is over, how many wait, and how many did the last step otherwise."""
    keys, done = _done(tables, steps, *of, window[1])
    passed = _passed(done, steps, keys, window[0])
    length, moment = window
    rows = [_tally(each, length, moment, number) for number, each in enumerate(passed)]
    last = done.filter(done.name == steps[-1]).select(keys).distinct()
    rows.append(_tally(last, None, moment, len(steps)))
    found = {number: (over, every) for number, over, every in tables.rows(_union(rows))}
    counts = [found[number][0] for number in range(len(steps))]
    waiting = found[0][1] - found[0][0]
    return counts, waiting, found[len(steps)][1] - found[len(steps) - 1][1]


def _done(tables: Tables, steps: tuple[str, ...], unit: Unit, session: str, at: int) -> tuple[list[str], ir.Table]:
    """Return the columns that name a unit, and the events of the funnel: read once, whatever the number of steps."""
    if unit == _SESSION:
        events = tables.with_text("events", session, _SESSION)
        keys = [*_OF_UNIT["member"], _SESSION]
        events = events.filter(events[_SESSION].notnull())
    else:
        events, keys = tables.events, _OF_UNIT[unit]
    if unit != "account":
        events = events.filter(events.user_id != "")
    done = events.filter(events.name.isin(steps), events.at <= at).select(*keys, "name", "at")
    return keys, done.alias("nudge_done")


def _passed(done: ir.Table, steps: tuple[str, ...], keys: list[str], window: int | None) -> list[ir.Table]:
    """Return of each step who came through it: the unit, the instant of the first step, and that of this one."""
    first = done.filter(done.name == steps[0]).group_by(keys).aggregate(first=_least("at"))
    passed = [first.mutate(last=first["first"]).alias("nudge_step_0")]
    for number, step in enumerate(steps[1:], 1):
        before, later = passed[-1], done.filter(done.name == step).select(*keys, "at")
        both = before.join(later, keys)
        both = both.filter(both.at >= both["last"])
        if window is not None:
            both = both.filter(both.at <= both["first"] + window)
        reached = both.group_by(keys).aggregate(first=_least("first"), last=_least("at"))
        passed.append(reached.alias(f"nudge_step_{number}"))
    return passed


def _least(column: str) -> Any:
    import ibis

    return ibis._[column].min()


def _tally(units: ir.Table, window: int | None, at: int, number: int) -> ir.Table:
    """Return one row: the number, how many units' windows are over, and how many units there are."""
    import ibis

    over = ibis._.count() if window is None else ibis._.count(where=ibis._["first"] + window <= at)
    tally = units.aggregate(over=over, every=ibis._.count())
    return tally.select(number=ibis.literal(number, type="int64"), over=tally["over"], every=tally.every)


def _union(tables: list[ir.Table]) -> ir.Table:
    whole = tables[0]
    for each in tables[1:]:
        whole = whole.union(each)
    return whole


def _notes(unit: Unit, session: str, within_days: float | None) -> list[str]:
    whose = {
        "member": "Members are counted: a user within one account.",
        "account": "Accounts are counted: one colleague may do one step, another the next.",
        "session": f"Sessions are counted: the events of a member with one value of {session}; others are left out.",
    }[unit]
    order = "Each step is the earliest at or after the step before; what happened at the same instant is in order."
    if within_days is None:
        return [whose, order]
    return [whose, order, f"A step counts within {within_days:g} days of the first time of the first step."]
