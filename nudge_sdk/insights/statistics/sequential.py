"""Intervals that stay valid however often they are looked at."""

from __future__ import annotations

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
    raise NotImplementedError


def always_valid(control: Counts, treated: Counts, *, planned: int, alpha: float = ALPHA) -> tuple[Any, Any, Any]:
    """Return the difference treated - control with both ends of its always-valid interval.

    Args:
        control: Integers or arrays of them.
        treated: The same.
        planned: At how many units the experiment is to be decided; fixed for its life.
        alpha: How often the truth may ever lie outside.
    """
    raise NotImplementedError
