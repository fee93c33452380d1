"""Sizes fixed beforehand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import power_proportions_2indep

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.statistics.power import detectable_effect, plan_experiment

TABLE = [
    (0.05, 0.07, 2213, 1432, 5725),
    (0.10, 0.13, 1774, 1138, 4549),
    (0.10, 0.15, 686, 445, 1779),
    (0.15, 0.20, 906, 580, 2320),
    (0.20, 0.30, 294, 189, 753),
]
"""Two-sided 5 %, power 80 %: from, to, units an arm at 50:50, control and treated at 20:80."""


@pytest.mark.parametrize(("baseline", "raised", "even", "control", "treated"), TABLE)
def test_the_table_of_sizes(baseline: float, raised: float, even: int, control: int, treated: int) -> None:
    half, fifth = (plan_experiment(baseline, raised - baseline, share) for share in (0.5, 0.2))
    assert (half.control, half.treated, half.units) == (even, even, 2 * even)
    assert (fifth.control, fifth.treated) == (control, treated)


@pytest.mark.parametrize(("baseline", "raised", "even", "control", "treated"), TABLE)
def test_what_so_many_units_find_is_what_they_were_planned_for(
    baseline: float, raised: float, even: int, control: int, treated: int
) -> None:
    assert detectable_effect(baseline, 2 * even) == pytest.approx(raised - baseline, abs=2e-4)
    assert detectable_effect(baseline, control + treated, 0.2) == pytest.approx(raised - baseline, abs=2e-4)


@settings(max_examples=50)
@given(
    baseline=st.floats(0.01, 0.6),
    effect=st.floats(0.02, 0.3),
    share=st.floats(0.05, 0.95),
    power=st.sampled_from([0.8, 0.9]),
)
def test_a_plan_has_the_power_it_promises(baseline: float, effect: float, share: float, power: float) -> None:
    plan = plan_experiment(baseline, effect, share, power=power)
    ratio = plan.control / plan.treated
    reached = power_proportions_2indep(effect, baseline, plan.treated, ratio, 0.05, return_results=False)
    assert reached >= power - 0.005
    assert plan.control / plan.units == pytest.approx(share, abs=1 / plan.units + 1e-9)


def test_a_fall_is_planned_for_like_a_rise() -> None:
    assert plan_experiment(0.15, -0.05).units == plan_experiment(0.10, 0.05).units


def test_units_that_are_alike_are_needed_more_often() -> None:
    assert plan_experiment(0.10, 0.05, design_effect=2).control == 1372


def test_few_units_find_nothing_at_all() -> None:
    assert detectable_effect(0.1, 3) is None
    assert detectable_effect(0.1, 0) is None


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ((10, 0.05, 0.5), "write 10 % as 0.10"),
        ((0.1, 5, 0.5), "write five points as 0.05"),
        ((0.1, 0, 0.5), "effect of 0"),
        ((0.1, 0.05, 1), "one arm empty"),
        ((0.1, 0.05, 20), "one in five as 0.2"),
    ],
)
def test_numbers_that_cannot_be_are_refused(said: tuple[float, float, float], what: str) -> None:
    with pytest.raises(SetupError, match=what):
        plan_experiment(*said)


def test_a_power_that_cannot_be_is_refused() -> None:
    with pytest.raises(SetupError, match=r"common are 0\.8 and 0\.05"):
        plan_experiment(0.1, 0.05, power=1)
    with pytest.raises(SetupError, match="below 1"):
        plan_experiment(0.1, 0.05, design_effect=0.5)
