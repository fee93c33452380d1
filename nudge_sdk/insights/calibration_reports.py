"""What a report of calibration holds, and how to make one."""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.insights.feature_checks import Verdict
from nudge_sdk.insights.statistics.logistic import Penalty
from nudge_sdk.insights.statistics.performance import Performance

Nudged = Literal["exclude", "adjust"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to calibrate.

    Attributes:
        penalty: ``none`` (maximum likelihood), ``ridge``, or ``firth``.
        strength: Of the ridge penalty on standardised features (lambda, as in -log likelihood + lambda/2 · |b|²);
            chosen by cross-validation if not said.
        nudged: Whether those who were offered a nudge before their outcome was known are left out (``exclude``), or
            told apart by a feature of its own, which gets no points (``adjust``).
        test_share: The share of newest sign-ups the model is tested on; 0 for no test.
    """

    penalty: Penalty = "firth"
    strength: float | None = None
    nudged: Nudged = "exclude"
    test_share: float = 0.25


class Coefficient(msgspec.Struct, frozen=True, kw_only=True):
    """A coefficient in log odds, with its interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float | None


class FeatureWeight(msgspec.Struct, frozen=True, kw_only=True):
    """A feature, what it was found to be worth, and its points.

    Attributes:
        name: Of the feature; the key of the milestone.
        verdict, reason: Whether it is in the model, and why not, in words; see ``feature_checks``.
        coefficient: Per unit of the feature; None where it is not used.
        old_points: In thousandths of a point; None where it has none.
        points, points_low, points_high: What is proposed, and what the ends of the interval come to, in thousandths,
            whole points; None where nothing is proposed.
    """

    name: str
    verdict: Verdict
    reason: str
    coefficient: Coefficient | None = None
    old_points: int | None = None
    points: int | None = None
    points_low: int | None = None
    points_high: int | None = None


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were left out, and why."""

    reason: str
    count: int


class Enough(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there are conversions enough.

    Attributes:
        conversions: How many there are (of payers and others, the fewer).
        needed: How many it takes.
        rule: Which rule says so, and its source.
    """

    conversions: int
    needed: int
    rule: str

    @property
    def is_enough(self) -> bool:
        """Whether there are."""
        return self.conversions >= self.needed


class CalibrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the points should be.

    Attributes:
        penalty, strength: Of the model; strength of ridge only.
        rows, converted: Of whom it was made.
        left_out: How many were not used, by reason.
        enough: Whether there are conversions enough; if not, no points are proposed.
        intercept: None where no model could be made; ``notes`` say why.
        features: In the order given.
        points_per_unit: Points (not thousandths) that one unit of log odds is worth; None where nothing is proposed.
            With today's points, such that the points of what is used add up to as many as today, so that thresholds
            keep their meaning; without, such that the largest is 10.
        apparent: How well the model fits the rows it was made from: too good to be true.
        tested: How well a model of the older sign-ups does on the newer ones; None without a time.
        trained_on, tested_on: How many rows those were.
        before: The AUC of today's points, in the same rows as ``tested``, else as ``apparent``; None without any.
        notes: What else a reader must know.
    """

    penalty: Penalty
    strength: float | None
    rows: int
    converted: int
    left_out: tuple[LeftOut, ...]
    enough: Enough
    intercept: Coefficient | None
    features: tuple[FeatureWeight, ...]
    points_per_unit: float | None
    apparent: Performance | None
    tested: Performance | None
    trained_on: int = 0
    tested_on: int = 0
    before: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> dict[str, int]:
        """The proposed points, by feature, in thousandths; empty where nothing is proposed."""
        return {each.name: each.points for each in self.features if each.points is not None}
