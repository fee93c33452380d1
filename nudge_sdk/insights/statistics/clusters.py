"""Comparing shares where units come in clusters, such as members in accounts."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from nudge_sdk.insights.statistics.intervals import CONFIDENCE


class ClusterCounts(NamedTuple):
    """Arrays of one number a cluster.

    Attributes:
        control_won, control_of: How many of its withheld units met the goal, and how many it has.
        treated_won, treated_of: The same of its offered units.
    """

    control_won: Any
    control_of: Any
    treated_won: Any
    treated_of: Any


class ClusteredDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of two shares, with an error that allows for units of one cluster being alike.

    Attributes:
        clusters: How many there are.
        difference: Share of the treated minus share of the control; None while an arm is empty.
        error: Its cluster-robust standard error; None while an arm is empty.
        low, high: Its interval, within -1 and 1.
        design_effect: How many times the variance is that of independent units; None where that is 0.
    """

    clusters: int
    difference: float | None
    error: float | None
    low: float
    high: float
    design_effect: float | None


def clustered_difference(counts: ClusterCounts, *, confidence: float = CONFIDENCE) -> ClusteredDifference:
    """Compare two shares with the cluster as the unit: a ratio of sums, its variance by the delta method.

    Args:
        counts: One number a cluster.
        confidence: Of the interval, two-sided.
    """
    raise NotImplementedError
