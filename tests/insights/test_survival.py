from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from nudge_sdk.insights.statistics.survival import Curve, kaplan_meier

# Weeks in remission of 21 patients given 6-MP; Freireich et al., Blood 21 (1963), the textbook example of the estimate.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PUBLISHED = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}


def test_the_estimate_is_that_of_a_published_example() -> None:
    curve = kaplan_meier(WEEKS, list(map(bool, RELAPSED)))
    assert {round(point.time): round(1 - point.share, 3) for point in curve.points} == PUBLISHED
    assert (curve.watched, curve.happened, curve.median, curve.longest) == (21, 9, 23, 35)
    assert [point.at_risk for point in curve.points] == [21, 17, 15, 12, 11, 7, 6]


lines = st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 4)), min_size=1, max_size=60)


@given(lines)
@settings(deadline=None, max_examples=60)
def test_estimate_and_interval_are_those_of_another_library(found: list[tuple[int, bool, int]]) -> None:
    days, happened, counts = map(list, zip(*found, strict=True))
    curve = kaplan_meier(days, happened, counts)
    every = np.repeat(days, counts), np.repeat(happened, counts)
    other = ecdf(CensoredData.right_censored(every[0], ~every[1])).sf
    assert curve.watched == sum(counts)
    assert curve.happened == int(every[1].sum())
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = other.confidence_interval(method="log-log")
    for point in curve.points:
        survival = float(other.evaluate(point.time))
        assert 1 - point.share == pytest.approx(survival, abs=1e-9)
        if 0 < survival < 1:
            assert 1 - point.low == pytest.approx(float(high.evaluate(point.time)), abs=1e-9)
            assert 1 - point.high == pytest.approx(float(low.evaluate(point.time)), abs=1e-9)


@given(lines)
@settings(deadline=None, max_examples=40)
def test_the_curve_only_rises_and_holds_its_interval(found: list[tuple[int, bool, int]]) -> None:
    days, happened, counts = map(list, zip(*found, strict=True))
    curve = kaplan_meier(days, happened, counts)
    shares = [point.share for point in curve.points]
    assert shares == sorted(shares)
    assert all(0 <= point.low <= point.share + 1e-12 for point in curve.points)
    assert all(point.share <= point.high + 1e-12 <= 1 + 1e-9 for point in curve.points)


def test_without_censoring_it_is_the_share_itself() -> None:
    curve = kaplan_meier([1, 2, 3, 4], [True] * 4)
    assert [point.share for point in curve.points] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert curve.points[-1].high == 1.0
    assert not any(math.isnan(point.low) for point in curve.points)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_of_nobody_or_of_those_still_waiting_nothing_is_said(count: int) -> None:
    curve = kaplan_meier([3] * count, [False] * count)
    expected = Curve(watched=count, happened=0, points=(), median=None, longest=3.0 if count else 0.0)
    assert curve == expected


@pytest.mark.parametrize(("days", "happened", "counts"), [([1], [], None), ([-1], [True], None), ([1], [True], [-1])])
def test_what_makes_no_sense_is_refused(days: list[float], happened: list[bool], counts: list[int] | None) -> None:
    with pytest.raises(ValueError, match="none negative"):
        kaplan_meier(days, happened, counts)
