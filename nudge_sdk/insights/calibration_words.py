"""Reports of calibration and of drift as lines for people, for the command line and the admin alike."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nudge_sdk.insights.calibration_reports import CalibrationReport, Coefficient, FeatureWeight
from nudge_sdk.insights.drift_reports import Alarm, DriftReport, DriftRow, Reminder
from nudge_sdk.insights.feature_checks import Verdict
from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.statistics.performance import Performance
from nudge_sdk.rules.times import to_iso

_MODELS = {
    "none": "logistic regression without a penalty",
    "ridge": "logistic regression with ridge",
    "firth": "logistic regression with Firth's penalty",
}
_METRICS = {
    "baseline": "the share that paid",
    "precision": "the share of those who had qualified that paid",
    "auc": "the AUC of today's points",
}
_REMINDERS = {"thresholds": "Look at the thresholds (monthly)", "points": "Calibrate the points (quarterly)"}


class WeightRow(msgspec.Struct, frozen=True, kw_only=True):
    """A feature as a row of a table; points are whole points."""

    name: str
    verdict: Verdict
    coefficient: float | None
    low: float | None
    high: float | None
    p_value: float | None
    old_points: float | None
    points: float | None
    points_low: float | None
    points_high: float | None
    reason: str


def weight_rows(report: CalibrationReport) -> list[WeightRow]:
    """Return the features as rows of a table."""
    return [_row(each) for each in report.features]


def calibration_words(report: CalibrationReport) -> list[str]:
    """Return a report as lines: of whom it is, whether it is enough, the points side by side, how well it does."""
    return [*_of_whom(report), *_weights(report), *_performance(report), *report.notes]


def drift_words(report: DriftReport) -> list[str]:
    """Return a report as lines: each quarter and release, alarms, reminders."""
    lines = [_drift_row(each) for each in report.rows] + [_alarm(each) for each in report.alarms]
    if not report.compared:
        lines.append("Drift cannot be told yet: it takes two quarters, or two releases, with enough people each.")
    elif not report.alarms:
        lines.append("No drift: the newest quarter and release are like what was before, as far as it can be told.")
    return lines + [_reminder(each) for each in report.reminders]


def _of_whom(report: CalibrationReport) -> Iterator[str]:
    strength = "" if report.strength is None else f" of strength {report.strength:g}"
    share = f" ({100 * report.converted / report.rows:.1f} %)" if report.rows else ""
    yield f"{report.rows:,} rows, {report.converted:,} of them paid{share}; {_MODELS[report.penalty]}{strength}."
    if report.left_out:
        yield f"Left out: {'; '.join(f'{each.count:,} {each.reason}' for each in report.left_out)}."
    enough = report.enough
    if not enough.is_enough:
        yield (
            f"Too few conversions: {enough.conversions:,}, and it takes {enough.needed:,}, so no points are proposed. "
            f"The rule: {enough.rule}."
        )


def _weights(report: CalibrationReport) -> Iterator[str]:
    if report.intercept is not None:
        yield f"  intercept: {_in_log_odds(report.intercept)}"
    yield from (f"  {each.name}: {_weight(each)}" for each in report.features)
    if report.points_per_unit is not None:
        how = (
            "so that they add up to as many as today and thresholds keep their meaning"
            if any(each.old_points for each in report.features)
            else "so that the largest is 10"
        )
        yield (
            f"Points are coefficients times {report.points_per_unit:.2f}, {how}, rounded; below zero is zero. They are "
            "a proposal: a person accepts them."
        )


def _weight(each: FeatureWeight) -> str:
    if each.coefficient is None:
        return f"{each.reason}" if each.verdict == "used" else f"{each.verdict}: {each.reason}"
    points = ""
    if each.points is not None:
        today = "" if each.old_points is None else f", today {_points(each.old_points)}"
        ends = f"{_points(each.points_low)} to {_points(each.points_high)}{today}"
        points = f"; {_points(each.points)} point{'' if each.points == 1000 else 's'} ({ends})"
    return f"{_in_log_odds(each.coefficient)}{points}"


def _performance(report: CalibrationReport) -> Iterator[str]:
    if report.apparent is not None:
        yield f"In the rows it was made of: {_measured(report.apparent)}."
    if report.tested is not None:
        yield (
            f"Made of the {report.trained_on:,} older sign-ups, tested on the {report.tested_on:,} newer ones: "
            f"{_measured(report.tested)}."
        )
        for each in report.tested.bins:
            yield f"  foretold {100 * each.predicted:.1f} %: {_share(each.observed)} of {each.observed.of:,} paid"
    if report.before is not None:
        yield f"Today's points: AUC {report.before:.4f} in the same rows."


def _measured(found: Performance) -> str:
    area = "none" if found.auc is None else f"{found.auc.value:.4f} ({found.auc.low:.4f} to {found.auc.high:.4f})"
    calibration = ""
    if found.intercept is not None and found.slope is not None:
        calibration = f", calibration intercept {found.intercept:.2f} (best 0) and slope {found.slope:.2f} (best 1)"
    return (
        f"AUC {area}, Brier score {found.brier:.4f} (of foretelling everybody the same: {found.brier_baseline:.4f}), "
        f"log loss {found.log_loss:.4f}{calibration}"
    )


def _drift_row(row: DriftRow) -> str:
    area = "none" if row.auc is None else f"{row.auc.value:.3f}"
    return (
        f"{row.cut.capitalize()} {row.name}: {_share(row.baseline)} of {row.baseline.of:,} paid; of "
        f"{row.precision.of:,} who had qualified {_share(row.precision)}; AUC of today's points {area}"
    )


def _alarm(alarm: Alarm) -> str:
    return (
        f"Alarm: in {alarm.cut} {alarm.name} {_METRICS[alarm.metric]} is {alarm.newer:.3f}; before it was "
        f"{alarm.older:.3f} (difference {alarm.difference:+.3f}, 95 % interval {alarm.low:+.3f} to {alarm.high:+.3f}, "
        f"q = {alarm.q_value:.2g}). Calibrate anew."
    )


def _reminder(reminder: Reminder) -> str:
    return f"{_REMINDERS[reminder.what]}: due {'since ' if reminder.is_due else ''}{to_iso(reminder.due_at)[:10]}."


def _in_log_odds(found: Coefficient) -> str:
    p_value = "" if found.p_value is None else f", p = {found.p_value:.2g}"
    return f"{found.value:.5f} ({found.low:.5f} to {found.high:.5f}{p_value})"


def _row(each: FeatureWeight) -> WeightRow:
    found = each.coefficient
    return WeightRow(
        name=each.name,
        verdict=each.verdict,
        coefficient=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        p_value=found.p_value if found else None,
        old_points=_whole(each.old_points),
        points=_whole(each.points),
        points_low=_whole(each.points_low),
        points_high=_whole(each.points_high),
        reason=each.reason,
    )


def _whole(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / 1000


def _points(thousandths: int | None) -> str:
    return f"{(thousandths or 0) / 1000:g}"


def _share(found: Rate) -> str:
    if found.share is None:
        return "nobody"
    return f"{100 * found.share:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"
