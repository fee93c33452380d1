"""The plan of lift: how large a difference is worth finding, fixed before anybody looks, and kept in the store."""

from __future__ import annotations

import msgspec

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.experiments import USUAL_BASELINE, USUAL_EFFECT
from nudge_sdk.insights.statistics.power import Plan, plan_experiment
from nudge_sdk.store.journey_rows import put_rollup, read_rollup
from nudge_sdk.store.protocol import Store
from nudge_sdk.store.sql_store import SqlStore

NAME = "lift plan"
_WAIT = 10.0


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is worth finding.

    Attributes:
        baseline: The share expected to meet the goal without a nudge, 0 to 1.
        effect: The least difference worth finding, in shares: 0.05 is five points.
        at: When it was fixed, in microseconds; 0 where nobody did, and the usual one holds.
        by: Who fixed it.
    """

    baseline: float = USUAL_BASELINE
    effect: float = USUAL_EFFECT
    at: int = 0
    by: str = ""

    def plan(self, share: float = 0.5) -> Plan:
        """Return the size of an experiment with such a share in the control.

        Raises:
            SetupError: Numbers that no experiment can have.
        """
        return plan_experiment(self.baseline, self.effect, share)


def kept_plan(store: Store) -> KeptPlan:
    """Return the plan that was fixed, or the usual one."""
    if not isinstance(store, SqlStore):
        return KeptPlan()
    found = read_rollup(store, NAME)
    return msgspec.convert(found[1], KeptPlan) if found else KeptPlan()


def keep_plan(store: Store, plan: KeptPlan) -> None:
    """Fix a plan in place of the one before.

    Raises:
        SetupError: The store is no database.
    """
    if not isinstance(store, SqlStore):
        raise SetupError("a store in memory keeps no plan; use SQLite or PostgreSQL")
    with store.transaction(wait=_WAIT) as transaction:
        put_rollup(transaction, NAME, plan.at, msgspec.to_builtins(plan))
