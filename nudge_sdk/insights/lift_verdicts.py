"""The verdict of an experiment, and why, in words. Harm is said as plainly as gain."""

from __future__ import annotations

from nudge_sdk.insights.lift_reports import LiftReport, Progress, Verdict
from nudge_sdk.insights.statistics.clusters import ClusteredDifference
from nudge_sdk.insights.statistics.comparisons import Difference
from nudge_sdk.insights.statistics.intervals import Rate

_UNITS = {"account": "accounts", "member": "members", "row": "rows"}


def verdict_of(report: LiftReport) -> tuple[Verdict | None, str]:
    """Return the verdict of a report whose numbers are filled in, and why.

    Association has none. What the checks forbid is invalid, however far it is. Before the planned end it is not yet;
    then the fixed interval decides, the one with cluster-robust errors where there is one.
    """
    if not report.is_randomised:
        return None, _association(report)
    forbidden = _forbidden(report)
    if forbidden:
        return Verdict.INVALID, forbidden
    if report.final is None:
        return Verdict.NOT_YET, _not_yet(report)
    ends: Difference | ClusteredDifference = report.final_clustered or report.final
    words = _compared(report, report.final, ends)
    if ends.low > 0:
        return Verdict.GAIN, words
    if ends.high < 0:
        return Verdict.HARM, words
    return Verdict.NO_DIFFERENCE, words


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    written = f"{100 * difference:+.{digits}f}"
    return (written[1:] if not float(written) else written).replace("-", "−")


def interval_name(confidence: float) -> str:
    """Return what an interval is called."""
    return f"{100 * confidence:.3g} % interval"


def rate_words(found: Rate, confidence: float) -> str:
    """Return a rate with its interval."""
    if found.share is None:
        return "nobody"
    return (
        f"{found.count:,} of {found.of:,} ({percent(found.share)}; {interval_name(confidence)} "
        f"{percent(found.low)} to {percent(found.high)})"
    )


def units_words(number: int, unit: str) -> str:
    """Return a number of units with their name."""
    name = _UNITS[unit]
    return f"{number:,} {name if number != 1 else name[:-1]}"


def _association(report: LiftReport) -> str:
    if report.control.units:
        return (
            "Chance did not decide who is in which arm, so what differs may have been different before: "
            "association, not lift."
        )
    return (
        "Nobody is withheld it by chance, so nothing says how many would have met the goal without it: "
        "association, not lift. A holdout would tell."
    )


def _forbidden(report: LiftReport) -> str:
    ratio, exposures = report.ratio, report.exposures
    if ratio.leaked:
        return f"Units were seen in an arm that none should be in ({', '.join(ratio.leaked)}): find out how first."
    if ratio.forbids_verdict:
        arms = ", ".join(f"{each.name} {each.units:,} (expected {each.expected:,.0f})" for each in ratio.arms)
        return (
            f"The arms are not as large as configured: {arms}; chance alone strays so far with p = "
            f"{ratio.p_value:.1g}. Something puts units out of one arm; find out what first."
        )
    if exposures.is_exceeded:
        return (
            f"{exposures.several:,} of {exposures.units:,} units ({percent(exposures.share)}) were seen in both arms, "
            "so the arms cannot be told apart."
        )
    return ""


def _not_yet(report: LiftReport) -> str:
    progress = report.progress
    if progress.planned is None:
        return (
            "No size was fixed beforehand, so there is no end to decide at; the always-valid interval may be looked at."
        )
    return f"{_how_far(report, progress)}. A verdict before that would be a guess."


def _how_far(report: LiftReport, progress: Progress) -> str:
    far = f"{progress.observed:,} of {units_words(progress.planned or 0, report.unit)} planned have been observed"
    if progress.days is not None:
        far += f", on day {progress.days:,} of at least {progress.minimum_days + (report.window_days or 0)}"
    return far


def _compared(report: LiftReport, final: Difference, ends: Difference | ClusteredDifference) -> str:
    control, treated = final.control.share, final.treated.share
    if control is None or treated is None or final.difference is None:
        return "One of the arms is empty, so there is nothing to compare."
    size = f"{100 * abs(final.difference):.1f} points"
    way = "as many" if not final.difference else f"{size} {'more' if final.difference > 0 else 'fewer'}"
    clear = "" if ends.low > 0 or ends.high < 0 else " Chance alone may well explain that."
    those = "" if report.kind == "table" else "those "
    return (
        f"Of {those}{report.treated.name} {percent(treated)} met the goal, of {those}{report.control.name} "
        f"{percent(control)}: {way} ({interval_name(report.confidence)} {points(ends.low)} to {points(ends.high)} "
        f"points).{clear}"
    )
