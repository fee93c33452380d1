"""Calibration: what points milestones should have, from who paid. It proposes; a person takes them into a draft."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.insights.calibration import Settings, calibrate, with_points
from nudge_sdk.insights.calibration_reports import CalibrationReport
from nudge_sdk.insights.drift import drift, points_changed_at
from nudge_sdk.insights.drift_reports import DriftReport
from nudge_sdk.insights.features import Asked, observe, points_of
from nudge_sdk.insights.movement import movement
from nudge_sdk.insights.tables import Tables
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.lint_findings import name_of

from ..access import for_role
from ..editing import Unfit, save_entity
from ..pages import current_client, current_workspace, go, page
from ..proof.calibration import (
    answer_of,
    drift_answer,
    points_words,
    reliability_chart,
    reminder_words,
    rows_of,
    weights_chart,
)
from ..proof.reading import choice, kept, report_page
from ..queries import Conflict
from ..workspace import Workspace
from .members import live_rules

blueprint = Blueprint("calibration", __name__, url_prefix="/calibration")

_KIND = "milestone"
_THOUSAND = 1000
_MOST_JUDGED = 3_000
_MOST = 1_000_000
"""Thousandths: more points than anybody would give."""

_UNITS = {"account": "Accounts", "member": "People"}
_NUDGED = {"exclude": "leave them out", "adjust": "allow for it"}
_PENALTIES = {"firth": "Firth's", "ridge": "Ridge", "none": "None"}
_AT_DAYS = {"7": "7 days", "14": "14 days", "30": "30 days"}
_WITHIN = {"14": "14 days", "30": "30 days", "60": "60 days", "90": "90 days"}


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed, and whether what was true still is."""

    report: CalibrationReport
    drift: DriftReport


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show what points milestones should have."""
    return report_page("calibration/show.html", _context)


@blueprint.post("/")
@for_role("editor")
def take() -> AnyResponse:
    """Take the points that somebody chose into drafts of their milestones; nothing is published by it."""
    chosen = {key: _points(request.form.get(f"points-{key}", "")) for key in request.form.getlist("take")}
    if not chosen:
        abort(422, "Choose at least one milestone whose points to take.")
    late = [name for key, points in chosen.items() if (name := _take(key, points))]
    if late:
        abort(409, f"Somebody changed {', '.join(late)} since you looked; the others are drafted. Look again.")
    return go("publishing.review", "saved")


@blueprint.get("/movement")
@for_role("viewer")
def moves() -> Response:
    """Show who would enter and leave each tier with the points that the address names."""
    client, rules = current_client(), live_rules()
    keys = {each.key for each in rules.definition.milestones}
    points = {key: _points(text) for key, text in request.args.items() if key in keys}
    proposed = Rules(with_points(rules.definition, points))
    found = movement(client.store, rules, proposed, client.now(), most=_MOST_JUDGED)
    back = url_for("calibration.show")
    return page("publishing/movement.html", block="movement", found=found, by="the proposed points", back=back)


def _take(key: str, points: int) -> str:
    """Save the draft of a milestone with other points; return its name if somebody was faster."""
    workspace = current_workspace()
    plain = workspace.stands(_KIND, key)
    if plain is None:
        abort(404, f"There is no milestone {key}.")
    value = points / _THOUSAND
    document = {**plain, "points": int(value) if value == int(value) else value}
    try:
        save_entity(_KIND, key, document, seen=request.form.get(f"version-{key}", ""))
    except Conflict:
        return name_of(workspace.entity(_KIND, key))
    except Unfit:
        abort(422, f"The milestone {key} has problems of its own. Mend them first.")
    return ""


def _points(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        abort(422, "Those are no points.")
    if not -_MOST <= found <= _MOST:
        abort(422, "Those are no points.")
    return found


def _context(tables: Tables) -> dict[str, Any]:
    client, workspace, rules = current_client(), current_workspace(), live_rules()
    goals = rules.definition.goals
    unit = choice("unit", "Counting", _UNITS, default="member" if goals and goals[0].unit == "member" else "account")
    at_days = choice("observed", "Looking at their first", _AT_DAYS, default="7")
    within = choice("within", "Who paid in the", _WITHIN, default="30")
    nudged = choice("nudged", "Those who saw a nudge", _NUDGED, default="adjust")
    penalty = choice("penalty", "Penalty", _PENALTIES, default="firth")
    settings = Settings(penalty=penalty.chosen, nudged=nudged.chosen)  # type: ignore[arg-type]
    asked = Asked(client.now(), int(at_days.chosen), int(within.chosen), unit.chosen)  # type: ignore[arg-type]
    filters = (unit, at_days, within, nudged, penalty)
    made = kept(Calibrated, lambda: _made(tables, rules, asked, settings), *(each.chosen for each in filters))
    report, changes = made.report, made.drift
    names = {each.key: name_of(each) for each in rules.definition.milestones}
    return {
        "as_of": changes.at,
        "filters": filters,
        "report": report,
        "answer": answer_of(report),
        "reliability": reliability_chart(report.tested or report.apparent),
        "weights": weights_chart(report, names),
        "rows": rows_of(report, names),
        "versions": _versions(workspace, [each.name for each in report.features]),
        "points_words": points_words,
        "moves": url_for("calibration.moves", **report.points) if report.points else "",  # type: ignore[arg-type]
        "drift": changes,
        "drift_answer": drift_answer(changes),
        "reminders": reminder_words(changes.reminders),
        "unit": unit.chosen,
        "days": f"the {within.words} after their first {at_days.words}",
    }


def _made(tables: Tables, rules: Rules, asked: Asked, settings: Settings) -> Calibrated:
    client = current_client()
    observations, old = observe(client.store, tables, rules, asked), points_of(rules)
    rows = client.intake.current().rows
    published = rows[-1].published_at if rows else None
    changed = points_changed_at(rows)
    return Calibrated(
        report=calibrate(observations, settings, old),
        drift=drift(observations, old, now=asked.now, published_at=published, calibrated_at=changed),
    )


def _versions(workspace: Workspace, keys: list[str]) -> dict[str, str]:
    return {key: workspace.version(_KIND, key) for key in keys if workspace.entity(_KIND, key) is not None}
