"""Time to something that has not happened to everybody yet: the Kaplan-Meier estimate."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any

import msgspec

from nudge_sdk.insights.statistics.intervals import CONFIDENCE


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The curve at one time.

    Attributes:
        time: In the unit of the durations.
        at_risk: How many were still being watched just before.
        events: To how many it happened then.
        share: Estimated share to whom it has happened by then.
        low, high: Its interval, pointwise.
    """

    time: float
    at_risk: int
    events: int
    share: float
    low: float
    high: float


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The share to whom something has happened, by time.

    Attributes:
        watched: How many were watched at all.
        happened: To how many it happened.
        points: At each time at which it happened to somebody.
        median: Time by which it has happened to half of them, or None where it has not.
        longest: The longest time that anybody was watched; the curve says nothing beyond it.
    """

    watched: int
    happened: int
    points: tuple[Point, ...]
    median: float | None
    longest: float


def kaplan_meier(
    durations: Sequence[float],
    has_happened: Sequence[bool],
    counts: Sequence[int] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Curve:
    """Return the Kaplan-Meier estimate with pointwise log-log intervals.

    Sources: E. L. Kaplan and P. Meier, Journal of the American Statistical Association 53 (1958), as in statsmodels;
    the interval: J. D. Kalbfleisch and R. L. Prentice, The Statistical Analysis of Failure Time Data (1980).

    Args:
        durations: How long each was watched, until it happened or watching ended.
        has_happened: Of each, whether it happened.
        counts: How many each line stands for; 1 if not said.
        confidence: Of the intervals, two-sided.

    Raises:
        ValueError: The arguments differ in length, or a duration or a count is negative.
    """
    import numpy as np
    from statsmodels.duration.survfunc import SurvfuncRight

    lines = np.ones(len(durations), dtype=int) if counts is None else np.asarray(counts, dtype=int)
    if not len(durations) == len(has_happened) == len(lines) or min([*durations, *lines], default=0) < 0:
        raise ValueError("durations and counts must be as many as the events, and none negative")
    # Weights would leave the library's standard errors without the factor of the estimate.
    times = np.repeat(np.asarray(durations, dtype=float), lines)
    happened = np.repeat(np.asarray(has_happened, dtype=int), lines)
    if not len(times):
        return Curve(watched=0, happened=0, points=(), median=None, longest=0.0)
    fitted = SurvfuncRight(times, happened)
    median = fitted.quantile(0.5)
    return Curve(
        watched=len(times),
        happened=int(happened.sum()),
        points=_points(fitted, confidence),
        median=None if np.isnan(median) else float(median),
        longest=float(times.max()),
    )


def _points(fitted: Any, confidence: float) -> tuple[Point, ...]:
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    columns = (fitted.surv_times, fitted.n_risk, fitted.n_events, fitted.surv_prob, fitted.surv_prob_se)
    found: list[Point] = []
    low = 0.0
    for time, at_risk, events, survival, error in zip(*(column.tolist() for column in columns), strict=True):
        high = 1.0
        if survival > 0:
            # On log(-log S); where nobody is left there is no error to go by, and the lower end stays as it was.
            width = z * error / (survival * abs(log(survival)))
            low, high = (1 - survival ** exp(sign * width) for sign in (-1, 1))
        at = {"time": time, "at_risk": int(at_risk), "events": int(events)}
        found.append(Point(**at, share=1 - survival, low=low, high=high))
    return tuple(found)
