"""How many units an experiment needs, fixed before it begins."""

from __future__ import annotations

from math import ceil

import msgspec

from nudge_sdk.errors import SetupError

POWER = 0.8
ALPHA = 0.05
_LEAST_EFFECT = 1e-6


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
    _check(baseline, effect, share, power, alpha)
    if design_effect < 1:
        raise SetupError(f"a design effect of {design_effect:g} is below 1, which is the one of independent units")
    control, treated = (ceil(design_effect * each - 1e-9) for each in _needed(baseline, effect, share, power, alpha))
    return Plan(
        baseline=baseline,
        effect=effect,
        share=share,
        power=power,
        alpha=alpha,
        design_effect=design_effect,
        control=control,
        treated=treated,
    )


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

    Raises:
        SetupError: Numbers that no experiment can have.
    """
    from scipy.optimize import brentq

    most = 1 - baseline
    _check(baseline, most, share, power, alpha)

    def missing(effect: float) -> float:
        return sum(_needed(baseline, effect, share, power, alpha)) - units

    if missing(most) > 0:
        return None
    return float(brentq(missing, _LEAST_EFFECT, most, xtol=1e-9)) if missing(_LEAST_EFFECT) > 0 else _LEAST_EFFECT


def _needed(baseline: float, effect: float, share: float, power: float, alpha: float) -> tuple[float, float]:
    """Return the units of the control and of the treated, not yet rounded."""
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    ratio = (1 - share) / share
    control = float(
        samplesize_proportions_2indep_onetail(-effect, baseline + effect, power, ratio, alpha, alternative="two-sided")
    )
    return control, control * ratio


def _check(baseline: float, effect: float, share: float, power: float, alpha: float) -> None:
    if not 0 <= baseline <= 1:
        raise SetupError(f"a baseline of {baseline:g} is no share; write 10 % as 0.10")
    if not effect or not 0 <= baseline + effect <= 1:
        raise SetupError(
            f"an effect of {effect:g} on a baseline of {baseline:g} cannot be; write five points as 0.05, "
            "and let both together be a share"
        )
    if not 0 < share < 1:
        raise SetupError(f"a control with a share of {share:g} leaves one arm empty; write one in five as 0.2")
    if not 0 < alpha < power < 1:
        raise SetupError(f"a power of {power:g} with an alpha of {alpha:g} cannot be; common are 0.8 and 0.05")
