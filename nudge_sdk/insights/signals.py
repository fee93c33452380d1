"""Signals: which early actions go with paying.

Each name of an event is tried as "did it at least k times within the first d days", for k of 1 to 10 and d of 1 to 15.
Only what happened strictly before the purchase counts, and only members are asked whose time to pay is over. What is
found is an association: it says who pays, not that making somebody do it would make them pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from nudge_sdk.insights.statistics.association import Association
from nudge_sdk.insights.statistics.intervals import Rate

if TYPE_CHECKING:
    from nudge_sdk.insights.observations import Observations

MOST_TIMES = 10
MOST_DAYS = 15
MOST_NAMES = 200
TOP = 3
"""How many early actions are named first."""

Verdict = Literal["predicts", "unclear", "no information", "leaky", "step"]
"""What an event is worth.

``predicts``: those who did it pay more often, beyond chance. ``unclear``: no such difference is proved. ``no
information``: nearly everybody did it, or nearly nobody. ``leaky``: it is known only with or after the purchase.
``step``: nearly every buyer does it first, so it may be a part of buying; a person has to judge.
"""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask: did it at least ``at_least`` times within the first ``days`` days since sign-up.

    Attributes:
        association: How doing so goes with paying.
        q_value: Benjamini-Hochberg over all cells of all events that are neither leaky nor without information.
    """

    at_least: int
    days: int
    association: Association
    q_value: float


class EventSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says about paying.

    Attributes:
        name: Of the event.
        members: How many did it within the first ``MOST_DAYS`` days, before they paid if they did.
        verdict, reason: What it is worth, and why, in words.
        best: The cell with the highest phi; None where no cell has one.
        after_purchase: Of the buyers who did it within those days: those whose first time was with the purchase (a
            minute before it) or after it.
        buyers: Of the buyers: those who did it before they paid, within those days.
        cells: The whole grid, by days, then times; those in which nobody did it or everybody are in it too.
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
        advice: ``keep`` where it predicts, ``retire`` where there were enough people to see it and it does not (R42),
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
        unit: Who is counted: members, or whole accounts.
        within_days: What counts as paying: within that many days.
        counted_from: Days since the ``sign-up``, or since the ``observation`` ended (the first d days of each cell).
        members, converted: How many were asked, and how many of them paid in time.
        unfinished: How many were left out since their time to pay is not over.
        events: The best first; those that predict, then unclear ones, then steps, leaky ones, those without
            information.
        top: Names of the first ``TOP`` that predict.
        more_names: How many names were not tried, as they are rarer than the ``MOST_NAMES`` most frequent ones.
        milestones: Of the definition, where it was asked for.
    """

    at: int
    unit: Literal["member", "account"]
    within_days: int
    counted_from: Literal["sign-up", "observation"]
    members: int
    converted: int
    unfinished: int
    events: tuple[EventSignal, ...]
    top: tuple[str, ...]
    more_names: int = 0
    milestones: tuple[MilestoneSignal, ...] = ()


def signals(
    tables: object,
    *,
    now: int,
    within_days: int = 30,
    counted_from: Literal["sign-up", "observation"] = "sign-up",
    unit: Literal["member", "account"] = "member",
    observations: Observations | None = None,
) -> SignalReport:
    """Return which early actions go with paying.

    Args:
        tables: Journeys and events, see ``insights.tables``.
        now: Members whose time to pay is not over by then are left out.
        within_days: How soon somebody must have paid.
        counted_from: From when those days count. From the end of the observation, those who paid before it are left
            out of the cell.
        unit: Whom to count; accounts where the buyer is the account and it has several members.
        observations: Of milestones, see ``insights.features``; adds what they are worth.
    """
    raise NotImplementedError


def signal_words(report: SignalReport) -> list[str]:
    """Return a report as lines for people."""
    raise NotImplementedError
