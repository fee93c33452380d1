"""Proof: what its pages have in common."""

from __future__ import annotations

import time

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.hosts.slips import same_site
from nudge_sdk.insights.journeys import steps
from nudge_sdk.insights.kept_reports import ask_anew, kept_at
from nudge_sdk.store.sql_store import SqlStore

from ..access import for_role
from ..pages import current_client, go_to, page
from ..proof.reading import maker
from .members import live_rules

blueprint = Blueprint("proof", __name__, url_prefix="/proof")

LONGEST = 10.0
"""Seconds that a page counts; what is left is counted the next time."""


@blueprint.post("/refresh")
@for_role("viewer")
def refresh() -> AnyResponse:
    """Count journeys and reports anew, and go back to where it was asked for."""
    client = current_client()
    assert isinstance(client.store, SqlStore)
    ask_anew(client.store)
    until = time.monotonic() + LONGEST
    for _ in steps(client.store, live_rules(), client.now()):
        if time.monotonic() > until:
            break
    return go_to(same_site(request.form.get("back", "/")))


@blueprint.get("/newer")
@for_role("viewer")
def newer() -> Response:
    """Say whether a newer report than the one shown is there by now."""
    client = current_client()
    assert isinstance(client.store, SqlStore)
    name, than = request.args.get("name", ""), request.args.get("than", 0, type=int)
    at = kept_at(client.store, name)
    shown = {
        "name": name,
        "than": than,
        "definition": request.args.get("definition", 0, type=int),
        "back": same_site(request.args.get("back", "/")),
        "failure": maker().failure(name),
        "is_there": at is not None and at > than,
    }
    return page("proof/newer.html", block="newer", newer=shown)
