"""Comparing two shares: their difference, their ratio, and whether chance alone explains it."""

from __future__ import annotations

from typing import Any

import msgspec

from nudge_sdk.insights.statistics.intervals import CONFIDENCE, Rate, rate

Counts = tuple[Any, Any]
"""How many met the goal, of how many: two integers, or two arrays of integers."""

_FEWEST_EXPECTED = 5


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Two shares compared.

    Attributes:
        control, treated: The shares, each with its Wilson interval.
        difference: Share of the treated minus share of the control; None while one of them is of nobody.
        low, high: Its interval, within -1 and 1.
        lift: Relative lift, treated / control - 1; None where the control's share is 0 or unknown.
        lift_low, lift_high: Its interval; None where either share is 0 or unknown.
        p_value: Of the two-sided test that both shares are the same.
    """

    control: Rate
    treated: Rate
    difference: float | None
    low: float
    high: float
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    p_value: float


def compare(control: tuple[int, int], treated: tuple[int, int], *, confidence: float = CONFIDENCE) -> Difference:
    """Compare two shares.

    Args:
        control: How many met the goal, of how many withheld.
        treated: How many met it, of how many offered.
        confidence: Of the intervals, two-sided.

    Raises:
        ValueError: More met the goal than there are.
    """
    rates = rate(*control, confidence), rate(*treated, confidence)
    low, high = newcombe(control, treated, confidence=confidence)
    shares = [each.share for each in rates]
    lift, lift_low, lift_high = _relative(*rates)
    return Difference(
        control=rates[0],
        treated=rates[1],
        difference=None if shares[0] is None or shares[1] is None else shares[1] - shares[0],
        low=float(low),
        high=float(high),
        lift=lift,
        lift_low=lift_low,
        lift_high=lift_high,
        p_value=p_value(control, treated),
    )


def newcombe(control: Counts, treated: Counts, *, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Return both ends of the hybrid score interval of the difference treated - control.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10. Of nobody, a share may be anything.

    Args:
        control: Integers or arrays of them.
        treated: The same.
        confidence: Two-sided.
    """
    import numpy as np

    base, base_low, base_high = _wilson(control, confidence)
    share, share_low, share_high = _wilson(treated, confidence)
    low = share - base - np.hypot(share - share_low, base_high - base)
    high = share - base + np.hypot(share_high - share, base - base_low)
    is_known = (np.asarray(control[1]) > 0) & (np.asarray(treated[1]) > 0)
    return np.where(is_known, np.maximum(low, -1.0), -1.0), np.where(is_known, np.minimum(high, 1.0), 1.0)


def p_value(control: tuple[int, int], treated: tuple[int, int]) -> float:
    """Return the two-sided p-value of no difference: the score test, or Fisher's exact one where few are expected."""
    from scipy.stats import chi2_contingency, fisher_exact

    table = [[won, of - won] for won, of in (control, treated)]
    total = control[1] + treated[1]
    won = control[0] + treated[0]
    if not (control[1] and treated[1] and won and total - won):
        return 1.0
    fewest = min(control[1], treated[1]) * min(won, total - won) / total
    if fewest < _FEWEST_EXPECTED:
        return float(fisher_exact(table).pvalue)
    return float(chi2_contingency(table, correction=False).pvalue)


def _wilson(counts: Counts, confidence: float) -> tuple[Any, Any, Any]:
    """Return shares with their Wilson limits; 0 of 0 is taken as 0 within 0 and 1."""
    import numpy as np
    from statsmodels.stats.proportion import proportion_confint

    won, of = np.asarray(counts[0], dtype=float), np.asarray(counts[1], dtype=float)
    some = np.maximum(of, 1)
    low, high = proportion_confint(won, some, alpha=1 - confidence, method="wilson")
    low, high = np.where(won > 0, low, 0.0), np.where(won < some, high, 1.0)
    return won / some, low, np.where(of > 0, high, 1.0)


def _relative(control: Rate, treated: Rate) -> tuple[float | None, float | None, float | None]:
    """Return the relative lift with the interval that recovers its variance from the Wilson limits.

    Source: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008) 1693-1702, on the logarithms.
    """
    from math import exp, hypot, log

    if not control.share or treated.share is None:
        return None, None, None
    ratio = treated.share / control.share
    if not ratio:
        return -1.0, None, None
    down = hypot(log(treated.share / treated.low), log(control.high / control.share))
    up = hypot(log(treated.high / treated.share), log(control.share / control.low))
    return ratio - 1, ratio * exp(-down) - 1, ratio * exp(up) - 1
