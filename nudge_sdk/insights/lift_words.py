"""A report of lift in plain English, for the command line and the admin's page alike."""

from __future__ import annotations

from collections.abc import Iterator

from nudge_sdk.insights.lift_reports import Arm, LiftReport, Live, Verdict
from nudge_sdk.insights.lift_verdicts import interval_name, percent, points, rate_words, units_words
from nudge_sdk.insights.statistics.balance import MISMATCH_BELOW
from nudge_sdk.insights.statistics.power import Plan


def lift_words(report: LiftReport) -> tuple[str, ...]:
    """Return a report as lines: what was compared, the verdict, then what it rests on."""
    return tuple(_lines(report))


def plan_words(plan: Plan, unit: str = "unit") -> str:
    """Return a plan in one line."""
    return (
        f"{plan.units:,} {unit}s ({plan.control:,} in the control, {plan.treated:,} treated) find a difference of "
        f"{points(plan.effect)} points on {percent(plan.baseline)} with a power of {percent(plan.power, 0)}, and find "
        f"one where there is none in {percent(plan.alpha, 0)} of cases"
    )


def title_of(report: LiftReport) -> str:
    """Return what was compared, in one line."""
    if report.kind == "table":
        return f"{report.treated.name} against {report.control.name}, {report.goal}"
    what = "Overall holdout" if report.kind == "overall" else f"Nudge {report.name}"
    if report.kind == "nudge" and report.holdout:
        what += f", by {'its own' if report.holdout == 'own' else 'the overall'} holdout"
    if report.ended_with is not None:
        what += f", which ended with definition {report.ended_with}"
    return f"{what}: goal {report.goal} within {report.window_days} days of the first exposure, by {report.unit}"


def _lines(report: LiftReport) -> Iterator[str]:
    yield title_of(report)
    yield f"{report.verdict.value.capitalize() if report.verdict else 'Association'}: {report.reason}"
    for arm in (report.treated, report.control):
        if arm.units or report.is_randomised:
            yield _arm(arm, report)
    if report.control.units and report.verdict is not Verdict.INVALID:
        yield _live(report.live, report)
    yield from _final(report)
    if report.plan is not None:
        yield f"Planned: {plan_words(report.plan, report.unit)}."
    yield from _checks(report)


def _arm(arm: Arm, report: LiftReport) -> str:
    seen = f"{rate_words(arm.seen, report.confidence)} met the goal" if arm.seen.of else "nobody observed yet"
    text = f"{arm.name}: {units_words(arm.units, report.unit)}; {seen}"
    if arm.waiting:
        text += f"; {arm.waiting:,} not yet observed, {arm.waiting_won:,} of them met it so far"
    return f"{text}."


def _live(live: Live, report: LiftReport) -> str:
    if live.difference is None:
        return "So far there is nothing to compare: one arm has nobody observed."
    text = f"So far: {points(live.difference)} points"
    if not report.is_randomised:
        return f"{text} between the two, an association."
    shows = {
        "gain": "It lies wholly above 0: a gain.",
        "harm": "It lies wholly below 0: harm. Think of switching it off.",
        "": "It holds 0.",
    }
    return (
        f"{text}, always-valid interval {points(live.low)} to {points(live.high)}, which may be looked at every day. "
        f"{shows[live.shows]}"
    )


def _final(report: LiftReport) -> Iterator[str]:
    final = report.final
    if final is None or final.difference is None:
        return
    lift, interval = "", interval_name(report.confidence)
    if final.lift is not None and final.lift_low is not None and final.lift_high is not None:
        lift = (
            f"; relative lift {points(final.lift, 0)} % ({interval} {points(final.lift_low, 0)} to "
            f"{points(final.lift_high, 0)} %)"
        )
    yield (
        f"At the planned end: {points(final.difference)} points ({interval} {points(final.low)} to "
        f"{points(final.high)}){lift}; p = {final.p_value:.2g}."
    )
    clustered = report.final_clustered
    if clustered is not None and clustered.difference is not None:
        yield (
            f"Members of one account are alike, {clustered.clusters:,} accounts: with that allowed for, the interval "
            f"is {points(clustered.low)} to {points(clustered.high)} points; the verdict rests on it."
        )


def _checks(report: LiftReport) -> Iterator[str]:
    if report.is_randomised:
        yield _ratio(report)
    if report.exposures.several:
        exposures = report.exposures
        yield f"Seen in both arms: {exposures.several:,} of {exposures.units:,} ({percent(exposures.share, 2)})."
    if report.left_out:
        yield f"Left out: {report.left_out:,} who {_earlier(report)} before."


def _earlier(report: LiftReport) -> str:
    if report.kind == "nudge" and report.holdout == "overall":
        return "had met another nudge, or another holdout (a holdout of its own would let them count),"
    return "were first exposed under another holdout"


def _ratio(report: LiftReport) -> str:
    ratio = report.ratio
    if not ratio.arms:
        return "Sample ratio: not checked, because no ratio was configured."
    counts = " : ".join(f"{each.units:,}" for each in ratio.arms)
    shares = " : ".join(percent(each.share) for each in ratio.arms)
    if not ratio.is_checked:
        return f"Sample ratio: {counts} where {shares} was configured; too few to check."
    if ratio.forbids_verdict:
        judged = "a mismatch"
    elif ratio.is_mismatched:
        judged = f"a mismatch, by {percent(ratio.deviation, 2)}: too small to turn the result, but look for its cause"
    else:
        judged = "as configured"
    return (
        f"Sample ratio: {counts} where {shares} was configured; chi-square {ratio.statistic:.2f}, p = "
        f"{ratio.p_value:.2g} (a mismatch is below {MISMATCH_BELOW:g}): {judged}."
    )
