"""What all pages have in common: rendering, words for times and numbers, notices, errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from jinja2_fragments.flask import render_block
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.client import NudgeClient
from nudge_sdk.rules.times import SECOND

from .access import Actor, current_actor
from .charts import percent, percent_range, signed_points, signed_range
from .workspace import Workspace, open_workspace

NOTICES = {
    "saved": "Saved as a draft. It goes live when it is published.",
    "unchanged": "Nothing was changed.",
    "removed": "Removed from the draft. It stays live until you publish.",
    "discarded": "The draft is gone; what is live stands.",
    "moved": "The order is changed in the draft.",
    "published": "Published. It is in force.",
    "planned": "The size is fixed. No experiment has a verdict before it is reached.",
    "compared": "Saved. The figures are compared with these now.",
    "rolled-back": "Rolled back. The earlier definition is in force again, as a new one.",
}
"""What a page says after a form brought somebody there, by the name in its address."""

_TITLES = {
    403: "Not for you",
    404: "Not here",
    405: "Not this way",
    409: "Somebody was faster",
    413: "Too long",
    500: "That went wrong",
    503: "The store does not answer",
}


def page(template: str, block: str = "content", *, status: int = 200, **context: Any) -> Response:
    """Return a page; to htmx, when it asks for a part, only a block of it.

    Args:
        template: Below ``templates/nudge_admin``.
        block: The block that htmx swaps.
        status: HTTP status; 422 for a form with problems.
        context: What the template shows.
    """
    name = f"nudge_admin/{template}"
    html = render_block(name, block, **context) if wants_part() else render_template(name, **context)
    answer = make_response(html, status)
    answer.vary.update(("HX-Request", "HX-Request-Type"))
    return answer


def wants_part() -> bool:
    """Whether htmx asks for a part of a page; Back asks for the whole."""
    return request.headers.get("HX-Request-Type") == "partial"


def go(endpoint: str, notice: str = "", **values: Any) -> AnyResponse:
    """Return the answer to a form that was taken: on to a page, with a notice."""
    if notice:
        values["notice"] = notice
    return go_to(url_for(endpoint, **values))


def go_to(place: str) -> AnyResponse:
    """Return the answer that leads on to an address of the admin's own."""
    if wants_part():
        return Response(status=200, headers={"HX-Redirect": place})
    return redirect(place, 303)


def current_client() -> NudgeClient:
    """Return the client this admin works for."""
    client: NudgeClient = current_app.extensions["nudge_client"]
    return client


def current_workspace() -> Workspace:
    """Return what is live with the drafts over it, read once a request."""
    if "workspace" not in g:
        g.workspace = open_workspace(current_client())
    workspace: Workspace = g.workspace
    return workspace


def forget_workspace() -> None:
    """Read live and drafts anew, after something was written."""
    g.pop("workspace", None)


def add_pages(app: Flask, client: NudgeClient) -> None:
    """Give the app what its templates use, and its error pages."""
    app.jinja_env.filters.update(moment=moment, day=day, points=points, number=number)
    app.jinja_env.filters.update(percent=percent, signed=signed_points)
    app.jinja_env.globals.update(percent_range=percent_range, signed_range=signed_range)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_known)
    app.register_error_handler(HTTPException, _failed)
    app.register_error_handler(500, _failed)


def moment(at: int | None) -> str:
    """Return an instant in words, in UTC."""
    return f"{_datetime(at):%-d %b %Y, %H:%M} UTC" if at else "never"


def day(at: int | None) -> str:
    """Return the day of an instant, in UTC."""
    return f"{_datetime(at):%-d %b %Y}" if at else "never"


def points(thousandths: int) -> str:
    """Return points, which are kept in thousandths."""
    return f"{thousandths / 1000:,.3f}".rstrip("0").rstrip(".")


def number(value: float) -> str:
    """Return a number with its thousands apart, and no needless zeros."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def _datetime(at: int) -> datetime:
    return datetime.fromtimestamp(at // SECOND, UTC)


def _known() -> dict[str, Any]:
    actor: Actor | None = g.get("actor")
    # Not imported by the layout: a block that is rendered alone would not see it.
    macros = current_app.jinja_env.get_template("nudge_admin/macros.html")
    return {
        "ui": macros.module,
        "actor": actor,
        "blueprints": current_app.blueprints,
        "notice": NOTICES.get(request.args.get("notice", "")),
        "workspace": current_workspace() if actor is not None else None,
        "may": lambda role: actor is not None and current_actor().may(role),
    }


def _failed(error: HTTPException) -> AnyResponse:
    """Say an error as a page; to htmx as a message that stands aside of what is being worked on."""
    if isinstance(error.response, AnyResponse):
        return error.response
    status = error.code or 500
    title = _TITLES.get(status, error.name)
    text = error.description or "" if status != 500 else "It was written to the log. Nothing you typed was saved."
    if wants_part():
        html = render_template("nudge_admin/toast.html", title=title, text=text)
        return Response(html, status, headers={"HX-Retarget": "#toast", "HX-Reswap": "innerHTML"})
    return make_response(render_template("nudge_admin/error.html", title=title, text=text, status=status), status)


__all__ = ["Blueprint", "current_client", "current_workspace", "forget_workspace", "go", "go_to", "page", "wants_part"]
