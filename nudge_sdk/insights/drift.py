"""Drift: whether what was true when the points were set is still true (R77, R78)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.statistics.performance import Auc

if TYPE_CHECKING:
    from nudge_sdk.insights.observations import Observations


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One quarter, or one release of the host.

    Attributes:
        baseline: Who paid.
        precision: Of those who had qualified by the end of the observation: who paid.
        auc: How well today's points tell payers from others.
    """

    cut: Literal["quarter", "release"]
    name: str
    baseline: Rate
    precision: Rate
    auc: Auc | None


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The newest quarter or release against all before it.

    Attributes:
        metric: Which figure.
        newer, older: Its values.
        difference, low, high: Newer less older, with the interval.
        q_value: Benjamini-Hochberg over all that were compared.
        is_alarming: Whether q < 0.05.
    """

    cut: Literal["quarter", "release"]
    name: str
    metric: Literal["baseline", "precision", "auc"]
    newer: float
    older: float
    difference: float
    low: float
    high: float
    q_value: float
    is_alarming: bool


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """When to look again, as an instant in microseconds."""

    what: Literal["thresholds", "points"]
    due_at: int
    is_due: bool


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the definition still does what it did."""

    at: int
    rows: tuple[DriftRow, ...]
    compared: tuple[Alarm, ...]
    reminders: tuple[Reminder, ...]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Those that are alarming."""
        return tuple(each for each in self.compared if each.is_alarming)


def drift(
    observations: Observations,
    old_points: dict[str, int],
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
        calibrated_at: When points were last changed; they are looked at a quarter after it.
    """
    raise NotImplementedError


def drift_words(report: DriftReport) -> list[str]:
    """Return a report as lines for people."""
    raise NotImplementedError
