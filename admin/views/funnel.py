"""The funnel: from sign-up to won, or any ordered list of events."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.funnel import event_funnel, funnel
from nudge_sdk.insights.funnel_reports import FunnelReport
from nudge_sdk.insights.tables import Tables

from ..access import for_role
from ..pages import current_client
from ..proof.funnel import UNITS, answer_of, chart_of
from ..proof.reading import Choice, choice, report_page, trait_names
from ..queries.events import seen_events

blueprint = Blueprint("funnel", __name__, url_prefix="/funnel")

MOST_SEEN = 10_000
"""Events that are looked at for names to choose steps from, the latest ones."""

_UNITS = {"account": "Accounts", "member": "People", "session": "Sessions"}
_WINDOWS = {"7": "7 days", "14": "14 days", "30": "30 days", "90": "90 days", "ever": "however long it takes"}
_BY = {"": "Nothing", "segment": "Segment", "cohort": "Week of sign-up", "source": "Source"}


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show how many come how far."""
    return report_page("funnel/show.html", _context)


def _context(tables: Tables) -> dict[str, Any]:
    steps = tuple(each.strip() for each in request.args.get("steps", "").split(",") if each.strip())
    window = choice("within", "In the time of", _WINDOWS, default="30")
    unit = _unit(has_steps=bool(steps))
    filters, problem = [unit, window], ""
    if not steps:
        filters.insert(
            1, choice("by", "Divided by", {**_BY, **{f"trait:{each}": each for each in trait_names(tables)}})
        )
    try:
        report: FunnelReport | None = _report(tables, steps, filters)
    except SetupError as error:
        report, problem = None, str(error)
    steps_of = _step_choice(report) if report is not None and report.by == "cohort" else None
    return {
        "filters": filters,
        "steps": ", ".join(steps),
        "names": list(seen_events(current_client().now(), most=MOST_SEEN).counts),
        "mistake": problem,
        "report": report,
        "answer": answer_of(report) if report else "",
        "chart": chart_of(report, steps_of.chosen if steps_of else "") if report else None,
        "step": steps_of,
        "kept": {each.name: each.chosen for each in filters},
        "columns": [{"label": each.name, "numeric": True} for each in report.total.steps] if report else [],
        "unit": UNITS[unit.chosen],
    }


def _step_choice(report: FunnelReport) -> Choice:
    names = {each.key: each.name for each in report.total.steps[1:]}
    return choice("step", "Who came to", names, default=report.total.steps[-1].key)


def _unit(*, has_steps: bool) -> Choice:
    options = {name: words for name, words in _UNITS.items() if has_steps or name != "session"}
    return choice("unit", "Counting", options, default="account")


def _report(tables: Tables, steps: tuple[str, ...], filters: list[Choice]) -> FunnelReport:
    chosen = {each.name: each.chosen for each in filters}
    within = None if chosen["within"] == "ever" else float(chosen["within"])
    now = current_client().now()
    if steps:
        return event_funnel(tables, steps, unit=chosen["unit"], within_days=within, at=now)  # type: ignore[arg-type]
    return funnel(tables, unit=chosen["unit"], by=chosen["by"], within_days=within, at=now)  # type: ignore[arg-type]
