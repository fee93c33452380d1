"""Whether an experiment split its units as it was told to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MISMATCH_BELOW = 0.001
"""A sample ratio is called mismatched below this p-value: a lower bar would cry wolf every few weeks."""

FLOOR = 0.05
"""And only where an arm is off by this share of what was expected: at great size, chance finds what does not matter."""

FEWEST_EXPECTED = 8
"""Least units expected in every arm for the check to mean anything."""

MOST_SHARED = 0.01
"""Most units that may be seen in several arms, as a share of all."""

FEWEST_SHARED = 10
"""Least such units for the check to mean anything."""


class ArmCount(msgspec.Struct, frozen=True, kw_only=True):
    """One arm: its configured share (0 to 1), how many units that makes, and how many there are."""

    name: str
    share: float
    expected: float
    units: int


class RatioCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The sample ratio against the configured one.

    Attributes:
        arms: Each arm; empty where no ratio was configured.
        is_checked: Whether there was a ratio, and enough units, to check.
        statistic: Chi-square.
        freedom: Degrees of freedom: arms with a share, less 1.
        p_value: How often chance alone strays so far.
        deviation: The largest, as a share of what was expected.
        leaked: Arms with a share of 0 that have units.
        is_mismatched: Whether the ratio is not what was configured; nothing may be concluded then.
    """

    arms: tuple[ArmCount, ...] = ()
    is_checked: bool = False
    statistic: float = 0.0
    freedom: int = 0
    p_value: float = 1.0
    deviation: float = 0.0
    leaked: tuple[str, ...] = ()
    is_mismatched: bool = False


class ExposureCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Units that were seen in several arms.

    Attributes:
        units: How many units there are.
        several: How many of them were seen in more than one arm.
        share: The one by the other; 0 of nobody.
        is_exceeded: Whether they are too many to conclude anything.
    """

    units: int
    several: int
    share: float
    is_exceeded: bool


def check_ratio(units: Mapping[str, int], shares: Mapping[str, float] | None) -> RatioCheck:
    """Compare how many units are in each arm with the configured ratio.

    Args:
        units: How many are in each arm.
        shares: The configured ratio, in any proportion; None where none was.
    """
    raise NotImplementedError


def check_exposures(several: int, units: int) -> ExposureCheck:
    """Judge how many units were seen in several arms."""
    share = several / units if units else 0.0
    return ExposureCheck(
        units=units, several=several, share=share, is_exceeded=several >= FEWEST_SHARED and share > MOST_SHARED
    )
