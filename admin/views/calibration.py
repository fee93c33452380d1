"""Calibration: what points milestones should have, from who paid. It proposes; a person takes them into a draft."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.insights.calibration import with_points
from nudge_sdk.insights.calibration_reports import Nudged
from nudge_sdk.insights.movement import movement
from nudge_sdk.insights.questions import AskCalibration, Calibrated, buyer_of
from nudge_sdk.insights.signal_reports import Unit
from nudge_sdk.insights.statistics.logistic import Penalty
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
from ..proof.reading import Choice, choice, kept_page
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


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show what points milestones should have."""
    filters, question = _asked()
    return kept_page("calibration/show.html", question, lambda made: _context(made, filters), filters)


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


def _asked() -> tuple[tuple[Choice, ...], AskCalibration]:
    usual = AskCalibration(unit=buyer_of(live_rules().definition))
    unit = choice("unit", "Counting", _UNITS, default=usual.unit)
    at_days = choice("observed", "Looking at their first", _AT_DAYS, default=str(usual.at_days))
    within = choice("within", "Who paid in the", _WITHIN, default=str(usual.within_days))
    nudged = choice("nudged", "Saw a nudge", _NUDGED, default=usual.nudged)
    penalty = choice("penalty", "Penalty", _PENALTIES, default=usual.penalty)
    question = AskCalibration(
        unit=cast("Unit", unit.chosen),
        at_days=int(at_days.chosen),
        within_days=int(within.chosen),
        nudged=cast("Nudged", nudged.chosen),
        penalty=cast("Penalty", penalty.chosen),
    )
    return (unit, at_days, within, nudged, penalty), question


def _context(made: Calibrated, filters: tuple[Choice, ...]) -> dict[str, Any]:
    workspace, rules = current_workspace(), live_rules()
    report, changes = made.report, made.drift
    unit, at_days, within, *_ = filters
    names = {each.key: name_of(each) for each in rules.definition.milestones}
    known = {name: points for name, points in report.points.items() if name in names}
    return {
        "filters": filters,
        "report": report,
        "answer": answer_of(report),
        "reliability": reliability_chart(report.tested or report.apparent),
        "weights": weights_chart(report, names),
        "rows": rows_of(report, names),
        "versions": _versions(workspace, [each.name for each in report.features]),
        "points_words": points_words,
        "moves": url_for("calibration.moves", **known) if known else "",  # type: ignore[arg-type]
        "drift": changes,
        "drift_answer": drift_answer(changes),
        "reminders": reminder_words(changes.reminders),
        "unit": unit.chosen,
        "days": f"the {within.words} after their first {at_days.words}",
    }


def _versions(workspace: Workspace, keys: list[str]) -> dict[str, str]:
    return {key: workspace.version(_KIND, key) for key in keys if workspace.entity(_KIND, key) is not None}
