"""The demo's own controls, around the e-mail tool: who to be, which day it is, and why one sees what one sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, session
from flask import url_for as link
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.answers import Explanation
from nudge_sdk.demo.mounting import ADMIN, COOKIE, ROLES, role_in
from nudge_sdk.demo.pages import a_name, current_demo, current_person, who_is_logged_in
from nudge_sdk.hosts.flask import current_nudges
from nudge_sdk.hosts.slips import same_site

if TYPE_CHECKING:
    from nudge_sdk.rules.explaining import StandingReport

Answer = str | AnyResponse

STEPS = {"day": 1, "week": 7}

toolbar = Blueprint("toolbar", __name__)


def add_toolbar(app: Flask) -> None:
    """Give the app the demo's controls."""
    app.register_blueprint(toolbar)
    app.jinja_env.globals["nudge"] = _noted
    app.jinja_env.globals["why"] = why
    app.context_processor(_known)


@toolbar.get("/people")
def people() -> Answer:
    return render_template("people.html")


@toolbar.post("/people")
def log_in_as_chosen() -> Answer:
    key = request.form.get("person", "")
    return log_in(key) if key in current_demo().people else redirect(link("toolbar.people"), 303)


@toolbar.post("/people/<key>")
def log_in(key: str) -> Answer:
    person = current_demo().people.get(key) or abort(404)
    session.clear()
    session["person"] = key
    current_nudges().track("session_started")
    return redirect(person.page, 303)


@toolbar.post("/people/new")
def sign_up() -> Answer:
    name = a_name(request.form.get("name", ""), "Robin Newman")
    company = a_name(request.form.get("company", ""), "Newman & Co")
    return log_in(current_demo().sign_up(name, company).key)


@toolbar.post("/log-out")
def log_out() -> Answer:
    session.clear()
    return redirect(link("toolbar.people"), 303)


@toolbar.post("/demo/clock")
def move() -> Answer:
    to = request.form.get("to", "")
    if to == "today":
        current_demo().start_over()
        flash("It is today again, and everything is as it was at the start.")
    else:
        current_demo().move(STEPS.get(to) or abort(400))
    return redirect(_where_it_was(), 303)


@toolbar.post("/demo/role")
def choose_role() -> Answer:
    role = request.form.get("role", "")
    answer = redirect(_where_it_was(), 303)
    answer.set_cookie(COOKIE, role if role in ROLES else abort(400), httponly=True, samesite="Lax")
    return answer


def why() -> tuple[StandingReport | None, list[Explanation]]:
    """Return the standing of who is logged in, and an explanation of each place of the page made so far."""
    who = who_is_logged_in()
    standing = current_nudges().client.standing(who.user, account=who.account) if who else None
    return standing, _explained()


def _noted(placement: str, **context: Any) -> Markup:
    """Return what to show at a place, and note why: asked before, since an offer changes what stands in its way."""
    who = who_is_logged_in()
    if who is not None:
        client = current_nudges().client
        client.group(who.account or "", who.account_traits, user=who.user)
        found = client.explain(
            placement,
            user=who.user,
            account=who.account,
            context={"page": request.path, **context},
            locale=who.locale,
            can_purchase=who.can_purchase,
        )
        _explained().extend([found] if found else [])
    return current_nudges().nudge(placement, **context)


def _explained() -> list[Explanation]:
    found: list[Explanation] = request.environ.setdefault("demo.explained", [])
    return found


def _where_it_was() -> str:
    came_from = urlsplit(request.referrer or "")
    if came_from.netloc != request.host or current_person() is None:
        return link("pages.home")
    return same_site(f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path)


def _known() -> dict[str, Any]:
    return {
        "admin": f"{ADMIN}/",
        "clock": current_demo().clock,
        "people": list(current_demo().people.values()),
        "role": role_in(request),
        "roles": ROLES,
    }
