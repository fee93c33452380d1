"""Lift as a page shows it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nudge_sdk.insights.lift_reports import LiftReport, Verdict
from nudge_sdk.insights.lift_words import lift_words

from ..charts import Chart, Colour, Level, Series, percent, percent_range, signed_points, signed_range

BADGES: dict[Verdict | None, tuple[str, str]] = {
    Verdict.GAIN: ("good", "helps"),
    Verdict.HARM: ("block", "does harm"),
    Verdict.NO_DIFFERENCE: ("note", "no difference shown"),
    Verdict.NOT_YET: ("none", "too early to say"),
    Verdict.INVALID: ("warn", "cannot be told"),
    None: ("none", "association only"),
}
"""Class and words of each verdict."""

_COLOURS: dict[Verdict | None, Colour] = {Verdict.GAIN: "good", Verdict.HARM: "bad", Verdict.INVALID: "second"}
_UNITS = {"account": "accounts", "member": "people", "row": "rows"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment in the table.

    Attributes:
        offered, withheld: Of those observed, the share that met the goal; each with its interval.
        difference, interval: In percentage points; the fixed one at the planned end, before that the always-valid one.
        badge, verdict: Class and words.
        lines: Everything in words.
    """

    report: LiftReport
    title: str
    offered: tuple[str, str]
    withheld: tuple[str, str]
    difference: str
    interval: str
    badge: str
    verdict: str
    lines: tuple[str, ...]


def answer_of(reports: Sequence[LiftReport]) -> str:
    """Return in a sentence whether nudges change anything, by the overall holdout or whatever is drawn by chance."""
    drawn = [each for each in reports if each.is_randomised and is_seen(each)]
    if not drawn:
        return "Nothing was withheld from anybody by chance yet, so nothing shows what nudges change."
    first = drawn[0]
    who = "prompts and help" if first.kind == "overall" else f"“{first.name}”"
    shares = (
        f"{percent(first.treated.seen.share)} of those offered, {percent(first.control.seen.share)} of those withheld"
    )
    within = f"within {first.window_days} days"
    if first.verdict == Verdict.GAIN:
        return f"{_capital(who)} bring customers: {shares} paid {within}."
    if first.verdict == Verdict.HARM:
        return f"{_capital(who)} cost customers: {shares} paid {within}."
    if first.verdict == Verdict.NO_DIFFERENCE:
        return f"No difference was shown for {who}: {shares} paid {within}."
    if first.verdict == Verdict.INVALID:
        return f"Whether {who} work cannot be told: {first.reason}"
    far = f"{first.progress.observed:,} of {first.progress.planned or 0:,} {_UNITS[first.unit]} have been observed"
    return f"It is too early to say whether {who} work: {far}. So far {shares} paid {within}."


def chart_of(reports: Sequence[LiftReport]) -> Chart | None:
    """Return the difference that each experiment shows; None where none has anything to compare."""
    shown = [each for each in reports if each.is_randomised and is_seen(each) and each.live.difference is not None]
    if not shown:
        return None
    ends = [_ends(each) for each in shown]
    return Chart(
        kind="dots",
        says=f"The difference between offered and withheld, by nudge, with intervals. {answer_of(reports)}",
        labels=tuple(title_of(each) for each in shown),
        unit="points",
        title="Percentage points more, or fewer, that met the goal",
        levels=(Level(value=0, text="no difference"),),
        series=(
            Series(
                name="Offered less withheld",
                values=tuple(each[0] for each in ends),
                low=tuple(each[1] for each in ends),
                high=tuple(each[2] for each in ends),
                colours=tuple(_COLOURS.get(each.verdict, "quiet") for each in shown),
                texts=tuple(BADGES[each.verdict][1] for each in shown),
            ),
        ),
    )


def rows_of(reports: Sequence[LiftReport], *, is_randomised: bool) -> list[Row]:
    """Return experiments with anybody in them."""
    return [_row(each) for each in reports if each.is_randomised == is_randomised and is_seen(each)]


def is_seen(report: LiftReport) -> bool:
    """Whether there is anything to tell: somebody in it, and of an overall holdout somebody who met the goal."""
    arms = (report.treated, report.control)
    return any(each.seen.count if report.kind == "overall" else each.units for each in arms)


def title_of(report: LiftReport) -> str:
    """Return what is compared."""
    if report.kind == "overall":
        return f"All prompts and help, goal “{report.name}”"
    return report.name


def _row(report: LiftReport) -> Row:
    difference, low, high = _ends(report)
    badge, verdict = BADGES[report.verdict]
    control, treated = report.control.seen, report.treated.seen
    return Row(
        report=report,
        title=title_of(report),
        offered=(percent(treated.share), percent_range(treated.low, treated.high)),
        withheld=(percent(control.share), percent_range(control.low, control.high)),
        difference=signed_points(difference),
        interval=signed_range(low, high) if difference is not None else "",
        badge=badge,
        verdict=verdict,
        lines=lift_words(report)[1:],
    )


def _ends(report: LiftReport) -> tuple[float | None, float, float]:
    if report.final is not None:
        ends = report.final_clustered or report.final
        return report.final.difference, ends.low, ends.high
    return report.live.difference, report.live.low, report.live.high


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
