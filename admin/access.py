"""Who may do what in the admin: nothing is open unless a view says for whom.

The host's ``authenticate`` says who makes a request. Every view names the least role that may use it. Whatever changes
something is a POST from the admin's own pages, known by the browser's ``Sec-Fetch-Site`` or, in older ones, ``Origin``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from flask import Flask, Request, Response, abort, current_app, g, request
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.errors import SetupError

Role = Literal["viewer", "editor", "publisher"]

ROLES: tuple[Role, ...] = ("viewer", "editor", "publisher")
"""From the least: looks, edits drafts, publishes."""

EVERYBODY = "everybody"
"""Of views that nobody has to be known for: static files, the log-in."""

_SAFE = ("GET", "HEAD", "OPTIONS")
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "img-src 'self' https: data:",
        "media-src 'self' https:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

View = TypeVar("View", bound=Callable[..., Any])


class Actor(msgspec.Struct, frozen=True):
    """Who works in the admin.

    Attributes:
        name: As it stands in the history of what was changed.
        role: viewer looks, editor also edits drafts, publisher also publishes.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the actor has a role, or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)


Authenticate = Callable[[Request], "Actor | AnyResponse | None"]
"""Returns who makes a request, an answer such as a redirect to the log-in, or None for nobody."""


def for_role(role: Role | Literal["everybody"]) -> Callable[[View], View]:
    """Say who may use a view; without it a view cannot be registered."""

    def mark(view: View) -> View:
        view.nudge_role = role  # type: ignore[attr-defined]
        return view

    return mark


def role_of(app: Flask, endpoint: str) -> str:
    """Return the role that a view names; an empty text where it names none."""
    if endpoint == "static":
        return EVERYBODY
    return str(getattr(app.view_functions[endpoint], "nudge_role", ""))


def current_actor() -> Actor:
    """Return who makes this request."""
    actor: Actor = g.actor
    return actor


def guard(app: Flask, authenticate: Authenticate, *, read_only: bool) -> None:
    """Let nobody past who may not pass.

    Args:
        app: The admin, with all its views registered.
        authenticate: Says who makes a request.
        read_only: Everybody is a viewer.

    Raises:
        SetupError: A view names no role.
    """
    open_views = sorted(rule.endpoint for rule in app.url_map.iter_rules() if not role_of(app, rule.endpoint))
    if open_views:
        raise SetupError(f"these views of the admin name no role: {', '.join(open_views)}")

    @app.before_request
    def check() -> AnyResponse | None:
        role = role_of(app, request.endpoint) if request.endpoint else "viewer"
        if request.method not in _SAFE and not _is_from_here():
            abort(403, "This form was not sent from a page of the admin.")
        if role == EVERYBODY:
            return None
        found = authenticate(request)
        if isinstance(found, AnyResponse):
            return _lead_on(found)
        if not isinstance(found, Actor) or found.role not in ROLES:
            abort(403, "You have no access to this admin.")
        g.actor = Actor(found.name, "viewer") if read_only else found
        if not g.actor.may(role):
            abort(403, f"This takes the role of {'an' if role == 'editor' else 'a'} {role}; you are {g.actor.role}.")
        return None

    @app.after_request
    def be_strict(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint != "static":
            answer.headers["Cache-Control"] = "no-store"
        return answer


def _is_from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == request.host_url.rstrip("/")


def _lead_on(answer: AnyResponse) -> AnyResponse:
    """Return an answer of ``authenticate``; a fragment's request is led on as a whole page."""
    place = answer.headers.get("Location")
    if place is None or "HX-Request" not in request.headers:
        return answer
    return current_app.response_class(status=200, headers={"HX-Redirect": place})
