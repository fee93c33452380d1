"""The funnel: Sign-up, Activation, PQL, PQA, Won, or any ordered list of events."""

from __future__ import annotations

from collections.abc import Iterable

from nudge_sdk.insights.funnel_reports import WINDOW_DAYS, FunnelReport, FunnelRow, Unit
from nudge_sdk.insights.tables import Tables


def funnel(
    tables: Tables,
    *,
    unit: Unit = "member",
    by: str = "",
    within_days: float | None = WINDOW_DAYS,
    at: int | None = None,
) -> FunnelReport:
    """Return how many came from sign-up to won, in order.

    Args:
        tables: What to read.
        unit: ``member`` or ``account``.
        by: ``segment``, ``cohort`` (week of sign-up), ``source``, ``trait:<name>``, or empty.
        within_days: How long after sign-up a step counts; None for ever.
        at: As of when, in microseconds; the moment of the tables if not said.

    Raises:
        SetupError: ``unit`` or ``by`` is none of those.
    """
    raise NotImplementedError


def event_funnel(
    tables: Tables,
    steps: tuple[str, ...],
    *,
    unit: Unit = "member",
    within_days: float | None = None,
    session_property: str = "session_id",
    at: int | None = None,
) -> FunnelReport:
    """Return how many did one event after the other: each step the earliest at or after the one before.

    Args:
        tables: What to read.
        steps: Names of events, two or more, each once.
        unit: Whose events they are: a member's, an account's, or those with one value of ``session_property``.
        within_days: How long after the first step the last may come; None for ever.
        session_property: Property that tells sessions apart.
        at: As of when, in microseconds; the moment of the tables if not said.

    Raises:
        SetupError: Fewer than two steps, or one twice.
    """
    raise NotImplementedError


def funnel_rows(report: FunnelReport) -> list[FunnelRow]:
    """Return a report as a table: a line for each step of each group."""
    raise NotImplementedError


def funnel_words(report: FunnelReport) -> Iterable[str]:
    """Return a report as lines for people."""
    raise NotImplementedError
