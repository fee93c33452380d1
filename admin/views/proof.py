"""Proof: what its pages have in common."""

from __future__ import annotations

import time

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.hosts.slips import same_site
from nudge_sdk.insights.journeys import steps
from nudge_sdk.insights.kept_reports import forget_reports

from ..access import for_role
from ..pages import current_client, go_to
from .members import live_rules

blueprint = Blueprint("proof", __name__, url_prefix="/proof")

LONGEST = 10.0
"""Seconds that a page counts; what is left is counted the next time."""


@blueprint.post("/refresh")
@for_role("viewer")
def refresh() -> AnyResponse:
    """Count journeys and reports anew, and go back to where it was asked for."""
    client = current_client()
    forget_reports(client.store)
    until = time.monotonic() + LONGEST
    for _ in steps(client.store, live_rules(), client.now()):
        if time.monotonic() > until:
            break
    return go_to(same_site(request.form.get("back", "/")))
