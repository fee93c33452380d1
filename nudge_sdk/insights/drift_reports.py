"""What a report of drift holds."""

from __future__ import annotations

from typing import Literal

import msgspec

from nudge_sdk.insights.statistics.intervals import Rate
from nudge_sdk.insights.statistics.performance import Auc

Cut = Literal["quarter", "release"]
Metric = Literal["baseline", "precision", "auc"]
What = Literal["thresholds", "points"]


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """Those who signed up in one quarter (UTC), or were observed under one release of the host.

    Attributes:
        baseline: Who paid.
        precision: Of those who had qualified by the end of the observation: who paid.
        auc: How well today's points tell payers from others.
    """

    cut: Cut
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

    cut: Cut
    name: str
    metric: Metric
    newer: float
    older: float
    difference: float
    low: float
    high: float
    q_value: float
    is_alarming: bool


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """When to look again, as an instant in microseconds."""

    what: What
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
