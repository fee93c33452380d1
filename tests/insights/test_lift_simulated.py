"""A thousand experiments drawn by chance, with the seed fixed: how often nothing is taken for something, and the
reverse."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from nudge_sdk.insights.experiments import Design, Units, report_of
from nudge_sdk.insights.lift_reports import LiftReport, Verdict
from nudge_sdk.insights.statistics.comparisons import newcombe
from nudge_sdk.insights.statistics.power import Plan, plan_experiment
from nudge_sdk.insights.statistics.sequential import always_valid
from nudge_sdk.rules.times import DAY

SEED = 20_260_305
TESTS = 1000
MOST_ALARMS = 73
"""Five in a hundred are expected; more than this have a chance below one in a thousand."""

BASELINE, EFFECT, POWER = 0.10, 0.05, 0.8
PLAIN: dict[str, Any] = {"kind": "overall", "key": "paid", "name": "Paid", "goal": "paid"}
Counts = tuple[np.ndarray, np.ndarray]


def drawn(plan: Plan, share_of_treated: float, random: np.random.Generator) -> LiftReport:
    """One experiment, from its units to its verdict: they come in over 20 days, and 60 days later all is known."""
    is_treated = np.arange(plan.units) < plan.treated
    units = Units(
        is_treated=is_treated,
        has_won=random.random(plan.units) < np.where(is_treated, share_of_treated, BASELINE),
        first_at=random.integers(0, 20 * DAY, plan.units),
        cluster=None,
        drawn={"withheld": plan.control, "offered": plan.treated},
        several=0,
        exposed=plan.units,
    )
    shares = {"withheld": plan.share, "offered": 1 - plan.share}
    design = Design(**PLAIN, unit="account", window_days=30, shares=shares, plan=plan)
    return report_of(design, units, 80 * DAY)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_of_a_thousand_tests_of_nothing_few_raise_an_alarm_at_the_planned_end(share: float) -> None:
    plan = plan_experiment(BASELINE, EFFECT, share)
    random = np.random.default_rng(SEED)
    verdicts = [drawn(plan, BASELINE, random).verdict for _ in range(TESTS)]
    alarms = verdicts.count(Verdict.GAIN) + verdicts.count(Verdict.HARM)
    assert 20 <= alarms <= MOST_ALARMS
    assert verdicts.count(Verdict.NO_DIFFERENCE) == TESTS - alarms


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_planted_gain_of_five_points_is_found_at_the_promised_power(share: float) -> None:
    plan = plan_experiment(BASELINE, EFFECT, share, power=POWER)
    random = np.random.default_rng(SEED)
    verdicts = [drawn(plan, BASELINE + EFFECT, random).verdict for _ in range(TESTS)]
    error = sqrt(POWER * (1 - POWER) / TESTS)
    assert verdicts.count(Verdict.GAIN) / TESTS >= POWER - 3 * error
    assert verdicts.count(Verdict.HARM) == 0


def test_planted_harm_is_found_as_surely_and_called_harm() -> None:
    plan = plan_experiment(BASELINE, -EFFECT, power=POWER)
    random = np.random.default_rng(SEED)
    verdicts = [drawn(plan, BASELINE - EFFECT, random).verdict for _ in range(TESTS)]
    assert verdicts.count(Verdict.HARM) / TESTS >= POWER - 3 * sqrt(POWER * (1 - POWER) / TESTS)
    assert verdicts.count(Verdict.GAIN) == 0


def test_accounts_that_are_alike_within_raise_no_more_alarms_than_independent_units() -> None:
    """Accounts of five, drawn whole; whether one member pays tells much of the others."""
    plan = plan_experiment(BASELINE, EFFECT)
    random = np.random.default_rng(SEED)
    accounts = plan.units // 5 + 1
    cluster = np.repeat(np.arange(accounts), 5)
    robust = naive = 0
    for _ in range(TESTS // 2):
        is_treated = np.repeat(random.permutation(accounts) % 2 == 0, 5)
        has_won = random.random(len(cluster)) < np.repeat(random.beta(0.2, 1.8, accounts), 5)
        drawn = {"withheld": accounts // 2, "offered": accounts - accounts // 2}
        units = Units(is_treated, has_won, None, cluster, drawn, several=0, exposed=accounts)
        found = report_of(Design(**PLAIN, unit="member", plan=plan), units, 0)
        assert found.final is not None
        robust += found.verdict is not Verdict.NO_DIFFERENCE
        naive += not found.final.low <= 0 <= found.final.high
    assert robust <= 42, "25 are expected; more than 42 have a chance below one in a thousand"
    assert naive > 3 * robust


def by_day(random: np.random.Generator, daily: int, days: int, share: float, wins: float) -> Counts:
    """One arm of a thousand tests on each day so far: how many met the goal, of how many.

    Args:
        daily: Units a day in both arms.
        share: Of them, those in this arm.
        wins: The share that meets the goal.
    """
    of = random.binomial(daily, share, (TESTS, days))
    return random.binomial(of, wins).cumsum(axis=1), of.cumsum(axis=1)


@pytest.mark.parametrize(
    ("daily", "days", "share", "baseline"),
    [(40, 60, 0.5, 0.10), (5, 400, 0.5, 0.10), (60, 60, 0.2, 0.10), (5, 400, 0.2, 0.02), (1, 1000, 0.5, 0.5)],
)
def test_looking_every_day_raises_no_more_alarms_than_looking_once(
    daily: int, days: int, share: float, baseline: float
) -> None:
    planned = plan_experiment(BASELINE, EFFECT, share).units
    random = np.random.default_rng(SEED)
    control = by_day(random, daily, days, share, baseline)
    treated = by_day(random, daily, days, 1 - share, baseline)
    low, high = always_valid(control, treated, planned=planned)
    assert ((low > 0) | (high < 0)).any(axis=1).sum() <= MOST_ALARMS
    low, high = newcombe(control, treated)
    assert ((low > 0) | (high < 0)).any(axis=1).sum() > 2 * MOST_ALARMS, "the fixed one does not bear being watched"


def test_looking_every_day_finds_a_planted_gain_before_long() -> None:
    planned = plan_experiment(BASELINE, EFFECT).units
    random = np.random.default_rng(SEED)
    control, treated = (by_day(random, 40, 100, 0.5, wins) for wins in (BASELINE, BASELINE + EFFECT))
    low, high = always_valid(control, treated, planned=planned)
    assert (low > 0).any(axis=1).mean() > 0.9, "within three times the planned size"
    assert not (high < 0).any()
