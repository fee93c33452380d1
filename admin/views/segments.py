"""Segments: the list in its order, the editor with the smallest ways into each tier beside it, removing one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.rules.authoring import to_plain
from nudge_sdk.rules.definition import Segment
from nudge_sdk.rules.lint_findings import name_of
from nudge_sdk.rules.wording import condition_words

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
from ..forms import key_from
from ..forms.conditions import is_asked, known_names
from ..pages import current_workspace, forget_workspace, go, page
from ..queries import Conflict
from ..queries.events import tiers_by_segment
from ..tier_ways import tiers_of
from ..uses import uses_of_segment
from ..workspace import Workspace
from .segment_form import ENTRIES, SegmentForm, all_errors, document_from, form_for, show_problems

blueprint = Blueprint("segments", __name__, url_prefix="/segments")

_KIND = "segment"
_LIST = "segments"
_NEW: dict[str, Any] = {"key": ""}


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show all segments in their order, with the thresholds of each tier."""
    workspace = current_workspace()
    counts = {"member": tiers_by_segment(members=True), "account": tiers_by_segment(members=False)}
    removed = [each for each in workspace.live.segments if workspace.entity(_KIND, each.key) is None]
    lines = [_line(workspace, each, counts) for each in workspace.definition.segments]
    return page(
        "segments/show_all.html",
        lines=lines,
        removed=[(each.key, name_of(each)) for each in removed],
        version=workspace.version("order", _LIST),
        elsewhere={subject: found.get("", {}) for subject, found in counts.items()},
    )


@blueprint.post("/move-one/")
@for_role("editor")
def move() -> AnyResponse:
    """Move a segment up or down by one."""
    keys = [each.key for each in current_workspace().definition.segments]
    key = request.form.get("key", "")
    if key not in keys:
        abort(404, f"There is no segment {key}.")
    place = keys.index(key)
    other = place + (1 if request.form.get("to") == "down" else -1)
    if not 0 <= other < len(keys):
        return go("segments.show_all", "unchanged")
    keys[place], keys[other] = keys[other], keys[place]
    try:
        notice = save_entity("order", _LIST, keys, seen=request.form.get("version", ""))
    except Conflict:
        abort(409, "Somebody moved a segment since you looked. Look at the order as it is now, and move it then.")
    return go("segments.show_all", "moved" if notice == "saved" else notice)


@blueprint.get("/new-one/")
@for_role("editor")
def new() -> Response:
    """Show an empty editor."""
    return _editor("", _form("", None), {})


@blueprint.post("/new-one/")
@for_role("editor")
def add() -> AnyResponse:
    """Make a draft of a new segment; it stands before one that takes every account."""
    form = _form("", request.form)
    if is_asked(request.form):
        return _editor("", form, {})
    workspace = current_workspace()
    taken = {each.key for each in (*workspace.live.segments, *workspace.definition.segments)}
    key = (form.key.data or "").strip()
    if form.validate() and key in taken:
        form.key.errors = ["This key is taken. Write another, or leave it empty."]
    if all_errors(form):
        return _editor("", form, {"problems": all_errors(form), "status": 422})
    key = key or key_from(form.name.data or "", taken, _KIND)
    return _save(key, form, {"key": key}, seen=workspace.version(_KIND, key), is_new=True)


@blueprint.get("/<key>/")
@for_role("viewer")
def edit(key: str) -> Response:
    """Show the editor of a segment; to viewers what it says."""
    workspace = current_workspace()
    is_removed = workspace.status(_KIND, key) == "removed"
    segment = workspace.live_entity(_KIND, key) if is_removed else workspace.entity(_KIND, key)
    if segment is None:
        abort(404, f"There is no segment {key}.")
    if current_actor().may("editor") and not is_removed:
        return _editor(key, _form(key, None), {})
    words = condition_words(segment.when, workspace.definition)
    return page("segments/show.html", key=key, segment=segment, words=words, **_beside(key, to_plain(segment)))


@blueprint.post("/<key>/")
@for_role("editor")
def save(key: str) -> AnyResponse:
    """Save a segment as a draft."""
    if current_workspace().entity(_KIND, key) is None and not request.form.get("version"):
        abort(404, f"There is no segment {key}.")
    form = _form(key, request.form)
    if is_asked(request.form):
        return _editor(key, form, {})
    if not form.validate():
        return _editor(key, form, {"problems": all_errors(form), "status": 422})
    plain = current_workspace().stands(_KIND, key) or {"key": key}
    return _save(key, form, plain, seen=request.form.get("version", ""))


@blueprint.get("/<key>/remove/")
@for_role("editor")
def confirm_removal(key: str) -> Response:
    """Say what refers to a segment before it is removed."""
    return removal_page(_KIND, _found(key), uses_of_segment)


@blueprint.post("/<key>/remove/")
@for_role("editor")
def remove(key: str) -> AnyResponse:
    """Take a segment out of the draft."""
    return remove_entity(_KIND, _found(key), uses_of_segment)


@blueprint.post("/<key>/discard/")
@for_role("editor")
def discard(key: str) -> AnyResponse:
    """Throw the draft of a segment away."""
    return discard_entity(_KIND, key)


def _form(key: str, formdata: Any) -> SegmentForm:
    workspace = current_workspace()
    plain = workspace.stands(_KIND, key) if key else _NEW
    return form_for(workspace.definition, formdata, plain or {"key": key})


def _save(key: str, form: SegmentForm, plain: dict[str, Any], *, seen: str, is_new: bool = False) -> AnyResponse:
    document = document_from(form, plain)
    shown = "" if is_new else key
    try:
        notice = save_entity(_KIND, key, document, seen=seen)
    except Unfit as unfit:
        left = show_problems(form, unfit.found, document)
        return _editor(shown, form, {"problems": [*left, *all_errors(form)], "status": 422})
    except Conflict:
        forget_workspace()
        return _editor(shown, form, {"meanwhile": meanwhile(_KIND, key, document), "status": 409})
    if is_new and document.get("when"):
        _put_before_the_last(key)
    return go("segments.edit", notice, key=key)


def _put_before_the_last(key: str) -> None:
    """Move a new segment before one that takes every account: behind it nobody would ever be in the new one."""
    workspace = current_workspace()
    others = [each for each in workspace.definition.segments if each.key != key]
    if others and others[-1].when is None:
        keys = [*(each.key for each in others[:-1]), key, others[-1].key]
        save_entity("order", _LIST, keys, seen=workspace.version("order", _LIST))


def _editor(key: str, form: SegmentForm, more: dict[str, Any]) -> Response:
    workspace = current_workspace()
    # What was typed was made from the version that came with it; only a conflict that is shown moves on.
    version = request.form.get("version", "") if request.method == "POST" and "meanwhile" not in more else None
    stands = workspace.stands(_KIND, key) if key else _NEW
    context = {
        "key": key,
        "form": form,
        "entries": ENTRIES,
        "place": url_for("segments.save", key=key) if key else url_for("segments.add"),
        "version": workspace.version(_KIND, key) if version is None else version,
        "known": known_names(workspace.definition),
        "problems": (),
        "meanwhile": None,
        **_beside(key, document_from(form, stands or {"key": key})),
    }
    return page("segments/edit.html", **{**context, **more})


def _beside(key: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what stands beside the form: who is in it now, the ways into each tier, what the lint says."""
    workspace = current_workspace()
    shown = key or "new"
    trial = with_document(workspace, _KIND, shown, {**document, "key": shown})
    segment = trial.entity(_KIND, shown) if not trial.problems_of(_KIND, shown) else None
    return {
        "draft": segment,
        "subjects": tiers_of(trial.definition, segment) if segment is not None else (),
        "counts": _counts(key),
        "uses": uses_of_segment(workspace.definition, key) if key else [],
        "findings": concerning(workspace, trial, _KIND, key) if key else [],
        "lines": latest(_KIND, key) if key else [],
        "status_of": workspace.status(_KIND, key) if key else "",
    }


def _counts(key: str) -> dict[str, dict[str, int]]:
    if not key or current_workspace().live_entity(_KIND, key) is None:
        return {}
    return {
        "member": tiers_by_segment(members=True).get(key, {}),
        "account": tiers_by_segment(members=False).get(key, {}),
    }


def _line(workspace: Workspace, segment: Segment, counts: dict[str, dict[str, dict[str, int]]]) -> dict[str, Any]:
    return {
        "key": segment.key,
        "name": name_of(segment),
        "words": condition_words(segment.when, workspace.definition) if segment.when else "",
        "model": segment.model,
        "status": workspace.status(_KIND, segment.key),
        "subjects": tiers_of(workspace.definition, segment),
        "counts": {subject: found.get(segment.key, {}) for subject, found in counts.items()},
    }


def _found(key: str) -> Any:
    return current_workspace().entity(_KIND, key) or abort(404, f"There is no segment {key}.")
