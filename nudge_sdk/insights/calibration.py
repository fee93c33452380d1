"""Calibration: what each milestone's points should be, from who paid.

A logistic regression of paying on what was known strictly before an observation instant. It proposes; a person accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from nudge_sdk.insights.calibration_reports import (
    CalibrationReport,
    Coefficient,
    Enough,
    FeatureWeight,
    LeftOut,
    Settings,
)
from nudge_sdk.insights.feature_checks import Verdict, check_features
from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.statistics.logistic import Fit, SeparatedError, fit
from nudge_sdk.insights.statistics.performance import auc, performance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nudge_sdk.rules.definition import Definition

__all__ = ["CalibrationReport", "FeatureWeight", "Settings", "calibrate", "with_points"]

PER_FEATURE = 10
RULE = (
    f"{PER_FEATURE} conversions a feature (Peduzzi and others, Journal of Clinical Epidemiology 49, 1996; a rule of "
    "thumb on weak evidence: van Smeden and others, BMC Medical Research Methodology 16:163, 2016)"
)
LARGEST = 10
"""Points of the largest coefficient where nothing has points yet."""

_THOUSAND = 1000
_DEFAULT = Settings()


def calibrate(
    observations: Observations, settings: Settings = _DEFAULT, old_points: Mapping[str, int] | None = None
) -> CalibrationReport:
    """Return what the points should be.

    The model is made of all rows. How good it is at foretelling is told by another one, made in the same way of the
    older sign-ups and tested on the newer ones.

    Args:
        observations: Who paid, and what was known of them before.
        settings: How to.
        old_points: Today's, in thousandths, by feature.
    """
    kept, left_out = _without_nudged(observations, settings)
    checks = check_features(kept)
    table = _Table.of(kept, [verdict == "used" for verdict, _ in checks.values()], settings)
    enough = _enough(table)
    model, why = _made(table, settings)
    tested = _tested(table, settings) if model else None
    report = CalibrationReport(
        penalty=settings.penalty,
        strength=model.strength if model else None,
        rows=len(kept.paid),
        converted=int(kept.paid.sum()),
        left_out=left_out,
        enough=enough,
        intercept=_coefficient(model, model.intercept, -1) if model else None,
        features=_features(checks, table, model, old_points or {}),
        points_per_unit=None,
        apparent=performance(table.paid, model.chances(table.values)) if model else None,
        tested=performance(*tested) if tested else None,
        trained_on=len(kept.paid) - len(tested[0]) if tested else 0,
        tested_on=len(tested[0]) if tested else 0,
        before=_before(kept, table, old_points or {}, is_tested=tested is not None),
        notes=(*why, *_notes(table, model, settings, has_lost=len(kept.paid) < len(observations.paid))),
    )
    return _with_proposal(report) if model and enough.is_enough else report


def with_points(definition: Definition, points: Mapping[str, int]) -> Definition:
    """Return a definition whose milestones have other points; compare it by ``movement``.

    Args:
        definition: Any.
        points: In thousandths, by key of the milestone; others stay as they are.
    """
    milestones = tuple(
        structs.replace(each, points=_number(points[each.key])) if each.key in points else each
        for each in definition.milestones
    )
    return structs.replace(definition, milestones=milestones)


def _number(thousandths: int) -> float:
    whole, rest = divmod(thousandths, _THOUSAND)
    return thousandths / _THOUSAND if rest else whole


@dataclass(frozen=True)
class _Table:
    """What the model is made of: the features that are used, and one for those nudged where they are adjusted for."""

    names: list[str]
    values: NDArray[Any]
    paid: NDArray[Any]
    clusters: NDArray[Any] | None
    is_test: NDArray[Any] | None

    @classmethod
    def of(cls, kept: Observations, is_used: list[bool], settings: Settings) -> _Table:
        import numpy as np

        names = [name for name, used in zip(kept.names, is_used, strict=True) if used]
        values = kept.values[:, np.array(is_used, bool)].astype(float)
        if kept.nudged is not None and 0 < kept.nudged.sum() < len(kept.nudged):
            values = np.column_stack([values, kept.nudged.astype(float)])
        return cls(names, values, kept.paid.astype(bool), kept.clusters, _newest(kept, settings.test_share))

    def part(self, is_in: NDArray[Any]) -> _Table:
        """Return some of the rows."""
        clusters = None if self.clusters is None else self.clusters[is_in]
        return replace(self, values=self.values[is_in], paid=self.paid[is_in], clusters=clusters, is_test=None)


def _without_nudged(observations: Observations, settings: Settings) -> tuple[Observations, tuple[LeftOut, ...]]:
    left_out = [LeftOut(reason=reason, count=count) for reason, count in observations.left_out]
    if observations.nudged is None or settings.nudged == "adjust":
        return observations, tuple(left_out)
    nudged = observations.nudged.astype(bool)
    if nudged.any():
        left_out.append(LeftOut(reason="were offered a nudge before it was known", count=int(nudged.sum())))
    return observations.only(~nudged), tuple(left_out)


def _newest(kept: Observations, share: float) -> NDArray[Any] | None:
    """Return which rows are the newest sign-ups; None without times, or where all are of one time."""
    import numpy as np

    if kept.is_test is not None:
        is_test = np.asarray(kept.is_test, bool)
    elif kept.signed_up_at is None or not len(kept.paid) or share <= 0:
        return None
    else:
        is_test = kept.signed_up_at >= np.quantile(kept.signed_up_at, 1 - share, method="higher")
    return is_test if 0 < is_test.sum() < len(is_test) else None


def _enough(table: _Table) -> Enough:
    fewer = int(min(table.paid.sum(), (~table.paid).sum()))
    return Enough(conversions=fewer, needed=PER_FEATURE * max(1, table.values.shape[1]), rule=RULE)


def _made(table: _Table, settings: Settings) -> tuple[Fit | None, tuple[str, ...]]:
    """Return the model; if there is none, why."""
    if not table.names:
        return None, ("No feature can be used, so there is no model.",)
    if table.paid.all() or not table.paid.any():
        return None, (f"{'Everybody' if table.paid.any() else 'Nobody'} paid, so there is nothing to tell apart.",)
    try:
        return fit(table.values, table.paid, settings.penalty, settings.strength, table.clusters), ()
    except SeparatedError as error:
        if settings.penalty == "firth":
            return None, (f"There is no model, since {error}. Leave one of them out, or choose ridge.",)
        return None, (f"Without a penalty there is no model, since {error}. Choose ridge or firth.",)


def _tested(table: _Table, settings: Settings) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return who of the newer sign-ups paid, and what a model of the older ones foretold."""
    if table.is_test is None:
        return None
    older, newer = table.part(~table.is_test), table.part(table.is_test)
    differs = older.values.std(axis=0) > 0
    older = replace(older, values=older.values[:, differs])
    model, _ = _made(older, settings) if differs.any() else (None, ())
    return (newer.paid, model.chances(newer.values[:, differs])) if model else None


def _coefficient(model: Fit, value: float, place: int) -> Coefficient:
    p_value = float(model.p_values[place])
    return Coefficient(
        value=float(value),
        low=float(model.low[place]),
        high=float(model.high[place]),
        p_value=None if p_value != p_value else p_value,
    )


def _features(
    checks: Mapping[str, tuple[Verdict, str]], table: _Table, model: Fit | None, old_points: Mapping[str, int]
) -> tuple[FeatureWeight, ...]:
    places = {name: place for place, name in enumerate(table.names)}
    return tuple(
        FeatureWeight(
            name=name,
            verdict=verdict,
            reason=reason,
            coefficient=(
                _coefficient(model, model.coefficients[places[name]], places[name])
                if model and name in places
                else None
            ),
            old_points=old_points.get(name),
        )
        for name, (verdict, reason) in checks.items()
    )


def _with_proposal(report: CalibrationReport) -> CalibrationReport:
    """Return a report with points: coefficients times a scale, rounded to whole ones, those below zero taken as zero.

    The scale lets the points of all used features add up to as many as today's, so that thresholds keep their meaning;
    without points of today it gives the largest coefficient ``LARGEST``.
    """
    used = [(each, each.coefficient) for each in report.features if each.coefficient is not None]
    positive = [coefficient.value for _, coefficient in used if coefficient.value > 0]
    if not positive:
        notes = (*report.notes, "Nothing goes with paying more often, so no points are proposed.")
        return structs.replace(report, notes=notes)
    today = sum(each.old_points or 0 for each, _ in used) / _THOUSAND
    scale = today / sum(positive) if today > 0 else LARGEST / max(positive)
    features = tuple(_proposed(each, scale) for each in report.features)
    return structs.replace(report, features=features, points_per_unit=scale)


def _proposed(weight: FeatureWeight, scale: float) -> FeatureWeight:
    coefficient = weight.coefficient
    if coefficient is None:
        return weight
    ends = (max(0, round(scale * each)) * _THOUSAND for each in (coefficient.value, coefficient.low, coefficient.high))
    points, low, high = ends
    return structs.replace(weight, points=points, points_low=low, points_high=high)


def _before(kept: Observations, table: _Table, old_points: Mapping[str, int], *, is_tested: bool) -> float | None:
    """Return the AUC of today's points."""
    if not old_points:
        return None
    scores = kept.scores(old_points)
    rows = table.is_test if is_tested and table.is_test is not None else slice(None)
    found = auc(table.paid[rows], scores[rows])
    return found.value if found else None


def _notes(table: _Table, model: Fit | None, settings: Settings, *, has_lost: bool) -> tuple[str, ...]:
    notes = []
    if model and table.is_test is None:
        notes.append("It is not tested on newer sign-ups, so how well it does is too good to be true.")
    if model and len(model.coefficients) > len(table.names):
        value, low, high = model.coefficients[-1], model.low[-2], model.high[-2]
        notes.append(
            f"Those who were offered a nudge are told apart, and get no points for it: {value:.2f} in log odds "
            f"({low:.2f} to {high:.2f}). That is association, not what nudges do."
        )
    if has_lost:
        notes.append("Leaving out those nudged leaves out more of those who qualified: the others are not like them.")
    if model and settings.penalty == "ridge":
        notes.append("Intervals of ridge hold if coefficients are as small as its penalty supposes.")
    return tuple(notes)
