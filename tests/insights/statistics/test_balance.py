"""Sample ratios: published examples, the traps, and random counts against a multinomial drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from nudge_sdk.insights.statistics.balance import check_exposures, check_ratio

EVEN = {"a": 1, "b": 1}


def test_the_published_example_of_a_mismatch() -> None:
    """R. Kohavi, D. Tang, Y. Xu, Trustworthy Online Controlled Experiments (2020), chapter 3: p = 1.8e-6."""
    found = check_ratio({"a": 821_588, "b": 815_482}, EVEN)
    assert found.p_value == pytest.approx(1.8e-6, rel=0.02)
    assert found.is_mismatched
    assert found.deviation == pytest.approx(0.00373, abs=1e-5)
    assert not found.forbids_verdict, "so few missing units cannot move a rate by a point"


def test_the_configured_ratio_is_what_counts() -> None:
    uneven = {"withheld": 100, "offered": 900}
    assert not check_ratio(uneven, {"withheld": 0.1, "offered": 0.9}).is_mismatched
    assert check_ratio(uneven, {"withheld": 0.5, "offered": 0.5}).forbids_verdict


def test_arms_nobody_should_be_in_take_no_degree_of_freedom_and_are_told() -> None:
    shares = {"a": 50, "b": 50, "off": 0}
    clean = check_ratio({"a": 480, "b": 520, "off": 0}, shares)
    assert (clean.freedom, clean.leaked) == (1, ())
    assert clean.p_value == pytest.approx(chi2.sf(1.6, 1))
    leaked = check_ratio({"a": 480, "b": 520, "off": 3}, shares)
    assert leaked.leaked == ("off",)
    assert leaked.forbids_verdict
    assert leaked.p_value == clean.p_value
    assert check_ratio({"a": 480, "b": 520, "unheard": 1}, EVEN).leaked == ("unheard",)


def test_tiny_counts_raise_no_alarm() -> None:
    assert not check_ratio({"a": 0, "b": 15}, EVEN).is_checked
    assert not check_ratio({"a": 0, "b": 15}, EVEN).is_mismatched
    assert check_ratio({"a": 0, "b": 16}, EVEN).forbids_verdict, (
        "an arm that is empty is one too few, not one unchecked"
    )


def test_without_a_configured_ratio_nothing_is_checked() -> None:
    found = check_ratio({"a": 10, "b": 1000}, None)
    assert (found.is_checked, found.arms, found.is_mismatched) == (False, (), False)


@given(counts=st.lists(st.integers(0, 4000), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_the_statistic_is_that_of_the_textbook(counts: list[int], seed: int) -> None:
    shares = np.random.default_rng(seed).uniform(0.1, 1, len(counts))
    names = [f"arm-{number}" for number in range(len(counts))]
    found = check_ratio(dict(zip(names, counts, strict=True)), dict(zip(names, shares, strict=True)))
    expected = sum(counts) * shares / shares.sum()
    assert found.is_checked == (expected.min() >= 8)
    if found.is_checked:
        statistic = float(((np.array(counts) - expected) ** 2 / expected).sum())
        assert found.statistic == pytest.approx(statistic)
        assert found.p_value == pytest.approx(chi2.sf(statistic, len(counts) - 1))


def test_of_a_thousand_honest_draws_hardly_any_raises_an_alarm() -> None:
    random = np.random.default_rng(5)
    drawn = random.binomial(900, 0.2, 1000)
    alarms = sum(
        check_ratio({"c": int(each), "t": 900 - int(each)}, {"c": 20, "t": 80}).forbids_verdict for each in drawn
    )
    assert alarms <= 5, "one is expected; six or more have a chance of 0.06 %"


def test_a_lost_tenth_of_one_arm_raises_one() -> None:
    random = np.random.default_rng(6)
    drawn = random.binomial(9000, 0.18 / 0.98, 200)
    found = [check_ratio({"c": int(each), "t": 9000 - int(each)}, {"c": 20, "t": 80}) for each in drawn]
    assert sum(each.forbids_verdict for each in found) >= 120


@pytest.mark.parametrize(
    ("several", "units", "is_exceeded"), [(0, 0, False), (9, 20, False), (10, 1000, False), (11, 1000, True)]
)
def test_units_in_several_arms(several: int, units: int, is_exceeded: bool) -> None:
    assert check_exposures(several, units).is_exceeded == is_exceeded
