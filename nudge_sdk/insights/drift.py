"""Drift: whether what was true when the points were set is still true (R77, R78).

What predicted a year ago may not now, and a feature that changed with a release may mean something else.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from nudge_sdk.insights.drift_reports import Alarm, Cut, DriftReport, DriftRow, Metric, Reminder, What
from nudge_sdk.insights.observations import Observations
from nudge_sdk.insights.statistics.association import adjusted
from nudge_sdk.insights.statistics.comparisons import compare
from nudge_sdk.insights.statistics.intervals import CONFIDENCE, Rate, rate
from nudge_sdk.insights.statistics.performance import auc, auc_error
from nudge_sdk.rules.times import to_micros
from nudge_sdk.store.protocol import DefinitionRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DriftReport", "drift", "points_changed_at", "reminders"]

FEWEST = 30
"""Of fewer than so many, on either side, nothing is compared."""

MONTHS: dict[What, int] = {"thresholds": 1, "points": 3}
ALARM = 0.05

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CUTS: tuple[Cut, ...] = ("quarter", "release")
_METRICS: tuple[Metric, ...] = ("baseline", "precision", "auc")


def drift(
    observations: Observations,
    old_points: Mapping[str, int],
    *,
    now: int,
    published_at: int | None = None,
    calibrated_at: int | None = None,
) -> DriftReport:
    """Return whether the newest quarter and the newest release differ from what was before.

    Args:
        observations: With their sign-ups, releases and who had qualified.
        old_points: Today's, in thousandths, by feature.
        now: The present.
        published_at: Of the definition in force; thresholds are looked at a month after it.
        calibrated_at: When points were last changed; they are looked at a quarter after it, or after the publication.
    """
    groups = [
        (cut, [_Group.of(observations, old_points, name, is_in) for name, is_in in _cut(observations, cut)])
        for cut in _CUTS
    ]
    return DriftReport(
        at=now,
        rows=tuple(group.row(cut) for cut, found in groups for group in found),
        compared=_compared([(cut, found) for cut, found in groups if len(found) > 1]),
        reminders=reminders(now, published_at, calibrated_at),
    )


def points_changed_at(published: Sequence[DefinitionRow]) -> int | None:
    """Return when the points that milestones have were last changed, in microseconds; None if nothing is published.

    Args:
        published: Every definition, oldest first.
    """
    changed: int | None = None
    before: Any = None
    for row in published:
        points = _points(row.document)
        if points != before:
            changed, before = row.published_at, points
    return changed


def reminders(now: int, published_at: int | None, calibrated_at: int | None) -> tuple[Reminder, ...]:
    """Return when to look at thresholds again, a month after the publication, and at points, a quarter after a change.

    Args:
        now: The present.
        published_at: Of the definition in force; None for none.
        calibrated_at: When points were last changed; the publication, if that is not known.
    """
    since: dict[What, int | None] = {"thresholds": published_at, "points": calibrated_at or published_at}
    due = {what: _months_later(at, MONTHS[what]) for what, at in since.items() if at is not None}
    return tuple(Reminder(what=what, due_at=at, is_due=at <= now) for what, at in due.items())


def _points(document: bytes) -> dict[str, Any]:
    milestones = msgspec.json.decode(document).get("milestones", ())
    return {each["key"]: (each.get("points"), each.get("category")) for each in milestones}


class _Group:
    """Those of one quarter or release, or of several."""

    def __init__(self, name: str, paid: NDArray[Any], qualified: NDArray[Any], scores: NDArray[Any]) -> None:
        self.name, self.paid, self.qualified, self.scores = name, paid, qualified, scores

    @classmethod
    def of(cls, observations: Observations, old_points: Mapping[str, int], name: str, is_in: NDArray[Any]) -> _Group:
        import numpy as np

        some = observations.only(is_in)
        qualified = np.zeros(len(some.paid), bool) if some.qualified is None else some.qualified
        return cls(name, some.paid, qualified, some.scores(old_points))

    @classmethod
    def joined(cls, groups: Sequence[_Group]) -> _Group:
        import numpy as np

        columns = (np.concatenate([getattr(each, name) for each in groups]) for name in ("paid", "qualified", "scores"))
        return cls("", *columns)

    def row(self, cut: Cut) -> DriftRow:
        return DriftRow(
            cut=cut,
            name=self.name,
            baseline=self.rate("baseline"),
            precision=self.rate("precision"),
            auc=auc(self.paid, self.scores),
        )

    def rate(self, metric: Metric) -> Rate:
        paid = self.paid if metric == "baseline" else self.paid[self.qualified]
        return rate(int(paid.sum()), len(paid))


def _cut(observations: Observations, cut: Cut) -> list[tuple[str, NDArray[Any]]]:
    """Return the names of quarters or releases, oldest first, with the rows of each."""
    import numpy as np

    times = observations.signed_up_at
    if times is None or not len(times):
        return []
    if cut == "quarter":
        labels = np.array([_quarter(int(at)) for at in times], object)
    elif observations.release is None:
        return []
    else:
        labels = observations.release
    first = {label: int(times[labels == label].min()) for label in set(labels.tolist()) if label}
    return [(label, labels == label) for label in sorted(first, key=lambda label: (first[label], label))]


def _compared(groups: Sequence[tuple[Cut, Sequence[_Group]]]) -> tuple[Alarm, ...]:
    found = []
    for cut, members in groups:
        newer, older = members[-1], _Group.joined(members[:-1])
        found += [
            (cut, newer.name, metric, *numbers)
            for metric in _METRICS
            if (numbers := _difference(newer, older, metric)) is not None
        ]
    q_values = adjusted([each[-1] for each in found]) if found else []
    return tuple(
        Alarm(
            cut=cut,
            name=name,
            metric=metric,
            newer=newer,
            older=older,
            difference=newer - older,
            low=low,
            high=high,
            q_value=float(q),
            is_alarming=bool(q < ALARM),
        )
        for (cut, name, metric, newer, older, low, high, _), q in zip(found, q_values, strict=True)
    )


def _difference(newer: _Group, older: _Group, metric: Metric) -> tuple[float, float, float, float, float] | None:
    """Return (newer, older, low, high, p) of a figure; None where there are too few.

    Shares: see ``comparisons``. AUCs: of independent samples (Hanley and McNeil, 1982).
    """
    if metric == "auc":
        return _difference_of_auc(newer, older)
    new, old = newer.rate(metric), older.rate(metric)
    if new.share is None or old.share is None or min(new.of, old.of) < FEWEST:
        return None
    found = compare((old.count, old.of), (new.count, new.of))
    return new.share, old.share, found.low, found.high, found.p_value


def _difference_of_auc(newer: _Group, older: _Group) -> tuple[float, float, float, float, float] | None:
    from scipy.stats import norm

    new, old = auc(newer.paid, newer.scores), auc(older.paid, older.scores)
    fewest = min(int(min(each.paid.sum(), (~each.paid).sum())) for each in (newer, older))
    if new is None or old is None or fewest < FEWEST:
        return None
    errors = [
        auc_error(found.value, int(group.paid.sum()), int((~group.paid).sum()))
        for found, group in ((new, newer), (old, older))
    ]
    error = math.hypot(*errors)
    middle, reach = new.value - old.value, float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    p_value = 2 * float(norm.sf(abs(middle) / error)) if error else 1.0
    return new.value, old.value, middle - reach, middle + reach, p_value


def _months_later(at: int, months: int) -> int:
    """Return the same day of a later month at the same time of day, or the last day that month has."""
    moment = _EPOCH + timedelta(microseconds=at)
    year, month = divmod(moment.month - 1 + months, 12)
    last = monthrange(moment.year + year, month + 1)[1]
    later = moment.replace(year=moment.year + year, month=month + 1, day=min(moment.day, last))
    return to_micros(later)


def _quarter(at: int) -> str:
    moment = _EPOCH + timedelta(microseconds=at)
    return f"{moment.year}-Q{(moment.month + 2) // 3}"
