"""A funnel as a table and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.insights.funnel_reports import FunnelGroup, FunnelReport, FunnelRow
from nudge_sdk.insights.statistics.intervals import CONFIDENCE, Rate

_UNITS = {"member": ("member", "members"), "account": ("account", "accounts"), "session": ("session", "sessions")}


def funnel_rows(report: FunnelReport) -> list[FunnelRow]:
    """Return a report as a table: a line for each step of each group."""
    groups = (report.total, *report.groups)
    return [row for group in groups for row in _rows(group)]


def _rows(group: FunnelGroup) -> Iterator[FunnelRow]:
    for step in group.steps:
        yield FunnelRow(
            group=group.key or group.name,
            step=step.name,
            count=step.count,
            of_first=step.of_first.share,
            of_first_low=step.of_first.low,
            of_first_high=step.of_first.high,
            of_previous=step.of_previous.share,
            of_previous_low=step.of_previous.low,
            of_previous_high=step.of_previous.high,
            outside_order=group.outside_count,
            waiting=group.waiting,
            is_observed=group.is_observed,
        )


def funnel_words(report: FunnelReport) -> Iterator[str]:
    """Yield a report as lines for people."""
    one, many = _UNITS[report.unit]
    for group in (report.total, *report.groups):
        unobserved = "" if group.is_observed else ", not yet observed"
        yield f"{group.name} (by {one}{unobserved})"
        width = max(len(step.name) for step in group.steps)
        for number, step in enumerate(group.steps):
            share = f"{in_percent(step.of_first)}  {_of_previous(step.of_previous)}" if number else ""
            yield f"  {step.name:<{width}}  {step.count:>9,}  {share}".rstrip()
        yield from _apart(group, many)
    if report.other_groups:
        yield f"{report.other_groups} more groups are left out."
    if report.unknown:
        yield f"{report.unknown:,} {many} have no known sign-up, and are in no step."
    yield from report.notes
    yield f"In brackets: Wilson intervals, {CONFIDENCE:.0%}."


def _apart(group: FunnelGroup, many: str) -> Iterator[str]:
    if group.outside_count:
        why = ", ".join(f"{each.count:,} without {each.name} before" for each in group.outside)
        yield f"  outside this order: {group.outside_count:,} took the last step{f' ({why})' if why else ''}"
    if group.waiting:
        yield f"  not yet observed: {group.waiting:,} {many} whose window is not over"


def in_percent(rate: Rate) -> str:
    """Return a share with its interval, such as ``12.3 % (10.1 to 14.8)``."""
    if rate.share is None:
        return "–"
    return f"{rate.share * 100:5.1f} % ({rate.low * 100:.1f} to {rate.high * 100:.1f})"


def _of_previous(rate: Rate) -> str:
    return "" if rate.share is None else f"{rate.share:.0%} of the step before"
