"""A report of lift in plain English, for the command line and the admin's page alike."""

from __future__ import annotations

from nudge_sdk.insights.lift_reports import LiftReport


def lift_words(report: LiftReport) -> tuple[str, ...]:
    """Return a report as lines: the verdict first, then what it rests on."""
    raise NotImplementedError
