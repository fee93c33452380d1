"""Signals: which early actions go with paying, and which milestones do not."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request, url_for

from nudge_sdk.insights.features import Asked, observe, points_of
from nudge_sdk.insights.milestone_signals import milestone_signals
from nudge_sdk.insights.signal_reports import MilestoneSignal, SignalReport
from nudge_sdk.insights.signals import signals
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.lint_findings import name_of

from ..access import for_role
from ..pages import current_client, current_workspace
from ..proof.reading import Choice, choice, kept, report_page
from ..proof.signals import ADVICE, BADGES, answer_of, asked, chance_words, chart_of, chosen, grid_of
from .members import live_rules

blueprint = Blueprint("signals", __name__, url_prefix="/signals")

_UNITS = {"account": "Accounts", "member": "People"}
_WINDOWS = {"14": "14 days", "30": "30 days", "60": "60 days", "90": "90 days"}


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What today's milestones tell, reached within so many days."""

    milestones: tuple[MilestoneSignal, ...]
    days: int


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show which early actions go with paying."""
    return report_page("signals/show.html", _context)


@blueprint.get("/milestones")
@for_role("viewer")
def milestones() -> Response:
    """Show what reaching each of today's milestones tells about paying."""
    return report_page("signals/milestones.html", _worth)


def _context(tables: Tables) -> dict[str, Any]:
    unit, window = _choices()
    question = (unit.chosen, window.chosen)
    report = kept(SignalReport, lambda: _signals(tables, *question), *question)
    event = chosen(report.events, request.args.get("event", ""))
    baseline = report.converted / report.members if report.members else 0.0
    return {
        "as_of": report.at,
        "filters": (unit, window),
        "report": report,
        "answer": answer_of(report),
        "chart": chart_of(report),
        "asked": asked,
        "badges": BADGES,
        "chance": chance_words,
        "worth": url_for("signals.milestones", unit=unit.chosen, within=window.chosen),
        "event": event,
        "grid": grid_of(event, baseline) if event is not None else [],
        "baseline": baseline,
        "scored": _scored(),
    }


def _signals(tables: Tables, unit: Any, within: str) -> SignalReport:
    return signals(tables, now=current_client().now(), within_days=int(within), unit=unit)


def _worth(tables: Tables) -> dict[str, Any]:
    unit, window = _choices()
    question = (unit.chosen, window.chosen)
    worth = kept(Worth, lambda: _milestones(tables, *question), *question)
    return {
        "milestones": worth.milestones,
        "advice": ADVICE,
        "back": url_for("signals.show", unit=unit.chosen, within=window.chosen),
        "days": worth.days,
    }


def _milestones(tables: Tables, unit: Any, within: str) -> Worth:
    rules, client = live_rules(), current_client()
    question = Asked(client.now(), within_days=int(within), unit=unit)
    names = {each.key: name_of(each) for each in rules.definition.milestones}
    observations = observe(client.store, tables, rules, question)
    found = milestone_signals(observations, points_of(rules), names)
    return Worth(milestones=found, days=question.at_days)


def _choices() -> tuple[Choice, Choice]:
    return (
        choice("unit", "Counting", _UNITS, default="account"),
        choice("within", "Pay within", _WINDOWS, default="30"),
    )


def _scored() -> dict[str, str]:
    """Return of each event that a milestone counts the key of that milestone; the one that counts fewest others."""
    counted = [(_names(each.signal.event), each.key) for each in current_workspace().live.milestones if each.signal]
    return {name: key for names, key in sorted(counted, key=lambda each: -len(each[0])) for name in names}


def _names(event: str | tuple[str, ...]) -> tuple[str, ...]:
    return (event,) if isinstance(event, str) else tuple(event)
