"""Intervals that stay valid however often they are looked at."""

from __future__ import annotations

from math import log
from typing import Any

from nudge_sdk.insights.statistics.comparisons import Counts
from nudge_sdk.insights.statistics.power import ALPHA


def half_width(error: Any, units: Any, *, planned: int, alpha: float = ALPHA) -> Any:
    """Return half the width of an asymptotic confidence sequence.

    Source: I. Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences",
    arXiv 2103.06476, tuned to be tightest when ``planned`` units have come.

    Args:
        error: Standard error of the estimate; a number or an array.
        units: How many units the estimate is of, both arms together.
        planned: At how many units the experiment is to be decided; fixed for its life.
        alpha: How often the truth may ever lie outside.
    """
    import numpy as np

    rate = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned
    some = np.maximum(units, 1) * rate  # N r^2
    width = error * np.sqrt(2 * (some + 1) / some * np.log(np.sqrt(some + 1) / alpha))
    return np.where(np.asarray(units) > 0, width, np.inf)


def always_valid(control: Counts, treated: Counts, *, planned: int, alpha: float = ALPHA) -> tuple[Any, Any]:
    """Return both ends of the always-valid interval of the difference treated - control, within -1 and 1.

    Args:
        control: How many met the goal, of how many withheld; integers or arrays of them.
        treated: The same of the offered.
        planned: At how many units the experiment is to be decided; fixed for its life.
        alpha: How often the truth may ever lie outside.
    """
    import numpy as np

    (share, spread), (base, base_spread) = _mean(treated), _mean(control)
    width = half_width(np.sqrt(spread + base_spread), treated[1] + control[1], planned=planned, alpha=alpha)
    width = np.where((np.asarray(treated[1]) > 0) & (np.asarray(control[1]) > 0), width, np.inf)
    return np.maximum(share - base - width, -1.0), np.minimum(share - base + width, 1.0)


def _mean(counts: Counts) -> tuple[Any, Any]:
    """Return a share and the square of its standard error.

    The error is that of one more success and one more failure (A. Agresti and B. Caffo, The American Statistician 54
    (2000) 280-288), so that the first few units, all alike, do not pass for certainty; of many it is the usual one.
    """
    import numpy as np

    won, of = np.asarray(counts[0], dtype=float), np.asarray(counts[1], dtype=float)
    likely = (won + 1) / (of + 2)
    return won / np.maximum(of, 1), likely * (1 - likely) / (of + 2)
