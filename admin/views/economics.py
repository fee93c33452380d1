"""Economics: what a PQL and a customer cost, from costs typed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from nudge_sdk.errors import RecordError
from nudge_sdk.insights.economics import Cost, amount_text, economics, read_amount
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.times import DAY, day_of, to_iso

from ..access import for_role
from ..pages import current_client
from ..proof.economics import NAMES, answer_of, chart_of
from ..proof.reading import report_page, segment_choice

blueprint = Blueprint("economics", __name__, url_prefix="/economics")

DAYS = 90
"""How long ago the time begins, unless said otherwise."""

FIELDS = (
    ("pql", "Spent on PQLs", "Prompts, help, and sales work on people who qualified in the product."),
    ("other", "Spent on other ways", "Advertisements, lists, sales work on everybody else."),
    ("shared", "Spent on both", "Divided by the customers won, the same amount each."),
)


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody typed in."""

    name: str
    label: str
    help: str
    value: str
    problem: str = ""


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show what customers cost by where they came from."""
    return report_page("economics/show.html", _context)


def _context(tables: Tables) -> dict[str, Any]:
    now, segment = current_client().now(), segment_choice()
    since, until = _date("since", day_of(now) - DAYS + 1), _date("until", day_of(now))
    if since[0] > until[0]:
        until = (until[0], "The last day lies before the first.")
    costs, fields = _costs()
    problems = [each.problem for each in fields if each.problem] + [each[1] for each in (since, until) if each[1]]
    found = economics(
        tables, costs, since=since[0] * DAY, until=(max(since[0], until[0]) + 1) * DAY, segment=segment.chosen
    )
    return {
        "filters": (segment,),
        "fields": fields,
        "problems": problems,
        "since": to_iso(since[0] * DAY)[:10],
        "until": to_iso(until[0] * DAY)[:10],
        "answer": answer_of(found),
        "chart": chart_of(found),
        "found": found,
        "names": NAMES,
        "amount": amount_text,
    }


def _costs() -> tuple[list[Cost], list[Field]]:
    costs, fields = [], []
    for name, label, help in FIELDS:
        text, problem = request.args.get(name, "").strip(), ""
        try:
            if text:
                costs.append(Cost(of=name, amount=read_amount(text), name=label))  # type: ignore[arg-type]
        except RecordError as error:
            problem = f"{label}: {error.reason}."
        fields.append(Field(name=name, label=label, help=help, value=text, problem=problem))
    return costs, fields


def _date(name: str, default: int) -> tuple[int, str]:
    """Return the UTC day that the address says, and what is wrong with it."""
    text = request.args.get(name, "")
    if not text:
        return default, ""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return default, f"{text!r} is no date; write it as 2026-03-01."
    return int(moment.timestamp()) // 86_400, ""
