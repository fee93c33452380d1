"""Publishing: what the drafts change, what stands against it, who would enter and leave, and going live."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as AnyResponse
from wtforms import BooleanField, Form, HiddenField, TextAreaField
from wtforms.validators import DataRequired, Length

from nudge_sdk.errors import DefinitionError
from nudge_sdk.insights.movement import Movement, movement
from nudge_sdk.rules.compiled import Rules
from nudge_sdk.rules.lint import is_blocking

from .. import drafting
from ..access import current_actor, for_role
from ..differences import differences
from ..drafting import LONGEST_NOTE, Refused
from ..pages import current_client, current_workspace, forget_workspace, go, page
from ..places import edit_place, place_of
from ..queries import Conflict
from ..workspace import LISTS, Change, Workspace

blueprint = Blueprint("publishing", __name__, url_prefix="/publish")

_MOST_JUDGED = 3_000
"""So that the answer takes about a second; beyond, it is a sample and says so."""


class PublishForm(Form):
    """Why, and of what the publisher saw."""

    note = TextAreaField(
        "Note",
        [DataRequired("Say why you publish; it stands in the history."), Length(max=LONGEST_NOTE)],
        description="Why, for those who read the history later.",
    )
    anyway = BooleanField("Publish although the check says no; the note says why")
    seen = HiddenField()


@blueprint.get("/")
@for_role("viewer")
def review() -> Response:
    """Show what publishing would change."""
    return _page(PublishForm(data={"seen": current_workspace().fingerprint}))


@blueprint.post("/")
@for_role("publisher")
def publish() -> AnyResponse:
    """Publish all drafts."""
    form, workspace = PublishForm(request.form), current_workspace()
    if not form.validate():
        return _page(form, status=422)
    if is_blocking(workspace.findings) and not form.anyway.data:
        return _page(form, problem="The check says no. Mend what it names, or say in the note why not.", status=422)
    try:
        drafting.publish(
            current_client(), workspace, note=str(form.note.data), seen=str(form.seen.data), actor=current_actor()
        )
    except DefinitionError:
        return _page(form, problem="The drafts have problems, named below.", status=422)
    except Refused as error:
        return _page(form, problem=str(error), status=422)
    except Conflict:
        return _again(form)
    return go("history.show_all", "published")


@blueprint.get("/movement")
@for_role("viewer")
def moves() -> Response:
    """Show who would enter and leave each tier."""
    workspace = current_workspace()
    found = _movement(workspace) if workspace.changes and not workspace.problems else None
    return page("publishing/movement.html", block="movement", found=found)


@blueprint.post("/discard")
@for_role("editor")
def discard() -> AnyResponse:
    """Throw one draft away."""
    draft, seen = (request.form.get("kind", ""), request.form.get("key", "")), request.form.get("version", "")
    try:
        drafting.discard(current_client(), current_workspace(), draft, seen=seen, actor=current_actor())
    except Conflict:
        abort(409, "The draft was changed by somebody else in between. Look at it before you throw it away.")
    return go("publishing.review", "discarded")


def _again(form: PublishForm) -> Response:
    """Show the review anew, of what stands now."""
    forget_workspace()
    again = PublishForm(data={"note": form.note.data, "seen": current_workspace().fingerprint})
    text = "Something was saved or published since you looked. This is what stands now; look again, then publish."
    return _page(again, problem=text, status=409)


def _page(form: PublishForm, *, problem: str = "", status: int = 200) -> Response:
    workspace = current_workspace()
    return page(
        "publishing/review.html",
        form=form,
        problem=problem,
        changes=[_shown(workspace, change) for change in workspace.changes],
        problems=[(each, place_of(each.where)) for each in workspace.problems],
        findings=[(each, place_of(each.where)) for each in workspace.findings],
        is_blocked=is_blocking(workspace.findings),
        longest_note=LONGEST_NOTE,
        status=status,
    )


def _shown(workspace: Workspace, change: Change) -> dict[str, Any]:
    document = change.after or change.before
    name = document.get("name") if isinstance(document, dict) else ""
    has_editor = change.kind in LISTS and change.after is not None
    return {
        "change": change,
        "title": name or change.key or change.kind,
        "differences": differences(change.before, change.after),
        "version": workspace.version(change.kind, change.key),
        "place": edit_place(LISTS[change.kind], change.key) if has_editor else "",
    }


def _movement(workspace: Workspace) -> Movement:
    client = current_client()
    live, drafted = client.decider.catalog().rules, Rules(workspace.definition)
    return movement(client.store, live, drafted, client.now(), most=_MOST_JUDGED)
