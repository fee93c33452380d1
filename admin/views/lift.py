"""Lift: what nudges change, told by those from whom chance withheld them."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse
from wtforms import DecimalField, Form
from wtforms.validators import InputRequired, NumberRange

from nudge_sdk.errors import SetupError
from nudge_sdk.insights.lift import lift_of_nudges
from nudge_sdk.insights.lift_plans import KeptPlan, keep_plan, kept_plan
from nudge_sdk.insights.lift_reports import LiftReport
from nudge_sdk.insights.lift_words import plan_words
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.times import DAY

from ..access import current_actor, for_role
from ..pages import current_client, go
from ..proof.lift import answer_of, chart_of, rows_of
from ..proof.reading import choice, report_page
from ..workspace import loaded

blueprint = Blueprint("lift", __name__, url_prefix="/lift")

_WINDOWS = {"7": "7 days", "14": "14 days", "30": "30 days", "60": "60 days", "90": "90 days"}


class PlanForm(Form):
    """What is worth finding, in percent."""

    baseline = DecimalField(
        "Pay without a nudge, in %",
        [InputRequired("Write a number of percent."), NumberRange(0, 99)],
        description="What you expect of those who see none.",
    )
    effect = DecimalField(
        "Worth finding, in points",
        [InputRequired("Write a number of points."), NumberRange(0.1, 99)],
        description="The least rise that would matter to you.",
    )


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show what each nudge changes."""
    return _page(None)


@blueprint.post("/plan")
@for_role("editor")
def fix() -> AnyResponse:
    """Fix how large a difference is worth finding, and with it the size of every experiment."""
    form, client = PlanForm(request.form), current_client()
    if not form.validate():
        return _page(form, status=422)
    plan = KeptPlan(
        baseline=float(form.baseline.data or 0) / 100,
        effect=float(form.effect.data or 0) / 100,
        at=client.now(),
        by=current_actor().name,
    )
    try:
        plan.plan()
    except SetupError as error:
        form.effect.errors = [*form.effect.errors, str(error)]
        return _page(form, status=422)
    keep_plan(client.store, plan)
    return go("lift.show", "planned")


def _page(form: PlanForm | None, *, status: int = 200) -> Response:
    return report_page("lift/show.html", lambda tables: _context(tables, form), status=status)


def _context(tables: Tables, form: PlanForm | None) -> dict[str, Any]:
    client = current_client()
    window = choice("within", "Counts if they pay within", _WINDOWS, default="30")
    definitions = _definitions()
    plan = kept_plan(client.store)
    live = definitions[-1]
    met = {key for (key,) in tables.rows(tables.exposures.select("nudge").distinct())}
    # Each nudge is a query of its own: of those that nobody met there is nothing to ask.
    asked = msgspec.structs.replace(live, nudges=tuple(each for each in live.nudges if each.key in met))
    reports = lift_of_nudges(
        tables,
        asked,
        client.now(),
        earlier=definitions[:-1],
        window_days=int(window.chosen),
        plan=plan.plan(),
    )
    rows = rows_of(reports, is_randomised=True)
    return {
        "filters": (window,),
        "answer": answer_of(reports),
        "chart": chart_of(reports),
        "rows": rows,
        "associations": rows_of(reports, is_randomised=False),
        "unseen": [each.name or each.key for each in live.nudges if each.key not in met],
        "plan": plan,
        "plan_words": plan_words(plan.plan(_share(reports)), _unit(reports)),
        "is_late": plan.at > _began(reports, client.now()),
        "form": form or PlanForm(data={"baseline": plan.baseline * 100, "effect": plan.effect * 100}),
    }


def _definitions() -> list[Definition]:
    """Return every publication that was in force, oldest first."""
    rows = current_client().intake.current().rows
    return [loaded(row.document) for row in rows if row.live_at is not None]


def _share(reports: tuple[LiftReport, ...]) -> float:
    return next((each.plan.share for each in reports if each.plan is not None), 0.5)


def _unit(reports: tuple[LiftReport, ...]) -> str:
    return reports[0].unit if reports else "account"


def _began(reports: tuple[LiftReport, ...], now: int) -> int:
    """Return when the first unit of all came in."""
    days = [each.progress.days for each in reports if each.is_randomised and each.progress.days is not None]
    return now - max(days) * DAY if days else now
