"""Cluster-robust errors, against statsmodels' sandwich and against a bootstrap of clusters."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from nudge_sdk.insights.statistics.clusters import ClusterCounts, clustered_difference, few_clusters_factor

Arrays = tuple[np.ndarray, np.ndarray]

arms = st.lists(
    st.integers(1, 12).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), min_size=2, max_size=25
).filter(lambda arm: len({won / of for won, of in arm}) > 1)


def counts_of(control: list[tuple[int, int]], treated: list[tuple[int, int]]) -> ClusterCounts:
    """Clusters that are wholly in one arm."""
    none = [(0, 0)]
    columns = [*zip(*(control + none * len(treated)), strict=True), *zip(*(none * len(control) + treated), strict=True)]
    return ClusterCounts(*(np.array(column) for column in columns))


def rows_of(counts: ClusterCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row a unit: outcome, whether treated, cluster."""
    rows = [
        (unit < won, is_treated, cluster)
        for is_treated, wons, ofs in ((0, *counts[:2]), (1, *counts[2:]))
        for cluster, (won, of) in enumerate(zip(wons, ofs, strict=True))
        for unit in range(of)
    ]
    return tuple(np.array(column, dtype=int) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def sandwich(outcome: np.ndarray, cluster: np.ndarray) -> float:
    """Variance of a mean as statsmodels gives it, clustered."""
    fitted = sm.OLS(outcome, np.ones(len(outcome))).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    return float(fitted.bse[0]) ** 2


@settings(max_examples=60, deadline=None)
@given(control=arms, treated=arms)
def test_the_error_is_that_of_statsmodels(control: list[tuple[int, int]], treated: list[tuple[int, int]]) -> None:
    counts = counts_of(control, treated)
    found = clustered_difference(counts)
    outcome, is_treated, cluster = rows_of(counts)
    variance = sum(sandwich(outcome[is_treated == arm], cluster[is_treated == arm]) for arm in (0, 1))
    assert found.error == pytest.approx(variance**0.5)
    assert found.difference == pytest.approx(outcome[is_treated == 1].mean() - outcome[is_treated == 0].mean())
    half = t.ppf(0.975, max(len(control) + len(treated) - 2, 1)) * variance**0.5
    assert found.difference is not None
    assert found.low == pytest.approx(max(found.difference - half, -1))
    assert found.high == pytest.approx(min(found.difference + half, 1))


def test_clusters_in_both_arms_are_allowed_for_as_statsmodels_does() -> None:
    random = np.random.default_rng(2)
    sizes, share = random.integers(2, 8, 400), random.beta(1, 3, 400)
    treated_of = random.binomial(sizes, 0.7)
    control_of = sizes - treated_of
    counts = ClusterCounts(
        random.binomial(control_of, share), control_of, random.binomial(treated_of, share), treated_of
    )
    outcome, is_treated, cluster = rows_of(counts)
    fitted = sm.OLS(outcome, sm.add_constant(is_treated)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    found = clustered_difference(counts)
    assert found.difference == pytest.approx(fitted.params[1])
    assert found.error == pytest.approx(fitted.bse[1], rel=0.005)
    with_empty = ClusterCounts(*(np.append(column, [0, 0]) for column in counts))
    assert clustered_difference(with_empty) == found, "clusters without units change nothing"


def test_the_error_is_that_of_a_bootstrap_of_accounts() -> None:
    random = np.random.default_rng(3)
    drawn = [(random.integers(1, 9, 300), random.beta(2, 6, 300)) for _ in range(2)]
    control, treated = ([*zip(random.binomial(of, share), of, strict=True)] for of, share in drawn)
    found = clustered_difference(counts_of(control, treated))
    shares = []
    for arm in (control, treated):
        won, of = (np.array(column) for column in zip(*arm, strict=True))
        again = random.integers(0, 300, (4000, 300))
        shares.append(won[again].sum(axis=1) / of[again].sum(axis=1))
    assert found.error == pytest.approx(float(np.std(shares[1] - shares[0])), rel=0.05)
    assert found.design_effect is not None
    assert found.design_effect > 1.2


def test_clusters_of_one_are_independent_units() -> None:
    control, treated = [(1, 1)] * 20 + [(0, 1)] * 180, [(1, 1)] * 60 + [(0, 1)] * 240
    found = clustered_difference(counts_of(control, treated))
    assert found.design_effect == pytest.approx(1, abs=0.01)
    assert found.error == pytest.approx((0.1 * 0.9 / 199 + 0.2 * 0.8 / 299) ** 0.5)


@pytest.mark.parametrize(
    ("control", "treated"),
    [
        ([(0, 4)] * 5, [(0, 4)] * 5),
        ([(0, 4)] * 5, [(4, 4)] * 5),
        ([(4, 4)] * 5, [(4, 4)] * 5),
        ([(1, 2)] * 3, [(1, 2)] * 3),
        ([(0, 20)], [(10, 10)]),
    ],
)
def test_clusters_that_are_all_alike_do_not_pass_for_certainty(
    control: list[tuple[int, int]], treated: list[tuple[int, int]]
) -> None:
    found = clustered_difference(counts_of(control, treated))
    assert found.error is not None
    assert found.error > 0.05
    assert -1 <= found.low < found.high <= 1


@pytest.mark.parametrize(("control", "treated"), [([], []), ([(0, 3)], []), ([], [(2, 3)])])
def test_an_empty_arm_tells_nothing(control: list[tuple[int, int]], treated: list[tuple[int, int]]) -> None:
    found = clustered_difference(counts_of([*control, (0, 0)], [*treated, (0, 0)]))
    assert (found.difference, found.error, found.low, found.high) == (None, None, -1, 1)
    assert found.clusters == len(control) + len(treated)


def test_few_clusters_make_the_interval_wider() -> None:
    assert few_clusters_factor(5) > few_clusters_factor(50) > few_clusters_factor(5000) > 1
    assert few_clusters_factor(10**6) == pytest.approx(1, abs=1e-5)
