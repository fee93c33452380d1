"""Time to something that has not happened to everybody yet: the Kaplan-Meier estimate."""

from __future__ import annotations

from collections.abc import Sequence

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
        ValueError: The arguments differ in length, or a duration is negative.
    """
    raise NotImplementedError
