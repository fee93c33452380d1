"""Playbooks: ready definitions to begin from; taking one over makes a draft of each of its entities."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.documents import read_definition
from nudge_sdk.errors import SetupError
from nudge_sdk.playbooks import list_playbooks, read_playbook

from .. import drafting
from ..access import current_actor, for_role
from ..pages import current_client, current_workspace, go, page

blueprint = Blueprint("playbooks", __name__, url_prefix="/playbooks")


@blueprint.get("/")
@for_role("viewer")
def show_all() -> Response:
    """Show every playbook."""
    return page("playbooks/show_all.html", playbooks=list_playbooks())


@blueprint.post("/")
@for_role("editor")
def take_over() -> AnyResponse:
    """Make drafts of a playbook, where nothing is defined yet."""
    workspace = current_workspace()
    if workspace.number or workspace.drafts:
        abort(409, "There is a definition already. A playbook is a place to begin, so nothing was taken over.")
    try:
        definition = read_definition(read_playbook(request.form.get("playbook", "")))
    except SetupError:
        abort(404, "There is no such playbook.")
    drafting.begin_with(current_client(), definition, actor=current_actor())
    return go("publishing.review", "saved")
