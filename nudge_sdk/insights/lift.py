"""Lift: what nudges change, told by those from whom chance withheld them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nudge_sdk.insights.lift_reports import WINDOW_DAYS, LiftReport
from nudge_sdk.insights.statistics.power import Plan
from nudge_sdk.rules.definition import Definition


def lift_of_nudges(
    tables: Any,
    definition: Definition,
    now: int,
    *,
    earlier: Sequence[Definition] = (),
    window_days: int = WINDOW_DAYS,
    plan: Plan | None = None,
) -> tuple[LiftReport, ...]:
    """Return a report for the overall holdout, then one for each nudge, in the order of the definition.

    Args:
        tables: As ``opened_tables`` gives them.
        definition: The one in force.
        now: The instant, in microseconds; units whose window is not over by then are not yet observed.
        earlier: Those published before, oldest first: a unit first exposed under another holdout is left out.
        window_days: How long after its first exposure a unit may meet the goal.
        plan: The size fixed beforehand; its share is taken from the definition.
    """
    raise NotImplementedError
