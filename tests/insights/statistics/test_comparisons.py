"""Known tables of published papers, and random ones against libraries that know nothing of ours."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from nudge_sdk.insights.statistics.comparisons import compare, newcombe, p_value
from nudge_sdk.insights.statistics.intervals import rate

Counts = tuple[int, int]

NEWCOMBE_TABLE_II = [
    ((48, 80), (56, 70), 0.0524, 0.3339),
    ((3, 10), (9, 10), 0.1705, 0.8090),
    ((2, 7), (6, 7), 0.0582, 0.8062),
    ((0, 29), (5, 56), -0.0381, 0.1926),
    ((0, 20), (0, 10), -0.1611, 0.2775),
    ((0, 10), (0, 10), -0.2775, 0.2775),
    ((0, 20), (10, 10), 0.6791, 1.0),
    ((0, 10), (10, 10), 0.6075, 1.0),
]
"""R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, contrasts (a) to (h), method 10."""

NEWCOMBE_TABLE_I = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
"""R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3: Wilson's interval of 1927."""

counts = st.integers(0, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
known = st.integers(1, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@pytest.mark.parametrize(("won", "of", "low", "high"), NEWCOMBE_TABLE_I)
def test_wilsons_interval_is_the_published_one(won: int, of: int, low: float, high: float) -> None:
    found = rate(won, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("control", "treated", "low", "high"), NEWCOMBE_TABLE_II)
def test_newcombes_interval_is_the_published_one(control: Counts, treated: Counts, low: float, high: float) -> None:
    found = compare(control, treated)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(control=known, treated=known, confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_newcombes_interval_is_that_of_statsmodels(control: Counts, treated: Counts, confidence: float) -> None:
    low, high = newcombe(control, treated, confidence=confidence)
    expected = confint_proportions_2indep(*treated, *control, method="newcomb", alpha=1 - confidence)
    assert (low, high) == pytest.approx(expected, abs=1e-12)


@given(control=counts, treated=counts)
def test_whatever_the_counts_the_numbers_make_sense(control: Counts, treated: Counts) -> None:
    found = compare(control, treated)
    assert -1 <= found.low <= found.high <= 1
    assert 0 < found.p_value <= 1
    if control[1] and treated[1]:
        assert found.difference is not None
        assert found.low <= found.difference <= found.high
    else:
        assert (found.difference, found.low, found.high, found.p_value) == (None, -1, 1, 1)
    if control[0] and treated[0]:
        assert found.lift is not None
        assert found.lift_low is not None
        assert found.lift_high is not None
        assert -1 < found.lift_low <= found.lift <= found.lift_high < inf
    else:
        assert found.lift_low is found.lift_high is None


@given(control=counts, treated=counts)
def test_the_arms_change_places(control: Counts, treated: Counts) -> None:
    found, other = compare(control, treated), compare(treated, control)
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low))
    assert found.p_value == pytest.approx(other.p_value)


def test_arrays_are_compared_entry_by_entry() -> None:
    control = (np.array([48, 0, 0, 10]), np.array([80, 0, 20, 10]))
    treated = (np.array([56, 3, 10, 10]), np.array([70, 9, 10, 10]))
    low, high = newcombe(control, treated)
    each = [compare((int(a), int(b)), (int(c), int(d))) for a, b, c, d in zip(*control, *treated, strict=True)]
    assert list(low) == pytest.approx([found.low for found in each])
    assert list(high) == pytest.approx([found.high for found in each])


@pytest.mark.parametrize(
    ("control", "treated", "difference", "lift"),
    [
        ((0, 0), (0, 0), None, None),
        ((0, 0), (0, 20), None, None),
        ((0, 20), (0, 0), None, None),
        ((0, 20), (0, 20), 0, None),
        ((0, 20), (10, 10), 1, None),
        ((10, 10), (0, 20), -1, -1),
        ((10, 10), (10, 10), 0, 0),
    ],
)
def test_the_ends_of_the_scale(control: Counts, treated: Counts, difference: float | None, lift: float | None) -> None:
    found = compare(control, treated)
    assert (found.difference, found.lift) == (difference, lift)
    assert found.low < found.high
    assert found.treated.of == treated[1]


@given(control=st.tuples(st.integers(80, 400), st.just(800)), treated=st.tuples(st.integers(80, 400), st.just(700)))
def test_of_many_the_relative_lift_is_that_of_statsmodels(control: Counts, treated: Counts) -> None:
    found = compare(control, treated)
    table = Table2x2([[treated[0], treated[1] - treated[0]], [control[0], control[1] - control[0]]])
    low, high = table.riskratio_confint()
    assert found.lift is not None
    assert found.lift + 1 == pytest.approx(table.riskratio)
    assert (found.lift_low, found.lift_high) == pytest.approx((low - 1, high - 1), abs=0.03)


@pytest.mark.parametrize(("baseline", "ratio"), [(0.05, 0.8), (0.1, 1.0), (0.3, 1.6)])
def test_the_interval_of_the_relative_lift_holds_the_truth_as_often_as_it_says(baseline: float, ratio: float) -> None:
    random = np.random.default_rng(11)
    control, treated = random.binomial(200, baseline, 400), random.binomial(300, baseline * ratio, 400)
    found = [compare((int(a), 200), (int(b), 300)) for a, b in zip(control, treated, strict=True)]
    told = [each for each in found if each.lift_low is not None and each.lift_high is not None]
    held = sum(each.lift_low <= ratio - 1 <= each.lift_high for each in told)  # type: ignore[operator]
    assert held / len(told) >= 0.95 - 3 * (0.95 * 0.05 / len(told)) ** 0.5


@given(control=known, treated=known)
def test_the_test_is_that_of_statsmodels_or_where_few_are_expected_fishers(control: Counts, treated: Counts) -> None:
    won, of = control[0] + treated[0], control[1] + treated[1]
    found = p_value(control, treated)
    if not 0 < won < of:
        assert found == 1
    elif min(control[1], treated[1]) * min(won, of - won) / of < 5:
        table = [[treated[0], treated[1] - treated[0]], [control[0], control[1] - control[0]]]
        assert found == pytest.approx(fisher_exact(table).pvalue)
    else:
        assert found == pytest.approx(proportions_ztest([treated[0], control[0]], [treated[1], control[1]])[1])


def test_more_cannot_meet_the_goal_than_there_are() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        compare((3, 2), (0, 2))
