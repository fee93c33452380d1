"""What a report of lift holds: the design, the counts, the intervals, the checks and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from nudge_sdk.insights.statistics.balance import ExposureCheck, RatioCheck
from nudge_sdk.insights.statistics.clusters import ClusteredDifference
from nudge_sdk.insights.statistics.comparisons import Difference
from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.statistics.power import Plan

WINDOW_DAYS = 30
"""How long after its first exposure a unit may meet the goal, unless said otherwise."""

MINIMUM_DAYS = 14
"""How many days units are taken in at least before the planned end."""

CONTROL, TREATED = "withheld", "offered"


class Verdict(StrEnum):
    """What an experiment came to."""

    NOT_YET = "not yet"
    GAIN = "gain"
    HARM = "harm"
    NO_DIFFERENCE = "no difference shown"
    INVALID = "invalid"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an experiment.

    Attributes:
        name: ``withheld`` or ``offered``; of a table the name that stands in it.
        share: The configured share of units, 0 to 1; None where none was said.
        units: All units first exposed in this arm.
        seen: Of the units whose window is over, how many met the goal within it.
        waiting: Units whose window is not over: not yet observed, and in no interval.
        waiting_won: How many of those have met the goal so far.
    """

    name: str
    share: float | None
    units: int
    seen: Rate
    waiting: int = 0
    waiting_won: int = 0


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The difference so far, with an interval that stays valid however often it is looked at.

    Attributes:
        units: Units observed so far, both arms.
        clusters: Accounts they are members of, where the interval allows for members of one being alike; else None.
        difference: Share of the treated minus share of the control, or None while an arm is empty.
        low, high: The always-valid interval, within -1 and 1.
        shows: ``gain`` or ``harm`` where it lies wholly on one side of 0, of an experiment that is valid. It is no
            verdict.
    """

    units: int
    clusters: int | None
    difference: float | None
    low: float
    high: float
    shows: Literal["gain", "harm", ""]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an experiment is.

    Attributes:
        planned: Units in both arms at which it ends; None where no size was fixed beforehand.
        observed: Units whose window is over.
        days: Whole days since the first unit came in; None where times are not known.
        minimum_days: Least days in which units are taken in.
        ends_at: When the last planned unit came in (or the last needed day ended), in microseconds; None before.
        is_over: Whether all that were planned have been observed.
    """

    planned: int | None
    observed: int
    days: int | None
    minimum_days: int
    ends_at: int | None
    is_over: bool


class LiftReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment shows.

    Attributes:
        kind: The overall holdout, one nudge, or an experiment given as a table.
        key: Key of the nudge; of the overall holdout the goal's; of a table the treated arm's name.
        name: For people.
        goal: Key of the goal, or the outcome column.
        unit: What is counted: accounts where the account is the buyer, else members; rows of a table.
        confidence: Of the intervals: 0.95, and more where several arms are compared with one control.
        window_days: How long after its first exposure a unit may meet the goal; None of a table.
        is_randomised: Whether chance decided who is withheld. If not, the report is association, has no verdict, and is
            never called lift.
        holdout: Which holdout withheld: the overall one, or the nudge's own; empty where none did.
        ended_with: Number of the last definition that withheld so; None while it is in force.
        control, treated: The arms.
        plan: The size fixed beforehand; None where none was.
        progress: How far it is.
        live: The difference so far, always valid.
        final: At the planned end: the difference among the planned units with the fixed interval; None before, and
            where it is invalid. Units that come later change nothing in it.
        final_clustered: The same with errors that allow for members of one account being alike, where units are members
            of shared accounts; the verdict then rests on it.
        ratio: Whether as many units are in each arm as was configured.
        exposures: Whether units were seen in both arms.
        left_out: Units left out because they had met another nudge, or another holdout, before.
        verdict: None of an association.
        reason: Why that verdict, in words.
    """

    kind: Literal["overall", "nudge", "table"]
    key: str
    name: str
    goal: str
    unit: Literal["account", "member", "row"]
    confidence: float
    window_days: int | None
    is_randomised: bool
    holdout: Literal["overall", "own", ""]
    ended_with: int | None
    control: Arm
    treated: Arm
    plan: Plan | None
    progress: Progress
    live: Live
    final: Difference | None
    final_clustered: ClusteredDifference | None
    ratio: RatioCheck
    exposures: ExposureCheck
    left_out: int
    verdict: Verdict | None
    reason: str


class LiftRow(msgspec.Struct, frozen=True, kw_only=True):
    """A report as one row of a table; shares and differences are 0 to 1, what is not known is empty."""

    kind: str
    key: str
    name: str
    goal: str
    unit: str
    verdict: str
    control: str
    control_won: int
    control_of: int
    control_share: float | None
    treated: str
    treated_won: int
    treated_of: int
    treated_share: float | None
    waiting: int
    planned: int | None
    difference_so_far: float | None
    always_valid_low: float
    always_valid_high: float
    difference: float | None
    low: float | None
    high: float | None
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    p_value: float | None
    ratio_p_value: float | None
    in_both_arms: int
    left_out: int
    reason: str


def row_of(report: LiftReport) -> LiftRow:
    """Return a report as one row; the interval at the planned end is the one the verdict rests on."""
    control, treated, final = report.control, report.treated, report.final
    ends = report.final_clustered or final
    return LiftRow(
        kind=report.kind,
        key=report.key,
        name=report.name,
        goal=report.goal,
        unit=report.unit,
        verdict=report.verdict.value if report.verdict else "association",
        control=control.name,
        control_won=control.seen.count,
        control_of=control.seen.of,
        control_share=control.seen.share,
        treated=treated.name,
        treated_won=treated.seen.count,
        treated_of=treated.seen.of,
        treated_share=treated.seen.share,
        waiting=control.waiting + treated.waiting,
        planned=report.progress.planned,
        difference_so_far=report.live.difference,
        always_valid_low=report.live.low,
        always_valid_high=report.live.high,
        difference=final.difference if final else None,
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        lift=final.lift if final else None,
        lift_low=final.lift_low if final else None,
        lift_high=final.lift_high if final else None,
        p_value=final.p_value if final else None,
        ratio_p_value=report.ratio.p_value if report.ratio.is_checked else None,
        in_both_arms=report.exposures.several,
        left_out=report.left_out,
        reason=report.reason,
    )
