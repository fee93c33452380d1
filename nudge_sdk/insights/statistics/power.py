"""How many units an experiment needs, fixed before it begins."""

from __future__ import annotations

from math import ceil
from typing import Any

import msgspec

POWER = 0.8
ALPHA = 0.05


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The size of an experiment.

    Attributes:
        baseline: The share expected without the nudge, 0 to 1.
        effect: The least difference worth finding, in shares: 0.05 is five points.
        share: The share of units in the control, 0 to 1.
        power: How surely an effect of that size is found.
        alpha: How often no effect at all is taken for one, two-sided.
        design_effect: How many times more units are needed because units of one cluster are alike; 1 for none.
        control, treated: Units that each arm needs.
    """

    baseline: float
    effect: float
    share: float
    power: float
    alpha: float
    design_effect: float
    control: int
    treated: int

    @property
    def units(self) -> int:
        """Units that both arms need."""
        return self.control + self.treated


def plan_experiment(
    baseline: float,
    effect: float,
    share: float = 0.5,
    *,
    power: float = POWER,
    alpha: float = ALPHA,
    design_effect: float = 1.0,
) -> Plan:
    """Return how many units an experiment needs.

    Two-sided test of two shares, the variance pooled under no effect and unpooled under the effect, as in statsmodels.

    Args:
        baseline: The share expected without the nudge, 0 to 1.
        effect: The least difference worth finding, in shares; may be negative.
        share: The share of units in the control, 0 to 1.
        power: How surely the effect is to be found.
        alpha: How often no effect may be taken for one.
        design_effect: 1 + (mean cluster size - 1) * correlation within clusters.

    Raises:
        SetupError: Numbers that no experiment can have.
    """
    raise NotImplementedError


def detectable_effect(
    baseline: float, units: int, share: float = 0.5, *, power: float = POWER, alpha: float = ALPHA
) -> float | None:
    """Return the least rise above the baseline that so many units find; None where not even a rise to 1 is found.

    Args:
        baseline: The share expected without the nudge, 0 to 1.
        units: In both arms.
        share: The share of units in the control, 0 to 1.
        power: How surely it is to be found.
        alpha: How often no effect may be taken for one.
    """
    raise NotImplementedError
