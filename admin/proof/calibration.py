"""Calibration as a page shows it: how well points foretell who pays, what each is worth, and what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from nudge_sdk.insights.calibration import CalibrationReport, FeatureWeight
from nudge_sdk.insights.drift_reports import DriftReport, Reminder
from nudge_sdk.insights.statistics.performance import Performance

from ..charts import Chart, Colour, Level, Series, percent
from ..pages import day, points

VERDICTS = {
    "used": ("good", "used"),
    "leaky": ("block", "leaky"),
    "suspect": ("warn", "suspect"),
    "no information": ("none", "no information"),
}
_THOUSAND = 1000


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone and its points, as they are and as they are proposed.

    Attributes:
        proposed: Whether other points are proposed than it has.
    """

    weight: FeatureWeight
    name: str
    badge: str
    verdict: str
    proposed: bool


def answer_of(report: CalibrationReport) -> str:
    """Return in a sentence whether the points foretell who pays, and whether others would do better."""
    if not report.enough.is_enough:
        return (
            f"Too few have paid to say what points should be: {report.enough.conversions:,}, "
            f"and it takes {report.enough.needed:,}."
        )
    tested = report.tested.auc if report.tested is not None else None
    if tested is None:
        return "There are points to propose, but no newer sign-ups to test them on yet."
    right = f"{percent(tested.value)} of pairs right"
    if report.before is None:
        return f"The proposed points tell payers from others: {right}."
    against = f"{right}, against {percent(report.before)}"
    if report.before < tested.low:
        return f"The proposed points tell payers from others better than today's: {against}."
    if report.before > tested.high:
        return f"The proposed points tell payers from others worse than today's: {against}."
    return f"The proposed points are not shown to tell payers from others better than today's: {against}."


def reliability_chart(performance: Performance | None) -> Chart | None:
    """Return how many paid beside how many were foretold to, by the foretold chance."""
    if performance is None or not performance.bins:
        return None
    bins = performance.bins
    most = min(1.0, ceil(10 * max(max(each.predicted, each.observed.high) for each in bins)) / 10)
    return Chart(
        kind="scatter",
        says="Points with intervals beside the diagonal: the nearer to it, the truer what was foretold.",
        unit="percent",
        x_unit="percent",
        title="Really paid",
        x_title="Foretold to pay",
        least=0,
        most=most,
        has_diagonal=True,
        series=(
            Series(
                name="Really paid",
                xs=tuple(each.predicted for each in bins),
                values=tuple(each.observed.share for each in bins),
                low=tuple(each.observed.low for each in bins),
                high=tuple(each.observed.high for each in bins),
            ),
        ),
    )


def weights_chart(report: CalibrationReport, names: Mapping[str, str]) -> Chart | None:
    """Return today's points beside the proposed ones, with their interval."""
    shown = [each for each in report.features if each.points is not None]
    if not shown:
        return None
    return Chart(
        kind="dots",
        says="For each milestone a dot for today's points, and a dot with its interval for the proposed ones.",
        labels=tuple(names.get(each.name, each.name) for each in shown),
        title="Points",
        levels=(Level(value=0, text="no points"),),
        series=(
            Series(
                name="Proposed",
                values=tuple(_points(each.points) for each in shown),
                low=tuple(_points(each.points_low) for each in shown),
                high=tuple(_points(each.points_high) for each in shown),
                colours=tuple(_colour(each) for each in shown),
            ),
            Series(name="Today", values=tuple(_points(each.old_points) for each in shown), colour="second"),
        ),
    )


def rows_of(report: CalibrationReport, names: Mapping[str, str]) -> list[Row]:
    """Return every milestone, with what is proposed."""
    return [
        Row(
            weight=each,
            name=names.get(each.name, each.name),
            badge=VERDICTS[each.verdict][0],
            verdict=VERDICTS[each.verdict][1],
            proposed=each.points is not None and each.points != each.old_points,
        )
        for each in report.features
    ]


def points_words(weight: FeatureWeight) -> str:
    """Return proposed points with the ends of their interval."""
    if weight.points is None:
        return "–"
    if weight.points_low is None or weight.points_high is None:
        return points(weight.points)
    return f"{points(weight.points)} ({points(weight.points_low)} to {points(weight.points_high)})"


def drift_answer(report: DriftReport) -> str:
    """Return in a sentence whether the definition still does what it did."""
    if report.alarms:
        first = report.alarms[0]
        return f"Something has changed: {first.metric} of {first.cut} {first.name} differs from what was before."
    return "No drift: the newest quarter and release are like what was before, as far as there is enough to tell."


def reminder_words(reminders: Sequence[Reminder]) -> list[tuple[bool, str]]:
    """Return of each reminder whether it is due, and what it says."""
    names = {"thresholds": "Look at the thresholds", "points": "Calibrate the points"}
    found = []
    for each in reminders:
        when = f"now: it was due on {day(each.due_at)}" if each.is_due else f"again on {day(each.due_at)}"
        found.append((each.is_due, f"{names[each.what]} {when}"))
    return found


def _colour(weight: FeatureWeight) -> Colour:
    return "main" if weight.points != weight.old_points else "quiet"


def _points(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / _THOUSAND
