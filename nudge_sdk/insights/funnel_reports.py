"""What a funnel holds: how many came how far, in order, and who came otherwise."""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate

Unit = Literal["member", "account", "session"]

WINDOW_DAYS = 30.0
"""How long after sign-up a step counts, unless said otherwise."""


MOST_GROUPS = 30
"""How many groups a report shows: the largest ones; of cohort weeks the latest."""


class FunnelStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step.

    Attributes:
        key: signed_up, activated, qualified, hot or won; of a funnel of events, the event.
        name: For people.
        count: How many came through this step and all before it, each at or after the one before.
        of_first: Their share of those at the first step.
        of_previous: Their share of those at the step before; of the first step, of itself.
    """

    key: str
    name: str
    count: int
    of_first: Rate
    of_previous: Rate


class OutsideOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Units that took the last step within the window, but not through all before it.

    Attributes:
        missing: Key of the first step that they had not taken, in order, when they took the last.
        name: That step's name.
        count: How many.
    """

    missing: str
    name: str
    count: int


class FunnelGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The funnel of one group.

    Attributes:
        key: A segment's key, the Monday of a week (ISO date), a source, a trait's value; empty for those without one,
            and for the total.
        name: For people.
        steps: The steps, in order.
        outside: Those who took the last step outside the order; they are in no step after the one they missed.
        outside_count: How many those are, all together.
        waiting: Units whose window is not over. Of a cohort week they are in the steps all the same.
        is_observed: Whether the window of everybody counted here is over; always True without a window.
    """

    key: str
    name: str
    steps: tuple[FunnelStep, ...]
    outside: tuple[OutsideOrder, ...]
    outside_count: int
    waiting: int
    is_observed: bool


class FunnelReport(msgspec.Struct, frozen=True, kw_only=True):
    """A funnel.

    Attributes:
        unit: What is counted: members, accounts or sessions.
        by: What it is divided by: ``segment``, ``cohort``, ``source``, ``trait:<name>``, or empty.
        at: As of when, in microseconds; later instants are not looked at.
        within_days: The window, from the first step on, in days; None for none.
        total: Everybody whose window is over.
        groups: By group, the largest first; cohort weeks by time.
        other_groups: How many smaller groups are left out of ``groups``.
        unknown: Units without a known sign-up; they are in no step.
        notes: What has to be known to read it: the unit, the order, the window, what activation is.
    """

    unit: Unit
    by: str
    at: int
    within_days: float | None
    total: FunnelGroup
    groups: tuple[FunnelGroup, ...] = ()
    other_groups: int = 0
    unknown: int = 0
    notes: tuple[str, ...] = ()


class FunnelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one group, as a line of a table."""

    group: str
    step: str
    count: int
    of_first: float | None
    of_first_low: float
    of_first_high: float
    of_previous: float | None
    of_previous_low: float
    of_previous_high: float
    outside_order: int
    waiting: int
    is_observed: bool
