"""Association of two things that each happened or did not: tables of two by two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate, rates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEWEST_EXPECTED = 5
"""With fewer in some cell of a table, chi-square is too rough."""


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """How doing something goes with converting.

    Attributes:
        precision: Of those who did it: who converted.
        recall: Of those who converted: who had done it.
        false_omission: Of those who did not do it: who converted all the same.
        fall_out: Of those who did not convert: who had done it all the same.
        phi: Correlation of the two, -1 to 1; None where everybody or nobody did one of them.
        p_value: Two-sided, of no association; 1 where phi has no value.
    """

    precision: Rate
    recall: Rate
    false_omission: Rate
    fall_out: Rate
    phi: float | None
    p_value: float


def associate(both: int, did: int, converted: int, of: int) -> Association:
    """Return the association of one table.

    Args:
        both: How many did it and converted.
        did: How many did it.
        converted: How many converted.
        of: How many there are.

    Raises:
        ValueError: The numbers are of no table.
    """
    return associations([both], [did], [converted], [of])[0]


def associations(both: ArrayLike, did: ArrayLike, converted: ArrayLike, of: ArrayLike) -> list[Association]:
    """Return the associations of many tables at once; see ``associate``."""
    import numpy as np

    given = (np.asarray(each, np.int64) for each in (both, did, converted, of))
    both, did, converted, of = np.broadcast_arrays(*given)
    correlations = phi(both, did, converted, of)
    columns = (
        rates(both, did),
        rates(both, converted),
        rates(converted - both, of - did),
        rates(did - both, of - converted),
        [None if np.isnan(each) else float(each) for each in correlations],
        p_values(both, did, converted, of).tolist(),
    )
    return [
        Association(precision=one, recall=two, false_omission=three, fall_out=four, phi=five, p_value=six)
        for one, two, three, four, five, six in zip(*columns, strict=True)
    ]


def phi(both: Any, did: Any, converted: Any, of: Any) -> Any:
    """Return the correlation of two things that each happened or did not; NaN where one of them did not differ.

    Source: Yule (1912); Pearson's correlation of two columns of zeros and ones.
    """
    import numpy as np

    both, did, converted, of = (np.asarray(each, float) for each in (both, did, converted, of))
    spread = np.sqrt(did * (of - did)) * np.sqrt(converted * (of - converted))
    return np.divide(both * of - did * converted, spread, out=np.full(spread.shape, np.nan), where=spread > 0)


def p_values(both: Any, did: Any, converted: Any, of: Any) -> Any:
    """Return two-sided p-values of no association, of many tables at once.

    Where every cell is expected to hold ``FEWEST_EXPECTED`` or more (Cochran, Biometrics 10, 1954), Pearson's
    chi-square. Else Fisher's exact test, as twice the smaller tail (Fay, Biostatistics 11, 2010: the central test).
    """
    import numpy as np
    from scipy.stats import chi2, hypergeom

    both, did, converted, of = np.broadcast_arrays(*(np.asarray(each, np.int64) for each in (both, did, converted, of)))
    found = np.ones(both.shape)
    least = np.minimum(did, of - did) * np.minimum(converted, of - converted)
    is_large = (least >= FEWEST_EXPECTED * of) & (of > 0)
    large, small = ([each[which] for each in (both, did, converted, of)] for which in (is_large, ~is_large & (of > 0)))
    found[is_large] = chi2.sf(large[3] * phi(*large) ** 2, 1)
    margins = (small[3], small[2], small[1])
    tail = np.minimum(hypergeom.cdf(small[0], *margins), hypergeom.sf(small[0] - 1, *margins))
    found[~is_large & (of > 0)] = np.clip(2 * tail, 0.0, 1.0)
    return found


def adjusted(p_values: ArrayLike) -> Any:
    """Return q-values: p-values corrected for how many there are.

    Source: Y. Benjamini and Y. Hochberg, Journal of the Royal Statistical Society B 57 (1995), by scipy. It holds for
    tests that depend on one another positively, as cells that contain each other do.
    """
    import numpy as np
    from scipy.stats import false_discovery_control

    values = np.asarray(p_values, float)
    return false_discovery_control(values) if values.size else values
