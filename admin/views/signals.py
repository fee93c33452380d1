"""Signals: which early actions go with paying, and which milestones do not."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, request, url_for

from nudge_sdk.insights.questions import AskSignals, AskWorth, Worth
from nudge_sdk.insights.signal_reports import SignalReport, Unit

from ..access import for_role
from ..pages import current_workspace
from ..proof.reading import Choice, choice, kept_page
from ..proof.signals import ADVICE, BADGES, answer_of, asked, chance_words, chart_of, chosen, grid_of

blueprint = Blueprint("signals", __name__, url_prefix="/signals")

_UNITS = {"account": "Accounts", "member": "People"}
_WINDOWS = {"14": "14 days", "30": "30 days", "60": "60 days", "90": "90 days"}


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show which early actions go with paying."""
    filters, asked = _asked()
    question = AskSignals(unit=asked.unit, within_days=asked.within_days)
    return kept_page("signals/show.html", question, lambda report: _context(report, filters), filters)


@blueprint.get("/milestones")
@for_role("viewer")
def milestones() -> Response:
    """Show what reaching each of today's milestones tells about paying."""
    filters, asked = _asked()
    return kept_page("signals/milestones.html", asked, lambda worth: _worth(worth, filters), filters)


def _context(report: SignalReport, filters: tuple[Choice, ...]) -> dict[str, Any]:
    event = chosen(report.events, request.args.get("event", ""))
    baseline = report.converted / report.members if report.members else 0.0
    return {
        "filters": filters,
        "report": report,
        "answer": answer_of(report),
        "chart": chart_of(report),
        "asked": asked,
        "badges": BADGES,
        "chance": chance_words,
        "worth": url_for("signals.milestones", **{each.name: each.chosen for each in filters}),  # type: ignore[arg-type]
        "event": event,
        "grid": grid_of(event, baseline) if event is not None else [],
        "baseline": baseline,
        "scored": _scored(),
    }


def _worth(worth: Worth, filters: tuple[Choice, ...]) -> dict[str, Any]:
    return {
        "milestones": worth.milestones,
        "advice": ADVICE,
        "back": url_for("signals.show", **{each.name: each.chosen for each in filters}),  # type: ignore[arg-type]
        "days": worth.days,
    }


def _asked() -> tuple[tuple[Choice, ...], AskWorth]:
    usual = AskWorth()
    unit = choice("unit", "Counting", _UNITS, default=usual.unit)
    window = choice("within", "Pay within", _WINDOWS, default=str(usual.within_days))
    return (unit, window), AskWorth(unit=cast("Unit", unit.chosen), within_days=int(window.chosen))


def _scored() -> dict[str, str]:
    """Return of each event that a milestone counts the key of that milestone; the one that counts fewest others."""
    counted = [(_names(each.signal.event), each.key) for each in current_workspace().live.milestones if each.signal]
    return {name: key for names, key in sorted(counted, key=lambda each: -len(each[0])) for name in names}


def _names(event: str | tuple[str, ...]) -> tuple[str, ...]:
    return (event,) if isinstance(event, str) else tuple(event)
