"""The check: what forbids publishing the drafts, and what is unwise in them."""

from __future__ import annotations

from flask import Blueprint, Response

from ..access import for_role
from ..pages import current_workspace, page
from ..places import place_of

blueprint = Blueprint("checks", __name__, url_prefix="/check")


@blueprint.get("/")
@for_role("viewer")
def show() -> Response:
    """Show all problems and findings, each with a link to where it can be mended."""
    workspace = current_workspace()
    problems = [(problem, place_of(problem.where)) for problem in workspace.problems]
    findings = [(finding, place_of(finding.where)) for finding in workspace.findings]
    return page("checks/show.html", problems=problems, findings=findings)
