"""Rates with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

CONFIDENCE = 0.95
"""Confidence of every interval, unless said otherwise."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many of how many, with a Wilson interval.

    Attributes:
        count: How many.
        of: Of how many; 0 where nobody was asked.
        share: count / of, or None of nobody.
        low, high: The interval of the true share; 0 and 1 of nobody.
    """

    count: int
    of: int
    share: float | None
    low: float
    high: float


def rate(count: int, of: int, confidence: float = CONFIDENCE) -> Rate:
    """Return a rate with its Wilson score interval, which stays within 0 and 1 and works for few.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), as in statsmodels.

    Args:
        count: How many; at most ``of``.
        of: Of how many.
        confidence: Of the interval, two-sided.

    Raises:
        ValueError: There are more than there are.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if not of:
        return Rate(count=0, of=0, share=None, low=0.0, high=1.0)
    low, high = proportion_confint(count, of, alpha=1 - confidence, method="wilson")
    # Rounding may leave an end a hair off what it is exactly.
    return Rate(
        count=count,
        of=of,
        share=count / of,
        low=0.0 if not count else max(0.0, float(low)),
        high=1.0 if count == of else min(1.0, float(high)),
    )


def rates(counts: ArrayLike, of: ArrayLike, confidence: float = CONFIDENCE) -> list[Rate]:
    """Return many rates at once, each as ``rate`` returns it.

    Args:
        counts: How many, each at most its ``of``.
        of: Of how many; one number for all, or as many as there are counts.
        confidence: Of the intervals, two-sided.

    Raises:
        ValueError: There are more than there are.
    """
    import numpy as np
    from statsmodels.stats.proportion import proportion_confint

    counts, of = np.broadcast_arrays(np.asarray(counts, np.int64), np.asarray(of, np.int64))
    if ((counts < 0) | (counts > of)).any():
        raise ValueError("one of them is no share: there are more than there are")
    low, high = proportion_confint(counts, np.maximum(of, 1), alpha=1 - confidence, method="wilson")
    low = np.where(counts == 0, 0.0, np.maximum(low, 0.0)).tolist()
    high = np.where(counts == of, 1.0, np.minimum(high, 1.0)).tolist()
    each = zip(counts.tolist(), of.tolist(), low, high, strict=True)
    return [Rate(count=c, of=n, share=c / n if n else None, low=a, high=b) for c, n, a, b in each]
