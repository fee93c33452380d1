"""Accuracy: does qualifying tell who converts?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from nudge_sdk.insights.accuracy_reports import WINDOW_DAYS, AccuracyReport, Flag
from nudge_sdk.insights.benchmarks import Benchmark
from nudge_sdk.insights.tables import Tables


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to judge, and by what.

    Attributes:
        unit: member or account.
        flag: ``pql`` (first warm or hot) or ``pqa`` (the account's first hot).
        within_days: How long after it qualified a unit may convert; None for ever.
        at: As of when, in microseconds; the moment of the tables if None.
        best_customers: Ids of accounts or users that stand for conversion instead of the goal (R23); None for none.
        scored: Names of events that milestones count; ``scored_events(definition)`` gives them.
        has_lists: Whether to name false positives and negatives, with what they did: this reads the events.
        benchmarks: What to compare with.
    """

    unit: Literal["member", "account"] = "account"
    flag: Flag = "pql"
    within_days: float | None = WINDOW_DAYS
    at: int | None = None
    best_customers: Sequence[str] | None = None
    scored: frozenset[str] = frozenset()
    has_lists: bool = True
    benchmarks: tuple[Benchmark, ...] = ()


def accuracy(tables: Tables, asked: Asked) -> AccuracyReport:
    """Return how well qualifying tells who converts."""
    raise NotImplementedError


def accuracy_words(report: AccuracyReport) -> Iterable[str]:
    """Return a report as lines for people."""
    raise NotImplementedError
