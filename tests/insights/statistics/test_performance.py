from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from nudge_sdk.insights.statistics.performance import FEWEST_IN_BIN, MOST_BINS, auc, auc_error, performance

foretold = st.lists(st.tuples(st.booleans(), st.integers(1, 99)), min_size=1, max_size=40)


@given(foretold)
def test_scores_are_what_their_formulas_give(pairs: list[tuple[bool, int]]) -> None:
    happened, chances = [pair[0] for pair in pairs], [pair[1] / 100 for pair in pairs]
    found = performance(happened, chances)
    each = list(zip(happened, chances, strict=True))
    assert found.brier == pytest.approx(sum((was - p) ** 2 for was, p in each) / len(each))
    assert found.log_loss == pytest.approx(-sum(math.log(p if was else 1 - p) for was, p in each) / len(each))
    share = sum(happened) / len(happened)
    assert found.brier_baseline == pytest.approx(sum((was - share) ** 2 for was in happened) / len(happened))
    assert (found.rows, found.happened) == (len(happened), sum(happened))


@given(foretold)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[bool, int]]) -> None:
    yes, no = [p for was, p in pairs if was], [p for was, p in pairs if not was]
    found = auc([was for was, _ in pairs], [p for _, p in pairs])
    if not yes or not no:
        assert found is None
    else:
        assert found is not None
        right = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
        assert found.value == pytest.approx(right / (len(yes) * len(no)))
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_error_of_an_auc_is_the_published_one() -> None:
    """J. A. Hanley and B. J. McNeil, Radiology 143 (1982): 51 abnormal and 58 normal, an area of 0.893: 0.032."""
    assert auc_error(0.893, 51, 58) == pytest.approx(0.032, abs=0.0006)


def test_the_interval_of_an_auc_holds_the_true_one_about_as_often_as_it_says() -> None:
    """Two normal distributions one standard deviation apart have an area of 0.7602."""
    random = np.random.default_rng(2)
    labels = np.arange(200) < 80
    found = [auc(labels, random.normal(labels, 1)) for _ in range(400)]
    held = sum(each is not None and each.low <= 0.7602 <= each.high for each in found)
    assert 0.92 * 400 <= held <= 0.98 * 400


@pytest.mark.parametrize(("bias", "stretch"), [(0.0, 1.0), (0.7, 1.0), (0.0, 2.0), (-0.4, 0.5)])
def test_calibration_tells_what_was_done_to_the_probabilities(bias: float, stretch: float) -> None:
    random = np.random.default_rng(9)
    odds = random.normal(-1, 1, 60_000)
    happened = random.random(len(odds)) < expit(odds)
    found = performance(happened, expit(stretch * odds + bias))
    assert found.slope == pytest.approx(1 / stretch, abs=0.03)
    if stretch == 1:
        assert found.intercept == pytest.approx(-bias, abs=0.03)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=300))
def test_bins_hold_everybody_once_with_equal_chances_together(tenths: list[int]) -> None:
    happened = [number % 2 == 0 for number in range(len(tenths))]
    bins = performance(happened, [each / 10 for each in tenths]).bins
    assert sum(each.observed.of for each in bins) == len(tenths)
    assert sum(each.observed.count for each in bins) == sum(happened)
    assert len(bins) <= max(1, min(MOST_BINS, len(tenths) // FEWEST_IN_BIN))
    assert [each.predicted for each in bins] == sorted(each.predicted for each in bins)
    mean = sum(each.predicted * each.observed.of for each in bins) / len(tenths)
    assert mean == pytest.approx(sum(tenths) / 10 / len(tenths))


def test_what_is_true_lies_within_the_bars_nearly_always() -> None:
    random = np.random.default_rng(3)
    chances = expit(random.normal(-1.5, 1, 20_000))
    bins = performance(random.random(20_000) < chances, chances).bins
    assert len(bins) == MOST_BINS
    assert sum(each.observed.low <= each.predicted <= each.observed.high for each in bins) >= MOST_BINS - 2


def test_where_all_are_of_one_kind_nothing_is_told_apart() -> None:
    found = performance([True, True], [0.5, 0.9])
    assert (found.auc, found.intercept, found.slope) == (None, None, None)


def test_one_chance_for_all_has_no_slope() -> None:
    found = performance([True, False, False, True], [0.2] * 4)
    assert found.slope is None
    assert found.intercept == pytest.approx(-logit(0.2), abs=1e-6)


def test_nobody_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        performance([], [])
