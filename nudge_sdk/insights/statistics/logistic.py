"""Logistic regression: plain, with ridge, and with Firth's penalty, each by a library."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nudge_sdk.insights.statistics.intervals import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

Penalty = Literal["none", "ridge", "firth"]

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)
"""The ridge penalties that cross-validation chooses from."""

FOLDS = 5
MOST_PROFILED = 5000
"""With more rows than these, intervals are Wald's: they agree with the profile likelihood's then."""

MOST_TRIED = 10_000
"""Of more rows than these, some are taken to choose the strength of ridge by."""

_FARTHEST = 25.0
"""A coefficient of a standardised feature beyond this is on its way to infinity."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A logistic regression.

    Attributes:
        intercept: In log odds.
        coefficients: A unit of each feature.
        low, high: Their intervals, the intercept's last.
        p_values: Two-sided, the intercept's last; NaN where the penalty allows none.
        strength: Of ridge.
    """

    intercept: float
    coefficients: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]
    p_values: NDArray[Any]
    strength: float | None = None

    def chances(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the probability of each row, strictly between 0 and 1."""
        import numpy as np
        from scipy.special import expit

        chances: NDArray[Any] = np.clip(expit(values @ self.coefficients + self.intercept), 1e-12, 1 - 1e-12)
        return chances


class SeparatedError(ValueError):
    """There is no single maximum of the likelihood: features tell all of one kind from all others, or say the same."""


def fit(
    values: NDArray[Any],
    happened: NDArray[Any],
    penalty: Penalty,
    strength: float | None = None,
    clusters: NDArray[Any] | None = None,
) -> Fit:
    """Return the logistic regression of what happened on features that each differ.

    Args:
        values: Rows × features.
        happened: Whether it did, of each row; of some, but not of all.
        penalty: ``none``, ``ridge`` (its intervals come from the curvature of the penalised likelihood and hold if
            coefficients are as small as the penalty supposes), or ``firth`` (profile likelihood; the intercept is set
            so that the mean probability is the share it happened to: Puhr and others, Statistics in Medicine 36, 2017).
        strength: Of ridge, lambda in -log likelihood + lambda/2 · |b|² of standardised features; by cross-validation
            if not said.
        clusters: Which rows belong together; where some do, errors are cluster-robust.

    Raises:
        SeparatedError: Without a penalty, some coefficient would be infinite; or, but for ridge, features say the same.
    """
    import numpy as np

    if penalty == "none":
        found = maximum_likelihood(values, happened)
    elif penalty == "ridge":
        found = _ridge(values, happened, strength)
    else:
        found = _firth(values, happened)
    if clusters is None or len(np.unique(clusters)) == len(clusters):
        return found
    return _with_robust_errors(found, values, happened, clusters)


def maximum_likelihood(values: NDArray[Any], happened: NDArray[Any]) -> Fit:
    """Return the regression without a penalty, by statsmodels.

    Raises:
        SeparatedError: Some coefficient would be infinite.
    """
    import numpy as np
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = sm.Logit(happened.astype(float), np.column_stack([values, np.ones(len(values))]))
            result = model.fit(disp=0, maxiter=100)
        except np.linalg.LinAlgError:
            raise SeparatedError("two features say the same, or one separates all") from None
    if not result.mle_retvals["converged"] or (np.abs(result.params[:-1]) * values.std(axis=0) > _FARTHEST).any():
        raise SeparatedError("a feature separates those it happened to from all others")
    ends = np.asarray(result.conf_int(1 - CONFIDENCE))
    return Fit(
        intercept=float(result.params[-1]),
        coefficients=np.asarray(result.params[:-1]),
        low=ends[:, 0],
        high=ends[:, 1],
        p_values=np.asarray(result.pvalues),
    )


def shift(odds: NDArray[Any], happened: NDArray[Any]) -> float:
    """Return what has to be added to log odds so that as many are foretold as it happened to."""
    import numpy as np
    import statsmodels.api as sm

    model = sm.GLM(happened.astype(float), np.ones(len(odds)), family=sm.families.Binomial(), offset=odds)
    return float(model.fit().params[0])


def _firth(values: NDArray[Any], happened: NDArray[Any]) -> Fit:
    import numpy as np
    from firthmodels import FirthLogisticRegression

    scale = values.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = FirthLogisticRegression(backend="numpy", max_iter=200).fit(values / scale, happened.astype(int))
            ends, p_values = _firth_ends(model, is_profiled=len(values) <= MOST_PROFILED)
        except np.linalg.LinAlgError:
            raise SeparatedError("some features say the same") from None
    coefficients = np.asarray(model.coef_).reshape(-1) / scale
    moved = shift(values @ coefficients + float(model.intercept_), happened)
    by, scales = np.append(np.zeros(len(scale)), moved), np.append(scale, 1.0)
    return Fit(
        intercept=float(model.intercept_) + moved,
        coefficients=coefficients,
        low=ends[:, 0] / scales + by,
        high=ends[:, 1] / scales + by,
        p_values=p_values,
    )


def _firth_ends(model: Any, *, is_profiled: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return intervals and p-values; Wald's where the profile of the likelihood has no end."""
    import numpy as np

    ends, p_values = np.asarray(model.conf_int(alpha=1 - CONFIDENCE, method="wald")), np.asarray(model.pvalues_)
    if not is_profiled:
        return ends, p_values
    model.lrt()
    profiled = np.asarray(model.conf_int(alpha=1 - CONFIDENCE, method="pl"))
    return np.where(np.isnan(profiled), ends, profiled), np.where(
        np.isnan(model.lrt_pvalues_), p_values, model.lrt_pvalues_
    )


def _ridge(values: NDArray[Any], happened: NDArray[Any], strength: float | None) -> Fit:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    centre, scale = values.mean(axis=0), values.std(axis=0)
    standard = (values - centre) / scale
    strength = _chosen_strength(standard, happened) if strength is None else strength
    model = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(
        standard, happened
    )
    found = np.append(model.coef_[0], model.intercept_[0])
    chances = model.predict_proba(standard)[:, 1]
    curvature = _information(standard, chances) + np.diag(np.append(np.full(len(scale), strength), 0.0))
    # Back from standardised features: the intercept takes up what their means came to.
    back = np.diag(np.append(1 / scale, 1.0))
    back[-1, :-1] = -centre / scale
    return _wald(back @ found, back @ np.linalg.inv(curvature) @ back.T, strength)


def _chosen_strength(values: NDArray[Any], happened: NDArray[Any]) -> float:
    """Return the strength with the least log loss of rows that the model had not seen."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    step = -(-len(values) // MOST_TRIED)
    values, happened = values[::step], happened[::step]
    if min(happened.sum(), (~happened).sum()) < FOLDS:
        return 1.0
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    losses = [
        -cross_val_score(
            LogisticRegression(C=1 / strength, solver="newton-cholesky"),
            values,
            happened,
            cv=folds,
            scoring="neg_log_loss",
        ).mean()
        for strength in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(losses))]


def _information(values: NDArray[Any], chances: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    design = np.column_stack([values, np.ones(len(values))])
    information: NDArray[Any] = (design * (chances * (1 - chances))[:, None]).T @ design
    return information


def _wald(found: NDArray[Any], covariance: NDArray[Any], strength: float | None = None) -> Fit:
    import numpy as np
    from scipy.stats import norm

    reach = norm.ppf(0.5 + CONFIDENCE / 2) * np.sqrt(np.diag(covariance))
    return Fit(
        intercept=float(found[-1]),
        coefficients=found[:-1],
        low=found - reach,
        high=found + reach,
        p_values=np.full(len(found), np.nan),
        strength=strength,
    )


def _with_robust_errors(found: Fit, values: NDArray[Any], happened: NDArray[Any], clusters: NDArray[Any]) -> Fit:
    """Return a fit whose intervals allow for rows that belong together.

    Source: the sandwich of Liang and Zeger, Biometrika 73 (1986), with the correction for few clusters of statsmodels.
    """
    import numpy as np
    from scipy.stats import norm

    scale = values.std(axis=0)
    standard = values / scale
    chances = found.chances(values)
    penalty = np.append(np.full(len(scale), found.strength or 0.0), 0.0)
    bread = np.linalg.inv(_information(standard, chances) + np.diag(penalty))
    scores = np.column_stack([standard, np.ones(len(values))]) * (happened - chances)[:, None]
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.zeros((places.max() + 1, scores.shape[1]))
    np.add.at(sums, places, scores)
    number, rows, parameters = len(sums), len(values), scores.shape[1]
    correction = number / (number - 1) * (rows - 1) / (rows - parameters)
    errors = np.sqrt(np.diag(bread @ sums.T @ sums @ bread) * correction) / np.append(scale, 1.0)
    middle = np.append(found.coefficients, found.intercept)
    return Fit(
        intercept=found.intercept,
        coefficients=found.coefficients,
        low=middle - norm.ppf(0.5 + CONFIDENCE / 2) * errors,
        high=middle + norm.ppf(0.5 + CONFIDENCE / 2) * errors,
        p_values=2 * norm.sf(np.abs(middle) / errors) if found.strength is None else found.p_values,
        strength=found.strength,
    )
