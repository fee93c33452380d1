"""How well probabilities foretell what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.insights.statistics.intervals import CONFIDENCE, Rate, rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MOST_BINS = 10
FEWEST_IN_BIN = 20
_SAME = 1e-9


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the reliability picture.

    Attributes:
        predicted: Mean probability that was foretold.
        observed: How many of how many it happened to.
    """

    predicted: float
    observed: Rate


class Auc(msgspec.Struct, frozen=True, kw_only=True):
    """The chance that somebody who paid was given a higher probability than somebody who did not, with its interval."""

    value: float
    low: float
    high: float


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How well probabilities foretell what happened.

    Attributes:
        rows, happened: Of whom.
        auc: None where all or none did.
        brier: Mean squared error; 0 is perfect.
        brier_baseline: The same of foretelling everybody the share of all.
        log_loss: Mean -log likelihood.
        intercept: Calibration in the large; 0 is perfect, below it too much is foretold. None where it has no value.
        slope: Of the calibration; 1 is perfect, below it the foretold probabilities are too extreme.
        bins: Of about equally many, the lowest probabilities first.
    """

    rows: int
    happened: int
    auc: Auc | None
    brier: float
    brier_baseline: float
    log_loss: float
    intercept: float | None
    slope: float | None
    bins: tuple[Bin, ...]


def performance(happened: ArrayLike, probabilities: ArrayLike) -> Performance:
    """Return how well probabilities foretell what happened.

    Args:
        happened: Of each row, whether it did.
        probabilities: What was foretold, strictly between 0 and 1.

    Raises:
        ValueError: There are no rows.
    """
    import numpy as np
    from sklearn.metrics import brier_score_loss, log_loss

    labels, chances = np.asarray(happened, bool), np.asarray(probabilities, float)
    if not labels.size:
        raise ValueError("nobody was foretold anything")
    share = labels.mean()
    intercept, slope = _calibration(labels, chances)
    return Performance(
        rows=labels.size,
        happened=int(labels.sum()),
        auc=auc(labels, chances),
        brier=float(brier_score_loss(labels, chances, pos_label=True)),
        brier_baseline=float(share * (1 - share)),
        log_loss=float(log_loss(labels, chances, labels=[False, True])),
        intercept=intercept,
        slope=slope,
        bins=_bins(labels, chances),
    )


def auc(happened: ArrayLike, scores: ArrayLike) -> Auc | None:
    """Return how well scores tell those it happened to from others; None where all are of one kind.

    Source of the interval: J. A. Hanley and B. J. McNeil, Radiology 143 (1982).
    """
    import numpy as np
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    labels = np.asarray(happened, bool)
    yes, no = int(labels.sum()), int((~labels).sum())
    if not yes or not no:
        return None
    area = float(roc_auc_score(labels, scores))
    error = auc_error(area, yes, no)
    reach = float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    return Auc(value=area, low=max(0.0, area - reach), high=min(1.0, area + reach))


def auc_error(area: float, yes: int, no: int) -> float:
    """Return the standard error of an AUC of so many of each kind (Hanley and McNeil, 1982)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (yes - 1) * (first - area**2) + (no - 1) * (second - area**2)
    return float((max(0.0, spread) / (yes * no)) ** 0.5)


def _calibration(labels: NDArray[Any], chances: NDArray[Any]) -> tuple[float | None, float | None]:
    """Return intercept (with a slope of 1) and slope of a logistic regression on the foretold log odds.

    Source: B. Van Calster and others, BMC Medicine 17:230 (2019).
    """
    import numpy as np

    from nudge_sdk.insights.statistics.logistic import SeparatedError, maximum_likelihood, shift

    odds = np.log(chances / (1 - chances))
    if labels.all() or not labels.any():
        return None, None
    if np.ptp(odds) < _SAME:
        return shift(odds, labels), None
    try:
        return shift(odds, labels), float(maximum_likelihood(odds[:, None], labels).coefficients[0])
    except SeparatedError:
        return shift(odds, labels), None


def _bins(labels: NDArray[Any], chances: NDArray[Any]) -> tuple[Bin, ...]:
    """Return bins of about equally many rows; equal probabilities stand in one bin."""
    import numpy as np

    number = max(1, min(MOST_BINS, labels.size // FEWEST_IN_BIN))
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, number + 1)[1:-1]))
    places = np.searchsorted(edges, chances, side="left")
    return tuple(
        Bin(
            predicted=float(chances[places == place].mean()),
            observed=rate(int(labels[places == place].sum()), int((places == place).sum())),
        )
        for place in np.unique(places)
    )
