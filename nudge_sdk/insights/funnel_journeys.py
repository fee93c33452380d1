"""The funnel from sign-up to won: how many members or accounts came how far, in order.

It reads nothing but the journeys, in one query whatever the number of events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.funnel_reports import (
    MOST_GROUPS,
    WINDOW_DAYS,
    FunnelGroup,
    FunnelReport,
    FunnelStep,
    OutsideOrder,
    Unit,
)
from nudge_sdk.insights.statistics.intervals import rate
from nudge_sdk.rules.times import DAY, to_iso

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables

STEPS = {
    "signed_up": "Sign-up",
    "activated": "Activation",
    "qualified": "PQL",
    "hot": "PQA",
    "won": "Won",
}
"""The steps, with their names for people."""

_WEEK = 7 * DAY
_TO_MONDAY = 3 * DAY
"""1970-01-01 was a Thursday: three days before it a week began."""

_KEYS = tuple(STEPS)
_TRAIT = "trait:"
_GROUPED = ("", "segment", "cohort", "source")


class _Counted(msgspec.Struct):
    """What one group comes to, of those whose window is over or not."""

    steps: list[int]
    outside: list[int]

    def add(self, other: _Counted) -> None:
        """Take in another one."""
        self.steps = [mine + theirs for mine, theirs in zip(self.steps, other.steps, strict=True)]
        self.outside = [mine + theirs for mine, theirs in zip(self.outside, other.outside, strict=True)]


_Found = dict[tuple[Any, bool], _Counted]
"""By (group, whether the window is over)."""


def funnel(
    tables: Tables,
    *,
    unit: Unit = "member",
    by: str = "",
    within_days: float | None = WINDOW_DAYS,
    at: int | None = None,
) -> FunnelReport:
    """Return how many came from sign-up to won, in order.

    Args:
        tables: What to read.
        unit: ``member`` or ``account``.
        by: ``segment``, ``cohort`` (week of sign-up), ``source``, ``trait:<name>``, or empty.
        within_days: How long after sign-up a step counts; None for ever.
        at: As of when, in microseconds; the moment of the tables if not said.

    Raises:
        SetupError: ``unit``, ``by`` or the window is none that can be.
    """
    _check(unit, by, within_days)
    moment = tables.as_of if at is None else at
    found, unknown = _count(tables, unit, by, (within_days, moment))
    groups = _groups(found, by, tables.details) if by else []
    total = _group("", "Everybody", _over(found.items()), _waiting(found.items()))
    if not _has_pqa(tables.details):
        total, groups = _without_pqa(total), [_without_pqa(each) for each in groups]
    return FunnelReport(
        unit=unit,
        by=by,
        at=moment,
        within_days=within_days,
        total=total,
        groups=tuple(groups[:MOST_GROUPS] if by != "cohort" else groups[-MOST_GROUPS:]),
        other_groups=max(0, len(groups) - MOST_GROUPS),
        unknown=unknown,
        notes=tuple(_notes(unit, within_days, tables.details)),
    )


def steps_of(counts: Sequence[int], names: Iterable[tuple[str, str]]) -> tuple[FunnelStep, ...]:
    """Return the steps of a funnel with their shares.

    Args:
        counts: How many came through each.
        names: Of each its key and its name for people.
    """
    before = [counts[0], *counts[:-1]]
    return tuple(
        FunnelStep(key=key, name=name, count=count, of_first=rate(count, counts[0]), of_previous=rate(count, previous))
        for (key, name), count, previous in zip(names, counts, before, strict=True)
    )


def _check(unit: str, by: str, within_days: float | None) -> None:
    if unit not in ("member", "account"):
        raise SetupError(f"the funnel from sign-up to won is of members or accounts, not of {unit!r}")
    if by not in _GROUPED and not by.startswith(_TRAIT):
        raise SetupError(f"{by!r} is nothing to divide by: say segment, cohort, source or trait:<name>")
    if within_days is not None and not 0 < within_days <= 36_500:
        raise SetupError(f"a window of {within_days:g} days cannot be; say more than 0 and at most 36500")


def _count(tables: Tables, unit: Unit, by: str, window: tuple[float | None, int]) -> tuple[_Found, int]:
    """Return the counts by group, and how many have no known sign-up."""
    import ibis

    journeys = _divided(tables, by)
    mine = journeys.filter(journeys.user_id != "" if unit == "member" else journeys.user_id == "")
    if not _has_pqa(tables.details):
        # Without the step everybody is through it who came to the one before.
        mine = mine.mutate(hot_at=mine.qualified_at)
    came = _came(mine, *window)
    lost = [came[f"lost_{key}"] for key in _KEYS[1:-1]]
    sums = {f"n{number}": came[f"came_{key}"].sum() for number, key in enumerate(_KEYS)}
    sums |= {f"lost{number}": each.sum() for number, each in enumerate(lost)}
    counted = came.group_by("division", "is_over", "is_known").aggregate(**sums, everybody=ibis._.count())
    found: _Found = {}
    unknown = 0
    for division, is_over, is_known, *numbers in tables.rows(counted):
        if not is_known:
            unknown += numbers[-1]
            continue
        whole = [number or 0 for number in numbers]
        found[division, is_over] = _Counted(whole[: len(_KEYS)], whole[len(_KEYS) : -1])
    return found, unknown


def _has_pqa(details: dict[str, Any]) -> bool:
    """Whether any segment has a threshold for hot accounts; where that is not known, it is taken for granted."""
    return bool(details.get("has_pqa", True))


def _without_pqa(group: FunnelGroup) -> FunnelGroup:
    steps = tuple(each for each in group.steps if each.key != "hot")
    return msgspec.structs.replace(group, steps=steps)


def _divided(tables: Tables, by: str) -> ir.Table:
    """Return the journeys with the column ``division``."""
    import ibis

    if by.startswith(_TRAIT):
        return tables.with_text("journeys", by.removeprefix(_TRAIT), "division")
    journeys = tables.journeys
    if by == "cohort":
        since = journeys.signed_up_at + _TO_MONDAY
        # Engines do not agree about the rest of a division of what lies before 1970.
        return journeys.mutate(division=since - (since % _WEEK + _WEEK) % _WEEK - _TO_MONDAY)
    return journeys.mutate(division=journeys[by] if by else ibis.literal(""))


def _came(journeys: ir.Table, within_days: float | None, at: int) -> ir.Table:
    """Return for each journey which steps it came through, and which one was missing when it was won.

    A comparison with an instant that is not there says neither yes nor no: it is taken as no.
    """
    import ibis

    signed_up, activated, qualified, hot, won = (journeys[f"{key}_at"] for key in _KEYS)
    is_known = (signed_up <= at).fill_null(False)
    if within_days is None:
        end, is_over = ibis.literal(at), ibis.literal(True)
    else:
        window = round(within_days * DAY)
        end = ibis.ifelse(signed_up + window < at, signed_up + window, at)
        is_over = (signed_up + window <= at).fill_null(False)
    came = [is_known]
    for before, step in ((signed_up, activated), (activated, qualified), (qualified, hot), (hot, won)):
        came.append(came[-1] & ((step >= before) & (step <= end)).fill_null(False))
    was_won = is_known & (won <= end).fill_null(False)
    in_order = [is_known]
    for number, step in enumerate((activated, qualified, hot), 1):
        in_order.append(in_order[-1] & came[number] & (step <= won).fill_null(False))
    lost = {f"lost_{key}": was_won & in_order[number] & ~in_order[number + 1] for number, key in enumerate(_KEYS[1:-1])}
    passed = {f"came_{key}": each for key, each in zip(_KEYS, came, strict=True)}
    return journeys.select("division", is_over=is_over, is_known=is_known, **passed, **lost)


def _groups(found: _Found, by: str, details: dict[str, Any]) -> list[FunnelGroup]:
    names = details.get("segments", {}) if by == "segment" else {}
    by_division: dict[Any, _Found] = defaultdict(dict)
    for (division, is_over), counted in found.items():
        by_division[division][division, is_over] = counted
    if by == "cohort":
        return [_cohort(division, by_division[division]) for division in sorted(by_division)]
    groups = [
        _group(division or "", names.get(division) or division or "(none)", _over(each.items()), _waiting(each.items()))
        for division, each in by_division.items()
    ]
    return sorted(groups, key=lambda group: (-group.steps[0].count, -group.waiting, group.key))


def _cohort(monday: int, found: _Found) -> FunnelGroup:
    """Return the funnel of a week of sign-ups: of all of them, as far as it has come."""
    whole = _sum(found.values())
    waiting = _waiting(found.items())
    day = to_iso(monday)[:10]
    return msgspec.structs.replace(_group(day, f"Week of {day}", whole, waiting), is_observed=not waiting)


def _group(key: str, name: str, counted: _Counted, waiting: int) -> FunnelGroup:
    outside = tuple(
        OutsideOrder(missing=missing, name=STEPS[missing], count=count)
        for missing, count in zip(_KEYS[1:-1], counted.outside, strict=True)
        if count
    )
    return FunnelGroup(
        key=key,
        name=name,
        steps=steps_of(counted.steps, STEPS.items()),
        outside=outside,
        outside_count=sum(counted.outside),
        waiting=waiting,
        is_observed=True,
    )


def _sum(counted: Iterable[_Counted]) -> _Counted:
    total = _Counted([0] * len(_KEYS), [0] * (len(_KEYS) - 2))
    for each in counted:
        total.add(each)
    return total


def _over(found: Iterable[tuple[tuple[Any, bool], _Counted]]) -> _Counted:
    return _sum(counted for (_, is_over), counted in found if is_over)


def _waiting(found: Iterable[tuple[tuple[Any, bool], _Counted]]) -> int:
    return sum(counted.steps[0] for (_, is_over), counted in found if not is_over)


def _notes(unit: Unit, within_days: float | None, details: dict[str, Any]) -> Iterable[str]:
    whose = "Members are counted: a user within one account." if unit == "member" else "Accounts are counted."
    yield f"{whose} Each step is at or after the one before it; whoever won in another order is shown apart."
    if within_days is None:
        yield "There is no window: those who signed up later have had less time."
    else:
        yield f"A step counts within {within_days:g} days of sign-up; those whose window is not over are left out."
    yield _activation(details)
    if not _has_pqa(details):
        yield "No segment has a threshold for hot accounts, so nobody becomes a PQA: the step is left out."
    if unit == "member":
        yield "PQL is the member's first warm or hot standing, PQA the account's first hot one."
    else:
        yield "PQL is the first warm or hot standing of a member of the account, PQA the account's first hot one."


def _activation(details: dict[str, Any]) -> str:
    keys = ", ".join(details.get("activation", ()))
    match details.get("activation_basis"):
        case "aha":
            return f"Activation is the first aha milestone: {keys}."
        case "value":
            return f"No milestone is marked as the aha moment, so the first one of category high stands in: {keys}."
        case "none":
            return "No milestone is marked as the aha moment, so nobody counts as activated."
    return "The journeys were never rolled up: run nudge refresh."
