from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from nudge_sdk.insights.statistics.poisson import count_interval, rate_ratio

COUNTS = st.integers(0, 400)
SPANS = st.floats(0.01, 1000)


@given(COUNTS, SPANS, st.integers(1, 400), SPANS)
def test_the_interval_of_a_ratio_is_that_of_the_binomial_given_both(
    count: int, over: float, base: int, base_over: float
) -> None:
    found = rate_ratio(count, over, base, base_over)
    assert found is not None
    share = binomtest(count, count + base).proportion_ci(method="exact")
    scale = base_over / over
    assert found.ratio == pytest.approx(count / over / (base / base_over))
    assert found.low == pytest.approx(share.low / (1 - share.low) * scale, rel=1e-6, abs=1e-12)
    assert found.high == pytest.approx(share.high / (1 - share.high) * scale)
    assert found.low <= found.ratio <= found.high


@given(st.integers(1, 400), SPANS, st.integers(1, 400), SPANS)
def test_the_other_way_round_the_ratio_is_one_by_the_ratio(
    count: int, over: float, base: int, base_over: float
) -> None:
    one, other = rate_ratio(count, over, base, base_over), rate_ratio(base, base_over, count, over)
    assert one is not None
    assert other is not None
    assert one.low == pytest.approx(1 / other.high)
    assert one.high == pytest.approx(1 / other.low)


@pytest.mark.parametrize("asked", [(3, 4, 0, 4), (3, 0, 3, 4), (3, 4, 3, 0)])
def test_with_nothing_to_compare_there_is_no_ratio(asked: tuple[int, float, int, float]) -> None:
    assert rate_ratio(*asked) is None


@given(COUNTS)
def test_the_interval_of_a_count_is_garwoods(count: int) -> None:
    low, high = count_interval(count)
    assert low == pytest.approx(chi2.ppf(0.025, 2 * count) / 2 if count else 0.0)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 2)
