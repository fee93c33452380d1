"""Features: what milestones each member of a store had reached before an observation, and whether they paid after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nudge_sdk.insights.observations import Observations
    from nudge_sdk.rules.compiled import Rules
    from nudge_sdk.store.protocol import Store


def calibration_features(
    store: Store, tables: object, rules: Rules, *, now: int, at_days: int = 14, within_days: int = 30
) -> Observations:
    """Return which milestones each member had reached in their first days, and whether they paid after those.

    Args:
        store: Read for what was counted of everybody.
        tables: Journeys, see ``insights.tables``.
        rules: The definition whose milestones are the features.
        now: Members whose time to pay is not over by then are left out.
        at_days: How many UTC days are observed, that of the sign-up included.
        within_days: How soon after those they must have paid.
    """
    raise NotImplementedError
