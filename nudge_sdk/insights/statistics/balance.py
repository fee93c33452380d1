"""Whether an experiment split its units as it was told to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MISMATCH_BELOW = 0.001
"""A sample ratio is called mismatched below this p-value."""

FLOOR = 0.01
"""A mismatch forbids a verdict where an arm is off by this share of what was expected, or more. An arm that lacks less
cannot be wrong by more than one point even if all whom it lacks met the goal."""

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
        is_mismatched: Whether the ratio is not what was configured.
        forbids_verdict: Whether that is enough to turn a result, so that nothing may be concluded.
    """

    arms: tuple[ArmCount, ...] = ()
    is_checked: bool = False
    statistic: float = 0.0
    freedom: int = 0
    p_value: float = 1.0
    deviation: float = 0.0
    leaked: tuple[str, ...] = ()
    is_mismatched: bool = False
    forbids_verdict: bool = False


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
        shares: The configured ratio, in any proportion, at least one above 0; None where none was.

    Returns:
        The check. Arms that nobody configured have a share of 0.
    """
    if shares is None:
        return RatioCheck()
    names = [*shares, *(name for name in units if name not in shares)]
    counts = {name: units.get(name, 0) for name in names}
    leaked = tuple(name for name in names if counts[name] and not shares.get(name, 0))
    drawn = {name: share for name, share in shares.items() if share > 0}
    total, whole = sum(counts[name] for name in drawn), sum(drawn.values())
    arms = tuple(
        ArmCount(
            name=name,
            share=shares.get(name, 0) / whole,
            expected=total * shares.get(name, 0) / whole,
            units=counts[name],
        )
        for name in names
    )
    return _judged(arms, leaked)


def _judged(arms: tuple[ArmCount, ...], leaked: tuple[str, ...]) -> RatioCheck:
    from scipy.stats import chisquare

    drawn = [each for each in arms if each.share]
    if len(drawn) < 2 or min(each.expected for each in drawn) < FEWEST_EXPECTED:
        return RatioCheck(arms=arms, leaked=leaked, is_mismatched=bool(leaked), forbids_verdict=bool(leaked))
    test = chisquare([each.units for each in drawn], [each.expected for each in drawn])
    deviation = max(abs(each.units - each.expected) / each.expected for each in drawn)
    p_value = float(test.pvalue)
    return RatioCheck(
        arms=arms,
        is_checked=True,
        statistic=float(test.statistic),
        freedom=len(drawn) - 1,
        p_value=p_value,
        deviation=deviation,
        leaked=leaked,
        is_mismatched=bool(leaked) or p_value < MISMATCH_BELOW,
        forbids_verdict=bool(leaked) or (p_value < MISMATCH_BELOW and deviation >= FLOOR),
    )


def check_exposures(several: int, units: int) -> ExposureCheck:
    """Judge how many units were seen in several arms."""
    share = several / units if units else 0.0
    return ExposureCheck(
        units=units, several=several, share=share, is_exceeded=several >= FEWEST_SHARED and share > MOST_SHARED
    )
