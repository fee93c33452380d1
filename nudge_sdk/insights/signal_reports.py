"""What a report of signals holds."""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.insights.statistics.association import Association
from nudge_sdk.insights.statistics.intervals import Rate

Verdict = Literal["predicts", "unclear", "step", "leaky", "no information"]
"""What an event is worth.

``predicts``: those who did it pay more often, beyond chance. ``unclear``: no such difference is proved. ``step``: it
predicts, but nearly every buyer does it first, so it may be a part of buying; a person has to judge. ``leaky``: it is
known only with or after the purchase. ``no information``: nearly everybody did it, or nearly nobody.
"""

CountedFrom = Literal["sign-up", "observation"]
Unit = Literal["member", "account"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask: did it at least ``at_least`` times within the first ``days`` days since sign-up.

    Attributes:
        association: How doing so goes with paying.
        q_value: Benjamini-Hochberg over all cells that were tested, those of leaky events left out; 1 where so few
            members differ from the rest that it was not tested.
    """

    at_least: int
    days: int
    association: Association
    q_value: float


class EventSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says about paying.

    Attributes:
        name: Of the event.
        members: How many did it within the first days, before they paid or after.
        verdict, reason: What it is worth, and why, in words.
        best: The cell with the highest phi of those that were tested; None where none was.
        after_purchase: Of the buyers who did it within those days: whose first time was with the purchase (at most a
            minute before it) or after it.
        buyers: Of those who paid within those days: who had done it before, as often as the best cell says.
        cells: The whole grid, by days, then times.
    """

    name: str
    members: int
    verdict: Verdict
    reason: str
    best: Cell | None
    after_purchase: Rate
    buyers: Rate
    cells: tuple[Cell, ...]


class MilestoneSignal(msgspec.Struct, frozen=True, kw_only=True):
    """How reaching a milestone of the definition goes with paying.

    Attributes:
        key, name: Of the milestone.
        points: What it counts for now, in thousandths of a point.
        association: Reached within the first days, and paid within the days after.
        q_value: Benjamini-Hochberg over all milestones.
        advice: ``keep`` where it predicts; ``retire`` where there were people enough to see it, and it does not (R42);
            ``wait`` where there were too few.
        reason: Why, in words.
    """

    key: str
    name: str
    points: int
    association: Association
    q_value: float
    advice: Literal["keep", "retire", "wait"]
    reason: str


class SignalReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which early actions go with paying.

    Attributes:
        at: The instant it was made for, in microseconds.
        unit: Who is counted.
        within_days: What counts as paying: within that many days.
        counted_from: Days since the ``sign-up``, or since the ``observation`` ended (the first d days of each cell).
        members, converted: How many were asked, and how many of them paid in time.
        unfinished: How many were left out since their time to pay is not over.
        already_paid: How many were left out since they had paid, or their account had, before they signed up.
        events: The best first: those that predict, then steps, unclear ones, leaky ones, those without information.
        top: Names of the first three that predict (R75).
        more_names: How many names were not tried: fewer members did them than any that was.
        milestones: Of the definition, where they were asked for, the best first.
    """

    at: int
    unit: Unit
    within_days: int
    counted_from: CountedFrom
    members: int
    converted: int
    unfinished: int
    already_paid: int
    events: tuple[EventSignal, ...]
    top: tuple[str, ...]
    more_names: int = 0
    milestones: tuple[MilestoneSignal, ...] = ()
