from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from nudge_sdk.insights.statistics.logistic import STRENGTHS, Fit, SeparatedError, fit, shift

Table = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def drawn(seed: int, rows: int = 400) -> Table:
    """Two things done or not, one counted, and who paid."""
    random = np.random.default_rng(seed)
    values = np.column_stack(
        [random.random(rows) < 0.4, random.random(rows) < 0.15, random.poisson(2 + 20 * (seed % 2), rows)]
    ).astype(float)
    odds = -2.0 + values @ np.array([1.2, -0.4, 0.03]) + random.normal(0, 0.2, rows)
    return values, random.random(rows) < expit(odds)


def log_likelihood(found: np.ndarray[Any, Any], values: np.ndarray[Any, Any], paid: np.ndarray[Any, Any]) -> float:
    odds = values @ found[:-1] + found[-1]
    return float(paid @ odds - np.logaddexp(0, odds).sum())


@pytest.mark.parametrize("seed", range(6))
def test_without_a_penalty_it_is_what_another_library_finds(seed: int) -> None:
    values, paid = drawn(seed)
    found = fit(values, paid, "none")
    other = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(values, paid)
    assert found.coefficients == pytest.approx(other.coef_[0], abs=1e-6)
    assert found.intercept == pytest.approx(other.intercept_[0], abs=1e-6)


def firth_loss(found: np.ndarray[Any, Any], values: np.ndarray[Any, Any], paid: np.ndarray[Any, Any]) -> float:
    chances = expit(values @ found[:-1] + found[-1])
    design = np.column_stack([values, np.ones(len(values))])
    information = (design * (chances * (1 - chances))[:, None]).T @ design
    return -log_likelihood(found, values, paid) - 0.5 * float(np.linalg.slogdet(information)[1])


@pytest.mark.parametrize("seed", range(6))
def test_firth_is_the_mode_under_jeffreys_prior(seed: int) -> None:
    """D. Firth, Biometrika 80 (1993): log likelihood + half the log determinant of the information, by a general
    optimiser; then the intercept is moved so that as many are foretold as paid."""
    values, paid = drawn(seed, rows=120)

    mode = minimize(lambda b: firth_loss(b, values, paid), np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    found = fit(values, paid, "firth")
    assert found.coefficients == pytest.approx(mode[:-1], abs=2e-3)
    assert found.chances(values).mean() == pytest.approx(paid.mean(), abs=1e-9)


@pytest.mark.parametrize("end", ["low", "high"])
def test_an_interval_of_firth_ends_where_the_likelihood_ratio_says(end: str) -> None:
    """Twice the loss that the end of a 95 % interval costs, all else at its best, is the quantile of chi-square."""
    values, paid = drawn(3, rows=120)
    at = getattr(fit(values, paid, "firth"), end)[0]
    least = minimize(lambda b: firth_loss(b, values, paid), np.zeros(4), method="BFGS").fun
    bound = minimize(lambda b: firth_loss(np.array([at, *b]), values, paid), np.zeros(3), method="BFGS").fun
    assert 2 * (bound - least) == pytest.approx(chi2.ppf(0.95, 1), abs=0.02)


@pytest.mark.parametrize("strength", [0.5, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_ridge_is_the_least_penalised_loss(seed: int, strength: float) -> None:
    values, paid = drawn(seed)
    centre, scale = values.mean(0), values.std(0)

    def loss(found: np.ndarray[Any, Any]) -> float:
        return -log_likelihood(found, (values - centre) / scale, paid) + strength / 2 * float(found[:-1] @ found[:-1])

    least = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    found = fit(values, paid, "ridge", strength)
    assert found.coefficients * scale == pytest.approx(least[:-1], abs=1e-4)
    assert found.intercept == pytest.approx(least[-1] - centre @ (least[:-1] / scale), abs=1e-3)
    assert found.strength == strength


def test_a_stronger_ridge_pulls_closer_to_nothing() -> None:
    values, paid = drawn(1)
    sizes = [float(np.abs(fit(values, paid, "ridge", strength).coefficients).sum()) for strength in STRENGTHS]
    assert sizes == sorted(sizes, reverse=True)


def test_cross_validation_trusts_what_is_there_and_distrusts_noise() -> None:
    random = np.random.default_rng(4)
    values = (random.random((600, 12)) < 0.3).astype(float)
    noise = random.random(600) < 0.3
    signal = random.random(600) < expit(-2 + 3 * values[:, 0] + 2 * values[:, 1])
    found, nothing = fit(values, signal, "ridge"), fit(values, noise, "ridge")
    assert found.strength is not None
    assert nothing.strength is not None
    assert found.strength < nothing.strength
    assert fit(values, noise, "ridge").strength == nothing.strength


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_belong_together_give_the_errors_of_another_library(seed: int) -> None:
    values, paid = drawn(seed)
    clusters = np.random.default_rng(seed).integers(0, 90, len(paid))
    found = fit(values, paid, "none", clusters=clusters)
    other = sm.Logit(paid.astype(float), sm.add_constant(values, prepend=False)).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": clusters}, tol=1e-10
    )
    ends = np.asarray(other.conf_int())
    assert found.low == pytest.approx(ends[:, 0], rel=1e-4, abs=1e-5)
    assert found.high == pytest.approx(ends[:, 1], rel=1e-4, abs=1e-5)
    assert found.p_values == pytest.approx(np.asarray(other.pvalues), rel=1e-3, abs=1e-9)


def test_people_counted_ten_times_over_make_nothing_surer() -> None:
    values, paid = drawn(2)
    copies = np.repeat(np.arange(len(paid)), 10)
    once, tenfold = fit(values, paid, "firth"), fit(values[copies], paid[copies], "firth", clusters=copies)
    naive = fit(values[copies], paid[copies], "firth")

    def width(found: Fit) -> float:
        return float((found.high - found.low)[0])

    assert width(tenfold) == pytest.approx(width(once), rel=0.05)
    assert width(naive) < 0.5 * width(once)


def test_each_row_its_own_cluster_is_as_without_clusters() -> None:
    values, paid = drawn(3)
    assert fit(values, paid, "none", clusters=np.arange(len(paid))).low == pytest.approx(fit(values, paid, "none").low)


def test_separation_is_said_without_a_penalty_and_survived_with_one() -> None:
    values, _ = drawn(5)
    paid = values[:, 0] > 0
    with pytest.raises(SeparatedError, match="separates"):
        fit(values, paid, "none")
    for penalty in ("firth", "ridge"):
        found = fit(values, paid, penalty)
        assert np.isfinite(found.coefficients).all()
        assert np.isfinite(found.low).all()
        assert found.coefficients[0] > 3


def test_features_that_say_the_same_are_no_model_without_a_penalty() -> None:
    values, paid = drawn(6)
    twice = np.column_stack([values, values[:, 0]])
    with pytest.raises(SeparatedError):
        fit(twice, paid, "none")
    assert np.isfinite(fit(twice, paid, "ridge").coefficients).all()


def test_a_shift_makes_as_many_foretold_as_happened() -> None:
    values, paid = drawn(7)
    odds = values @ np.array([0.3, 0.1, 0.0]) + 2.0
    assert expit(odds + shift(odds, paid)).mean() == pytest.approx(paid.mean(), abs=1e-9)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 150 intervals of 95 %, fewer than 134, or all, would hold it less than one time in a thousand."""
    random = np.random.default_rng(13)
    held = 0
    for _ in range(150):
        values = (random.random((250, 2)) < (0.4, 0.3)).astype(float)
        found = fit(values, random.random(250) < expit(-1.2 + values @ [1.0, 0.0]), "none")
        held += bool(found.low[0] < 1.0 < found.high[0])
    assert 134 <= held < 150
