"""Milestones: the list, the editor with what it says beside it, removing one."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.rules.definition import CATEGORY_POINTS, Definition, Milestone
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.signals import event_names
from nudge_sdk.rules.wording import signal_words

from ..access import current_actor, for_role
from ..editing import (
    Unfit,
    concerning,
    discard_entity,
    latest,
    meanwhile,
    removal_page,
    remove_entity,
    save_entity,
    with_document,
)
from ..forms import errors_of, key_from, place_problems
from ..forms.conditions import is_asked, known_names
from ..pages import current_client, current_workspace, forget_workspace, go, page
from ..queries import Conflict
from ..queries.events import seen_events
from ..uses import uses_of_milestone
from .milestone_form import FIELDS, MilestoneForm, document_from, form_for

blueprint = Blueprint("milestones", __name__, url_prefix="/milestones")

_KIND = "milestone"
_NEW: dict[str, Any] = {"key": "", "signal": {"event": ""}}


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show all milestones, those of people and those of accounts."""
    workspace = current_workspace()
    removed = [each for each in workspace.live.milestones if workspace.entity(_KIND, each.key) is None]
    lines = [_line(each, workspace.definition) for each in (*workspace.definition.milestones, *removed)]
    groups = {name: [line for line in lines if line["subject"] == name] for name in ("member", "account")}
    return page("milestones/show_all.html", groups=groups, total=len(lines))


@blueprint.get("/new-one/")
@for_role("editor")
def new() -> Response:
    """Show an empty editor."""
    return _editor("", _form("", None), {})


@blueprint.post("/new-one/")
@for_role("editor")
def add() -> AnyResponse:
    """Make a draft of a new milestone."""
    form = _form("", request.form)
    if is_asked(request.form):
        return _editor("", form, {})
    workspace = current_workspace()
    taken = _taken()
    key = (form.key.data or "").strip()
    if form.validate() and key in taken:
        form.key.errors = ["This key is taken. Write another, or leave it empty."]
    if form.errors:
        return _editor("", form, {"problems": errors_of(form), "status": 422})
    key = key or key_from(form.name.data or "", taken, _KIND)
    return _save(key, form, {"key": key}, seen=workspace.version(_KIND, key), is_new=True)


@blueprint.get("/<key>/")
@for_role("viewer")
def edit(key: str) -> Response:
    """Show the editor of a milestone; to viewers what it says."""
    workspace = current_workspace()
    if workspace.status(_KIND, key) == "removed":
        milestone = workspace.live_entity(_KIND, key)
        return page("milestones/show.html", key=key, milestone=milestone, **_beside(key, to_plain(milestone)))
    milestone = workspace.entity(_KIND, key) or abort(404, f"There is no milestone {key}.")
    if current_actor().may("editor"):
        return _editor(key, _form(key, None), {})
    return page("milestones/show.html", key=key, milestone=milestone, **_beside(key, to_plain(milestone)))


@blueprint.post("/<key>/")
@for_role("editor")
def save(key: str) -> AnyResponse:
    """Save a milestone as a draft."""
    if current_workspace().entity(_KIND, key) is None and not request.form.get("version"):
        abort(404, f"There is no milestone {key}.")
    form = _form(key, request.form)
    if is_asked(request.form):
        return _editor(key, form, {})
    if not form.validate():
        return _editor(key, form, {"problems": errors_of(form), "status": 422})
    plain = current_workspace().stands(_KIND, key) or {"key": key}
    return _save(key, form, plain, seen=request.form.get("version", ""))


@blueprint.get("/<key>/remove/")
@for_role("editor")
def confirm_removal(key: str) -> Response:
    """Say what refers to a milestone before it is removed."""
    return removal_page(_KIND, _found(key), uses_of_milestone)


@blueprint.post("/<key>/remove/")
@for_role("editor")
def remove(key: str) -> AnyResponse:
    """Take a milestone out of the draft."""
    return remove_entity(_KIND, _found(key), uses_of_milestone)


@blueprint.post("/<key>/discard/")
@for_role("editor")
def discard(key: str) -> AnyResponse:
    """Throw the draft of a milestone away."""
    return discard_entity(_KIND, key)


def _form(key: str, formdata: Any) -> MilestoneForm:
    workspace = current_workspace()
    plain = workspace.stands(_KIND, key) if key else _NEW
    return form_for(workspace.definition, formdata, plain or {"key": key})


def _taken() -> set[str]:
    workspace = current_workspace()
    live = {each.key for each in workspace.live.milestones}
    return live | {each.key for each in workspace.definition.milestones}


def _save(key: str, form: MilestoneForm, plain: dict[str, Any], *, seen: str, is_new: bool = False) -> AnyResponse:
    document = document_from(form, plain, _locale())
    shown = "" if is_new else key
    try:
        notice = save_entity(_KIND, key, document, seen=seen)
    except Unfit as unfit:
        form.where.show_problems(unfit.found, "signal.where")
        form.when.show_problems(unfit.found, "when")
        rest = {path: found for path, found in unfit.found.items() if not path.startswith(("signal.where", "when"))}
        left = place_problems(form, rest, FIELDS)
        return _editor(shown, form, {"problems": [*left, *errors_of(form)], "status": 422})
    except Conflict:
        forget_workspace()
        return _editor(shown, form, {"meanwhile": meanwhile(_KIND, key, document), "status": 409})
    return go("milestones.edit", notice, key=key)


def _editor(key: str, form: MilestoneForm, more: dict[str, Any]) -> Response:
    workspace = current_workspace()
    # What was typed was made from the version that came with it; only a conflict that is shown moves on.
    version = request.form.get("version", "") if request.method == "POST" and "meanwhile" not in more else None
    context = {
        "key": key,
        "form": form,
        "place": url_for("milestones.save", key=key) if key else url_for("milestones.add"),
        "version": workspace.version(_KIND, key) if version is None else version,
        "known": known_names(workspace.definition),
        "problems": (),
        "meanwhile": None,
        **_beside(key, _document(form, key)),
    }
    return page("milestones/edit.html", **{**context, **more})


def _document(form: MilestoneForm, key: str) -> dict[str, Any] | None:
    """Return what the form says, as far as it can be read."""
    plain = current_workspace().stands(_KIND, key) if key else {"key": "new"}
    try:
        return document_from(form, plain or {"key": key}, _locale())
    except ValueError:
        return plain


def _beside(key: str, document: dict[str, Any] | None) -> dict[str, Any]:
    """Return what stands beside the form: the milestone in words, who refers to it, what the lint says."""
    workspace = current_workspace()
    try:
        milestone = msgspec.convert(document, Milestone)
    except msgspec.ValidationError:
        milestone = None
    seen = seen_events(current_client().now())
    trial = with_document(workspace, _KIND, key or "new", document)
    return {
        "draft": milestone,
        "words": signal_words(milestone, workspace.definition) if milestone is not None else "",
        "worth": _points(milestone) if milestone is not None else 0,
        "done": _first_text(milestone.done) if milestone is not None else "",
        "uses": uses_of_milestone(workspace.definition, key) if key else [],
        "findings": concerning(workspace, trial, _KIND, key) if key and milestone is not None else [],
        "seen": seen,
        "events": [name for name in event_names(milestone.signal) if name] if milestone and milestone.signal else [],
        "lines": latest(_KIND, key) if key else [],
        "status_of": workspace.status(_KIND, key) if key else "",
    }


def _first_text(text: Any) -> str:
    return str(text.get(_locale()) or next(iter(text.values()), "")) if isinstance(text, dict) else str(text)


def _points(milestone: Milestone) -> float:
    return CATEGORY_POINTS[milestone.category] if milestone.points is None else milestone.points


def _line(milestone: Milestone, definition: Definition) -> dict[str, Any]:
    return {
        "key": milestone.key,
        "name": name_of(milestone),
        "subject": milestone.subject,
        "words": signal_words(milestone, definition),
        "category": milestone.category,
        "points": _points(milestone),
        "is_fit": milestone.axis == "fit",
        "is_aha": milestone.is_aha,
        "uses": uses_of_milestone(definition, milestone.key),
        "status": current_workspace().status(_KIND, milestone.key),
    }


def _found(key: str) -> Any:
    return current_workspace().entity(_KIND, key) or abort(404, f"There is no milestone {key}.")


def _locale() -> str:
    return current_workspace().definition.settings.default_locale
