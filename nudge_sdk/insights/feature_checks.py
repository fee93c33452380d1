"""Checks of features before anything is made of them: which are leaky, which carry no information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nudge_sdk.insights.observations import Observations

if TYPE_CHECKING:
    from numpy.typing import NDArray

Verdict = Literal["used", "leaky", "suspect", "no information"]
"""``leaky``: in some rows known only at or after the observation. ``suspect``: tells payers from others nearly
perfectly, and nobody said when it was known. ``no information``: nearly always the same. Only ``used`` ones are used.
"""

FEWEST, FEWEST_SHARE = 5, 0.002
"""A feature says nothing if fewer rows than these, or a smaller share of them, differ from its usual value."""

TOO_GOOD = 0.98
"""An AUC of one feature alone that nothing known before is likely to have."""

_FEWEST_TOLD_APART = 10


def check_features(observations: Observations) -> dict[str, tuple[Verdict, str]]:
    """Return of each feature a verdict and the reason for it, in words."""
    return {name: _check(observations, place, name) for place, name in enumerate(observations.names)}


def _check(observations: Observations, place: int, name: str) -> tuple[Verdict, str]:
    import numpy as np

    column, rows = observations.values[:, place], len(observations.paid)
    late = _late(observations, name)
    if late is not None and late.any():
        paid = int((late & observations.paid).sum())
        return "leaky", (
            f"known only at or after the observation in {int(late.sum()):,} of {rows:,} rows, {paid:,} of which paid"
        )
    _, counts = np.unique(column, return_counts=True)
    differ = rows - int(counts.max(initial=0))
    if differ < max(FEWEST, FEWEST_SHARE * rows):
        return "no information", f"only {differ:,} of {rows:,} rows differ from the others"
    if late is None and (area := _told_apart(column, observations.paid)) >= TOO_GOOD:
        return "suspect", (
            f"it alone tells those who paid from the others in {area:.1%} of pairs, and nobody said when it was known: "
            "say that, or leave it out"
        )
    return "used", "known before the observation in every row" if late is not None else "nobody said when it was known"


def _late(observations: Observations, name: str) -> NDArray[Any] | None:
    """Return which rows were known too late; None where nobody said when."""
    import numpy as np

    known = observations.known_at.get(name)
    if known is None or observations.observed_at is None:
        return None
    late: NDArray[Any] = np.asarray(known, float) >= np.asarray(observations.observed_at, float)
    return late


def _told_apart(column: NDArray[Any], paid: NDArray[Any]) -> float:
    """Return the AUC of a feature, whichever way round; 0 where there are too few to say."""
    from sklearn.metrics import roc_auc_score

    if min(paid.sum(), (~paid).sum()) < _FEWEST_TOLD_APART:
        return 0.0
    area = float(roc_auc_score(paid, column))
    return max(area, 1 - area)
