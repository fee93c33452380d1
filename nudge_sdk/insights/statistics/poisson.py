"""Numbers of things that happen one by one, such as customers won in a quarter, and how sure their rates are."""

from __future__ import annotations

import msgspec

from nudge_sdk.insights.statistics.intervals import CONFIDENCE


class RateRatio(msgspec.Struct, frozen=True, kw_only=True):
    """How many times one rate is another, with its exact interval."""

    ratio: float
    low: float
    high: float


def rate_ratio(count: int, over: float, base: int, base_over: float) -> RateRatio | None:
    """Return how many times the rate ``count / over`` is the rate ``base / base_over``.

    Of both numbers together, the one is binomial, which gives an exact interval: J. Przyborowski and H. Wilenski,
    Biometrika 31 (1940); Clopper and Pearson's by statsmodels.

    Args:
        count: How many there were.
        over: Over how much of time (or money).
        base: How many there were of what it is compared with.
        base_over: Over how much of the same.

    Returns:
        None where there is nothing to compare with.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not base or over <= 0 or base_over <= 0:
        return None
    low, high = (float(end) for end in proportion_confint(count, count + base, alpha=1 - CONFIDENCE, method="beta"))
    scale = base_over / over
    return RateRatio(ratio=count / base * scale, low=low / (1 - low) * scale, high=high / (1 - high) * scale)


def count_interval(count: int) -> tuple[float, float]:
    """Return the exact interval of the mean of which a number is one draw: F. Garwood, Biometrika 28 (1936)."""
    from statsmodels.stats.rates import confint_poisson

    low, high = confint_poisson(count, 1, method="exact-c", alpha=1 - CONFIDENCE)
    return float(low), float(high)
