"""Experiments: from one row a unit to what it shows. Knows nothing of stores or files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from nudge_sdk.insights.lift_reports import (
    CONTROL,
    MINIMUM_DAYS,
    TREATED,
    Arm,
    LiftReport,
    Live,
    Progress,
    Verdict,
)
from nudge_sdk.insights.lift_verdicts import verdict_of
from nudge_sdk.insights.statistics.balance import check_exposures, check_ratio
from nudge_sdk.insights.statistics.clusters import (
    ClusterCounts,
    ClusteredDifference,
    clustered_difference,
    few_clusters_factor,
)
from nudge_sdk.insights.statistics.comparisons import compare
from nudge_sdk.insights.statistics.intervals import CONFIDENCE, rate
from nudge_sdk.insights.statistics.power import Plan, plan_experiment
from nudge_sdk.insights.statistics.sequential import always_valid, half_width
from nudge_sdk.rules.times import DAY

USUAL_BASELINE, USUAL_EFFECT = 0.10, 0.05
"""Ten in a hundred pay without a nudge, and five points more are worth finding: unless somebody plans otherwise."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided before an experiment began.

    Attributes:
        kind, key, name, goal, unit, window_days, is_randomised, holdout, ended_with: As of the report.
        arms: Names of the control and of the treated arm.
        shares: The configured ratio by name of arm; None where none was said.
        plan: The size, worked out from a baseline and an effect.
        planned: The size of both arms, where only that was said.
        minimum_days: Least days in which units are taken in.
        confidence: Of the intervals.
    """

    kind: Literal["overall", "nudge", "table"]
    key: str
    name: str
    goal: str
    unit: Literal["account", "member", "row"]
    window_days: int | None = None
    is_randomised: bool = True
    holdout: Literal["overall", "own", ""] = ""
    ended_with: int | None = None
    arms: tuple[str, str] = (CONTROL, TREATED)
    shares: Mapping[str, float] | None = None
    plan: Plan | None = None
    planned: int | None = None
    minimum_days: int = MINIMUM_DAYS
    confidence: float = CONFIDENCE

    @property
    def size(self) -> int | None:
        """Units of both arms at which it is to be decided; None where nobody said."""
        return self.plan.units if self.plan else self.planned

    @property
    def tuned_for(self) -> int:
        """The size that the always-valid interval is tightest at: the planned one, or the usual one."""
        return self.size or plan_experiment(USUAL_BASELINE, USUAL_EFFECT).units

    def share(self, arm: str) -> float | None:
        """Return an arm's share of all that are drawn, 0 to 1."""
        if self.shares is None:
            return None
        return self.shares.get(arm, 0.0) / (sum(self.shares.values()) or 1.0)


class Units(NamedTuple):
    """Arrays of one entry a unit, and what was counted beside them.

    Attributes:
        is_treated: Whether it was first exposed in the treated arm.
        has_won: Whether it met the goal within its window, as far as is known.
        first_at: Instant of its first exposure, in microseconds; None where times are not known.
        cluster: Number of its cluster; None where units stand alone.
        drawn: How many were drawn into each arm, in the unit that was drawn.
        several: How many of ``exposed`` were seen in several arms.
        left_out: How many are not among the entries although they were exposed.
    """

    is_treated: Any
    has_won: Any
    first_at: Any | None
    cluster: Any | None
    drawn: Mapping[str, int]
    several: int
    exposed: int
    left_out: int = 0


def report_of(design: Design, units: Units, now: int) -> LiftReport:
    """Return what an experiment shows.

    Args:
        design: What was decided beforehand.
        units: In any order.
        now: The instant, in microseconds.
    """
    is_observed = _observed(design, units, now)
    progress, is_final = _progress(design, units, is_observed, now)
    is_clustered = _is_clustered(units)
    ratio = check_ratio(units.drawn, design.shares if design.is_randomised else None)
    exposures = check_exposures(units.several, units.exposed)
    final = compare(*_counts(units, is_final), confidence=design.confidence) if progress.is_over else None
    clustered = (
        clustered_difference(_clusters(units, is_final), confidence=design.confidence)
        if final is not None and is_clustered
        else None
    )
    report = LiftReport(
        kind=design.kind,
        key=design.key,
        name=design.name,
        goal=design.goal,
        unit=design.unit,
        confidence=design.confidence,
        window_days=design.window_days,
        is_randomised=design.is_randomised,
        holdout=design.holdout,
        ended_with=design.ended_with,
        control=_arm(design, units, is_observed, is_treated=False),
        treated=_arm(design, units, is_observed, is_treated=True),
        plan=design.plan if design.is_randomised else None,
        progress=progress,
        live=_live(design, units, is_observed, is_clustered=is_clustered),
        final=final,
        final_clustered=clustered,
        ratio=ratio,
        exposures=exposures,
        left_out=units.left_out,
        verdict=None,
        reason="",
    )
    verdict, reason = verdict_of(report)
    if verdict is Verdict.INVALID:
        live = msgspec.structs.replace(report.live, shows="")
        report = msgspec.structs.replace(report, live=live, final=None, final_clustered=None)
    return msgspec.structs.replace(report, verdict=verdict, reason=reason)


def _observed(design: Design, units: Units, now: int) -> Any:
    """Return of each unit whether its window is over."""
    import numpy as np

    if units.first_at is None or design.window_days is None:
        return np.ones(len(units.is_treated), dtype=bool)
    return units.first_at + design.window_days * DAY <= now


def _progress(design: Design, units: Units, is_observed: Any, now: int) -> tuple[Progress, Any]:
    """Return how far it is, and which units belong to the planned end.

    Those are the planned number of units that came first, and all of the first ``minimum_days``: a set that nothing
    that comes later can change, however often one looks.
    """
    import numpy as np

    size, observed = design.size, int(np.count_nonzero(is_observed))
    planned = size if design.is_randomised else None
    ends_at, days, is_over, is_final = None, None, False, np.zeros(len(is_observed), dtype=bool)
    if units.first_at is None:
        is_over = planned is not None and observed >= planned
        is_final = is_observed
    elif len(units.first_at):
        began = int(units.first_at.min())
        days = (now - began) // DAY
        if planned is not None and len(units.first_at) >= planned:
            last = int(np.partition(units.first_at, planned - 1)[planned - 1])
            ends_at = max(last, began + design.minimum_days * DAY)
            is_final = units.first_at <= ends_at
            is_over = ends_at + (design.window_days or 0) * DAY <= now
            if ends_at > now:
                ends_at = None
    return Progress(
        planned=planned,
        observed=observed,
        days=days,
        minimum_days=design.minimum_days if units.first_at is not None else 0,
        ends_at=ends_at,
        is_over=is_over,
    ), is_final


def _arm(design: Design, units: Units, is_observed: Any, *, is_treated: bool) -> Arm:
    import numpy as np

    name = design.arms[is_treated]
    mine = units.is_treated == is_treated
    seen, waiting = mine & is_observed, mine & ~is_observed
    return Arm(
        name=name,
        share=design.share(name),
        units=int(np.count_nonzero(mine)),
        seen=rate(*_won(units, seen), design.confidence),
        waiting=int(np.count_nonzero(waiting)),
        waiting_won=_won(units, waiting)[0],
    )


def _live(design: Design, units: Units, is_observed: Any, *, is_clustered: bool) -> Live:
    control, treated = _counts(units, is_observed)
    clustered = clustered_difference(_clusters(units, is_observed)) if is_clustered else None
    low, high = _always_valid(design, control, treated, clustered)
    is_known = bool(control[1] and treated[1])
    return Live(
        units=control[1] + treated[1],
        clusters=clustered.clusters if clustered else None,
        difference=treated[0] / treated[1] - control[0] / control[1] if is_known else None,
        low=low,
        high=high,
        shows="" if not design.is_randomised else "gain" if low > 0 else "harm" if high < 0 else "",
    )


def _always_valid(
    design: Design, control: tuple[int, int], treated: tuple[int, int], clustered: ClusteredDifference | None
) -> tuple[float, float]:
    alpha = 1 - design.confidence
    if clustered is None:
        low, high = always_valid(control, treated, planned=design.tuned_for, alpha=alpha)
        return float(low), float(high)
    if clustered.difference is None or clustered.error is None:
        return -1.0, 1.0
    error = clustered.error * few_clusters_factor(clustered.clusters, design.confidence)
    half = float(half_width(error, control[1] + treated[1], planned=design.tuned_for, alpha=alpha))
    return max(clustered.difference - half, -1.0), min(clustered.difference + half, 1.0)


def _counts(units: Units, chosen: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return _won(units, chosen & ~units.is_treated), _won(units, chosen & units.is_treated)


def _won(units: Units, chosen: Any) -> tuple[int, int]:
    import numpy as np

    return int(np.count_nonzero(chosen & units.has_won)), int(np.count_nonzero(chosen))


def _is_clustered(units: Units) -> bool:
    import numpy as np

    if units.cluster is None or not len(units.cluster):
        return False
    return bool(np.bincount(units.cluster).max() > 1)


def _clusters(units: Units, chosen: Any) -> ClusterCounts:
    import numpy as np

    assert units.cluster is not None
    length = int(units.cluster.max()) + 1

    def count(of: Any) -> Any:
        return np.bincount(units.cluster[of], minlength=length)  # type: ignore[index]

    control, treated = chosen & ~units.is_treated, chosen & units.is_treated
    return ClusterCounts(
        control_won=count(control & units.has_won),
        control_of=count(control),
        treated_won=count(treated & units.has_won),
        treated_of=count(treated),
    )
