"""What became of those who qualified: how soon they converted, and which goals they met."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from nudge_sdk.insights.accuracy_reports import GoalShare
from nudge_sdk.insights.judging import KEYS, Judged, Judging
from nudge_sdk.insights.statistics.intervals import rate
from nudge_sdk.insights.statistics.survival import Curve, kaplan_meier
from nudge_sdk.rules.times import DAY

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from nudge_sdk.insights.tables import Tables


def time_to_conversion(tables: Tables, everybody: Judged, judging: Judging) -> Curve:
    """Return the share converted by whole days since qualifying; who has not is censored at the moment.

    Args:
        tables: What to read.
        everybody: Judged journeys.
        judging: By what.
    """
    import ibis

    if judging.positives is not None:
        return kaplan_meier([], [])
    watched = everybody.table.filter(everybody.is_in_time)
    ended = ibis.coalesce(watched.positive_at, judging.at)
    spans = watched.select(days=_whole_days(ended - watched.flagged_at), is_won=watched.positive_at.notnull())
    rows = tables.rows(spans.group_by("days", "is_won").aggregate(count=ibis._.count()))
    return kaplan_meier([row[0] // DAY for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def goal_shares(tables: Tables, everybody: Judged, judging: Judging) -> tuple[GoalShare, ...]:
    """Return for each goal how many of those who qualified met it afterwards, within the window."""
    import ibis

    window = None if judging.within_days is None else round(judging.within_days * DAY)
    met, keys = _first_met(tables, judging)
    qualified = everybody.table.filter(everybody.table.flagged_at <= judging.at - (window or 0))
    of = tables.rows(qualified.aggregate(count=ibis._.count()))[0][0]
    pairs = qualified.select(*KEYS[judging.unit], "flagged_at").join(met, keys)
    wait = pairs.met_at - pairs.flagged_at
    waits = pairs.select(
        "goal", days=_whole_days(wait), is_after=wait > 0, is_in=wait <= window if window else ibis.literal(True)
    )
    rows = tables.rows(waits.group_by("goal", "days", "is_after", "is_in").aggregate(count=ibis._.count()))
    before: Counter[str] = Counter()
    afterwards: dict[str, Counter[int]] = defaultdict(Counter)
    for goal, days, is_after, is_in, count in rows:
        before[goal] += 0 if is_after else count
        afterwards[goal][days // DAY] += count if is_after and is_in else 0
    return tuple(_share(goal, afterwards[goal], of - before[goal]) for goal in sorted(afterwards))


def _first_met(tables: Tables, judging: Judging) -> tuple[ir.Table, list[str]]:
    """Return when each unit met each goal first, and what names it; a goal of accounts is met by all their members."""
    import ibis

    is_of_members = judging.unit == "member" and tables.details.get("goal_unit") == "member"
    keys = KEYS["member" if is_of_members else "account"]
    goals = tables.goals.filter(ibis._.kind == "convert", ibis._.at <= judging.at)
    return goals.group_by(*keys, "goal").aggregate(met_at=ibis._.at.min()), keys


def _share(goal: str, days: Counter[int], of: int) -> GoalShare:
    every = sorted(days.elements())
    median = float(every[(len(every) - 1) // 2]) if every else None
    return GoalShare(goal=goal, rate=rate(len(every), of), median_days=median)


def _whole_days(span: ir.IntegerValue) -> ir.IntegerValue:
    """Return a span without its part of a day, still in microseconds: engines divide whole numbers differently."""
    whole: ir.IntegerValue = span - span % DAY
    return whole
