"""The always-valid interval: its formula, and what it holds however often it is looked at."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge_sdk.insights.statistics.sequential import always_valid, half_width

counts = st.integers(0, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


def published(error: float, units: int, planned: int, alpha: float) -> float:
    """The formula as GrowthBook documents it (docs/statistics/sequential), citing arXiv 2103.06476."""
    r = sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned)
    inner = 2 * (units * r**2 + 1) / (units**2 * r**2) * log(sqrt(units * r**2 + 1) / alpha)
    return error * sqrt(units) * sqrt(inner)


@given(
    error=st.floats(1e-4, 0.5),
    units=st.integers(1, 10**7),
    planned=st.integers(10, 10**6),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
)
def test_the_width_is_the_published_one(error: float, units: int, planned: int, alpha: float) -> None:
    assert float(half_width(error, units, planned=planned, alpha=alpha)) == pytest.approx(
        published(error, units, planned, alpha)
    )


def test_it_is_about_tightest_against_the_fixed_one_at_the_planned_size() -> None:
    units = np.array([50, 500, 5000, 50_000, 500_000])
    assert int(np.argmin(half_width(1.0, units, planned=5000))) == 2
    assert float(half_width(1.0, 5000, planned=5000)) == pytest.approx(3.0352, abs=1e-3)


@given(units=st.integers(1, 10**7), planned=st.integers(10, 10**6))
def test_it_is_always_wider_than_the_fixed_one(units: int, planned: int) -> None:
    assert float(half_width(1.0, units, planned=planned)) > 1.96


@given(control=counts, treated=counts, planned=st.integers(20, 5000))
def test_it_is_never_out_of_bounds(control: tuple[int, int], treated: tuple[int, int], planned: int) -> None:
    low, high = always_valid(control, treated, planned=planned)
    assert -1 <= low < high <= 1
    if control[1] and treated[1]:
        assert low <= treated[0] / treated[1] - control[0] / control[1] <= high
    else:
        assert (low, high) == (-1, 1)


@pytest.mark.parametrize(("control", "treated"), [((0, 1), (1, 1)), ((0, 2), (2, 2)), ((0, 3), (3, 3))])
def test_the_first_few_units_all_alike_do_not_pass_for_certainty(
    control: tuple[int, int], treated: tuple[int, int]
) -> None:
    low, high = always_valid(control, treated, planned=1372)
    assert low < 0 < high


def test_arrays_are_judged_entry_by_entry() -> None:
    control, treated = (np.array([0, 5, 40]), np.array([0, 50, 400])), (np.array([1, 9, 70]), np.array([4, 50, 380]))
    low, high = always_valid(control, treated, planned=800)
    for index in range(3):
        each = always_valid(
            (int(control[0][index]), int(control[1][index])),
            (int(treated[0][index]), int(treated[1][index])),
            planned=800,
        )
        assert (low[index], high[index]) == pytest.approx(each)
