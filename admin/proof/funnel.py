"""The funnel as a page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from nudge_sdk.insights.funnel_reports import FunnelGroup, FunnelReport, FunnelStep

from ..charts import PALETTE, Chart, Series, percent

MOST_DRAWN = len(PALETTE)
"""Groups in the chart; the table has all."""

UNITS = {"member": ("person", "people"), "account": ("account", "accounts"), "session": ("session", "sessions")}


def answer_of(report: FunnelReport) -> str:
    """Return in a sentence how many come through, and where most are lost."""
    steps = report.total.steps
    one, many = UNITS[report.unit]
    if not steps or not steps[0].count:
        if not report.total.waiting:
            return f"There is no {one} to tell of yet."
        known = f"{report.total.waiting:,} {one if report.total.waiting == 1 else many}"
        return f"{known} began; none of them has had the {report.within_days or 0:g} days to come further yet."
    first, last = steps[0], steps[-1]
    share = percent(last.of_first.share)
    start = f"Of {first.count:,} {one if first.count == 1 else many}, {share} came to “{last.name}” through every step"
    outside = report.total.outside_count
    found = f"{start}{_within(report)}{f', and {outside:,} by another way' if outside else ''}."
    lost = loss_of(steps)
    if lost is None:
        return found
    before, step = lost
    share = percent(1 - (step.of_previous.share or 0))
    return f"{found} Most are lost before “{step.name}”: {share} of those at “{before.name}”."


def loss_of(steps: Sequence[FunnelStep]) -> tuple[FunnelStep, FunnelStep] | None:
    """Return the step that most people are lost before, with the one they are lost at."""
    pairs = [(before, step) for before, step in pairwise(steps) if before.count]
    return max(pairs, key=lambda pair: pair[0].count - pair[1].count, default=None)


def chart_of(report: FunnelReport, step: str = "") -> Chart | None:
    """Return how many came how far; divided by cohorts, how many came to one step week by week.

    Args:
        report: The funnel.
        step: Key of that step; the last one, if there is none such.
    """
    if report.by == "cohort" and report.groups:
        return _by_week(report, step)
    groups = report.groups[:MOST_DRAWN] or (report.total,)
    if not any(group.steps and group.steps[0].count for group in groups):
        return None
    return Chart(
        kind="bars",
        says=f"Bars of the share that came to each step. {answer_of(report)}",
        labels=tuple(step.name for step in report.total.steps),
        unit="percent",
        least=0,
        most=1,
        series=tuple(_series(group, place, len(groups)) for place, group in enumerate(groups)),
    )


def _series(group: FunnelGroup, place: int, number: int) -> Series:
    return Series(
        name=group.name or "Everybody",
        values=tuple(step.of_first.share for step in group.steps),
        low=tuple(step.of_first.low if place_ else None for place_, step in enumerate(group.steps)),
        high=tuple(step.of_first.high if place_ else None for place_, step in enumerate(group.steps)),
        texts=tuple(_text(step, number) for step in group.steps),
        colour=PALETTE[place],
    )


def _text(step: FunnelStep, number: int) -> str:
    return percent(step.of_first.share) if number > 2 else f"{step.count:,}  ({percent(step.of_first.share)})"


def _by_week(report: FunnelReport, step: str) -> Chart:
    keys = [each.key for each in report.total.steps]
    place = keys.index(step) if step in keys else len(keys) - 1
    found = [group.steps[place] for group in report.groups]
    name = report.total.steps[place].name
    waiting = next((number for number, group in enumerate(report.groups) if not group.is_observed), None)
    return Chart(
        kind="columns",
        says=f"Columns of the share that came to “{name}”, by the week of sign-up. {answer_of(report)}",
        labels=tuple(week_words(group) for group in report.groups),
        unit="percent",
        title=f"Came to “{name}”",
        x_title="Week of sign-up",
        pale_from=waiting,
        series=(
            Series(
                name=f"Came to “{name}”",
                values=tuple(each.of_first.share for each in found),
                low=tuple(each.of_first.low if each.of_first.of else None for each in found),
                high=tuple(each.of_first.high if each.of_first.of else None for each in found),
            ),
        ),
    )


def week_words(group: FunnelGroup) -> str:
    """Return the Monday of a cohort, such as 2 Mar."""
    try:
        return f"{date.fromisoformat(group.key):%-d %b}"
    except ValueError:
        return group.name


def _within(report: FunnelReport) -> str:
    if report.within_days is None:
        return ""
    return f" within {report.within_days:g} {'day' if report.within_days == 1 else 'days'}"
