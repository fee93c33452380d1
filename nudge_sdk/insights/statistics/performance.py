"""How well probabilities foretell what happened."""

from __future__ import annotations

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate


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
