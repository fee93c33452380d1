"""Comparing shares where units come in clusters, such as members in accounts."""

from __future__ import annotations

from math import sqrt
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
    """Compare two shares with the cluster as the unit: ratios of sums, their variance by the delta method.

    Where all clusters of an arm are alike no variance is seen; Wilson's with each cluster as one unit stands in. The
    interval is Student's, with two fewer degrees of freedom than clusters.

    Args:
        counts: One number a cluster.
        confidence: Of the interval, two-sided.
    """
    import numpy as np

    control, treated = _Arm(counts.control_won, counts.control_of), _Arm(counts.treated_won, counts.treated_of)
    clusters = int(np.count_nonzero((control.of > 0) | (treated.of > 0)))
    if not (control.units and treated.units):
        return ClusteredDifference(
            clusters=clusters, difference=None, error=None, low=-1.0, high=1.0, design_effect=None
        )
    # A cluster with units in both arms pulls both shares the same way: what it adds to the one is taken off the other.
    variance = float(np.sum((treated.pull - control.pull) ** 2)) + treated.unseen + control.unseen
    independent = treated.independent + control.independent
    return _interval(clusters, treated.share - control.share, variance, independent, confidence)


def few_clusters_factor(clusters: int, confidence: float = CONFIDENCE) -> float:
    """Return how many times wider Student's interval is than the normal one, where errors come from so few clusters."""
    from scipy.stats import norm, t

    tail = (1 - confidence) / 2
    return float(t.isf(tail, max(clusters - 2, 1)) / norm.isf(tail))


def _interval(
    clusters: int, difference: float, variance: float, independent: float, confidence: float
) -> ClusteredDifference:
    from scipy.stats import norm

    error = sqrt(variance)
    half = few_clusters_factor(clusters, confidence) * float(norm.isf((1 - confidence) / 2)) * error
    return ClusteredDifference(
        clusters=clusters,
        difference=difference,
        error=error,
        low=max(difference - half, -1.0),
        high=min(difference + half, 1.0),
        design_effect=variance / independent if independent else None,
    )


class _Arm:
    """One arm: what each cluster pulls its share by, and the variance to allow for where the pulls show none."""

    def __init__(self, won: Any, of: Any) -> None:
        import numpy as np

        self.won, self.of = np.asarray(won, dtype=np.int64), np.asarray(of, dtype=np.int64)
        self.units = int(self.of.sum())
        self.clusters = int(np.count_nonzero(self.of))
        total = int(self.won.sum())
        self.share = total / self.units if self.units else 0.0
        self.independent = self.share * (1 - self.share) / max(self.units, 1)
        # In whole numbers, so that clusters that are all alike pull by nothing at all.
        pull = (self.won * self.units - total * self.of) / max(self.units, 1) ** 2
        self.pull = pull * sqrt(self.clusters / max(self.clusters - 1, 1))
        self.unseen = 0.0 if np.any(pull) else self._unseen()

    def _unseen(self) -> float:
        """Return the variance that Wilson's interval has where every cluster counts as one unit."""
        from scipy.stats import norm
        from statsmodels.stats.proportion import proportion_confint

        clusters = max(self.clusters, 1)
        low, high = proportion_confint(self.share * clusters, clusters, alpha=1 - CONFIDENCE, method="wilson")
        return float((high - low) / (2 * norm.isf((1 - CONFIDENCE) / 2))) ** 2
