"""The pages of the e-mail tool. What the SDK needs is three lines: ``nudges.track`` here, two calls in templates."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, abort, current_app, flash, redirect, render_template, request, session
from flask import url_for as link
from werkzeug.wrappers import Response as AnyResponse

from nudge_sdk.demo.cast import Person
from nudge_sdk.demo.clock import moment
from nudge_sdk.demo.product import Workspace
from nudge_sdk.hosts.flask import Who, current_nudges

if TYPE_CHECKING:
    from nudge_sdk.demo.server import Demo

Answer = str | AnyResponse

LISTS = {"Spring fair sign-ups": 120, "Newsletter export": 250, "Web shop customers": 1_000}
TEMPLATES = {"welcome": "Welcome series", "birthday": "Birthday greeting", "winback": "We miss you"}
INTEGRATIONS = {
    "Web shop": "Everybody who buys joins your list",
    "CRM": "Contacts stay up to date by themselves",
    "Calendar": "Invite people to what is coming up",
}
EXTRAS = frozenset({"Calendar"})
"""Integrations that say little about how somebody works."""
VIDEOS = {
    "first-automation": "Your first automation in 60 seconds",
    "working-together": "Working together in 60 seconds",
}
OPEN = frozenset({"pages.home", "static", "nudge_sdk.static_file"})
"""What nobody needs to be logged in for, beside the toolbar."""

pages = Blueprint("pages", __name__)


def add_pages(app: Flask) -> None:
    """Give the app its pages."""
    app.register_blueprint(pages)
    app.before_request(_only_from_here)
    app.before_request(_only_logged_in)
    app.after_request(_strict)
    app.jinja_env.filters["day"] = lambda at: f"{moment(at):%-d %b %Y}"
    app.jinja_env.filters["iso_day"] = lambda at: f"{moment(at):%Y-%m-%d}"
    app.jinja_env.filters["initials"] = lambda name: "".join(word[0] for word in name.split()[:2]).upper()
    app.jinja_env.filters["number"] = lambda number: f"{number:,}"
    app.context_processor(_known)


def who_is_logged_in() -> Who | None:
    """Say who makes this request: what the SDK asks the host."""
    person = current_person()
    if person is None:
        return None
    return Who(
        person.key,
        account=person.account_id,
        traits={"name": person.name, "role": person.role},
        account_traits=_workspace().traits(),
        locale=person.locale,
        can_purchase=person.can_purchase,
    )


def current_demo() -> Demo:
    """Return the demo of the current app."""
    demo: Demo = current_app.extensions["demo"]
    return demo


def current_person() -> Person | None:
    """Return who is logged in."""
    return current_demo().people.get(session.get("person", ""))


def a_name(text: str, otherwise: str) -> str:
    """Return a name as somebody typed it, in one line and not too long; another where there is none."""
    return " ".join(text.split())[:80] or otherwise


@pages.get("/")
def home() -> Answer:
    return redirect(link("pages.dashboard" if current_person() else "toolbar.people"), 303)


@pages.get("/dashboard")
def dashboard() -> Answer:
    return render_template("dashboard.html")


@pages.get("/contacts")
def contacts() -> Answer:
    has_met_limit = "full" in request.args and _workspace().contacts_left == 0
    return render_template("contacts.html", has_met_limit=has_met_limit)


@pages.get("/contacts/import")
def import_contacts() -> Answer:
    return render_template("import.html", lists=LISTS)


@pages.post("/contacts")
def imported() -> Answer:
    size = LISTS.get(request.form.get("list", "")) or abort(400)
    workspace = _workspace()
    room = workspace.contacts_left
    count = size if room is None else min(size, room)
    if not _is_first():
        return redirect(link("pages.contacts", full=1 if room == 0 else None), 303)
    if count:
        _act("contacts_imported", count=count)
        flash(f"{count:,} contacts imported.")
    if count < size:
        flash(f"{size - count:,} did not fit on your plan.")
    return render_template("contacts.html", has_met_limit=count < size)


@pages.get("/campaigns")
def campaigns() -> Answer:
    return render_template("campaigns.html")


@pages.get("/campaigns/new")
def new_campaign() -> Answer:
    last = _workspace().campaigns[-1:]
    return render_template("campaign_new.html", name=last[0].name if last and request.args.get("copy") else "")


@pages.post("/campaigns")
def send_campaign() -> Answer:
    name = a_name(request.form.get("name", ""), "Untitled campaign")
    if not _is_first():
        return redirect(link("pages.campaigns"), 303)
    _act("campaign_sent", name=name)
    flash(f"“{name}” is on its way to {_workspace().contacts:,} contacts.")
    return render_template("campaigns.html")


@pages.get("/automations")
def automations() -> Answer:
    return render_template("automations.html")


@pages.get("/automations/new")
def new_automation() -> Answer:
    return render_template("automation_new.html", templates=TEMPLATES, chosen=request.args.get("template", "welcome"))


@pages.post("/automations")
def start_automation() -> Answer:
    name = a_name(request.form.get("name", ""), "Automation")
    if not _is_first():
        return redirect(link("pages.automations"), 303)
    _act("workflow_started", name=name)
    flash(f"“{name}” is running.")
    return render_template("automations.html")


@pages.get("/team")
@pages.get("/team/invite")
def team() -> Answer:
    return render_template("team.html")


@pages.post("/team/invite")
def invite() -> Answer:
    name = a_name(request.form.get("name", ""), "A teammate")
    if not _is_first() or _workspace().is_full:
        return redirect(link("pages.team"), 303)
    _act("teammate_invited", name=name)
    flash(f"{name} has an invitation.")
    return render_template("team.html")


@pages.route("/team/ask-admin", methods=["GET", "POST"])
def ask_admin() -> Answer:
    if request.method == "POST":
        flash("Your note is on its way.")
        return redirect(link("pages.dashboard"), 303)
    return render_template("ask_admin.html")


@pages.route("/integrations", methods=["GET", "POST"])
def integrations() -> Answer:
    name = request.form.get("name", "")
    if name in INTEGRATIONS and name not in _workspace().integrations:
        _act("integration_connected", name=name, kind="extra" if name in EXTRAS else "core")
        flash(f"{name} is connected.")
    return render_template("integrations.html", integrations=INTEGRATIONS)


@pages.get("/settings")
@pages.get("/settings/domain", endpoint="domain")
def settings() -> Answer:
    return render_template("settings.html")


@pages.post("/settings/domain")
def connect_domain() -> Answer:
    domain = a_name(request.form.get("domain", ""), "example.com")
    if _is_first():
        _act("domain_connected", domain=domain)
        flash(f"{domain} is connected.")
    return render_template("settings.html")


@pages.get("/billing/upgrade")
def upgrade() -> Answer:
    return render_template("upgrade.html")


@pages.route("/billing/checkout", methods=["GET", "POST"])
def checkout() -> Answer:
    if request.method == "GET":
        return render_template("checkout.html")
    if not (who_is_logged_in() or abort(403)).can_purchase:
        abort(403)
    workspace = _workspace()
    workspace.plan = "growth"
    workspace.seats = max(0, len(workspace.team) - workspace.seats_limit)
    current_nudges().client.convert(workspace.key, value=49)
    flash("Welcome to Growth. Contacts and automations have no limit now.")
    return redirect(link("pages.dashboard"), 303)


@pages.route("/billing/seats", methods=["GET", "POST"])
def seats() -> Answer:
    if request.method == "GET":
        return render_template("seats.html")
    workspace = _workspace()
    workspace.seats += 1
    current_nudges().client.convert(workspace.key, goal="expansion", value=9)
    flash("One more seat is yours.")
    return redirect(link("pages.team"), 303)


@pages.route("/help/chat", methods=["GET", "POST"])
def chat() -> Answer:
    if request.method == "POST":
        flash("Thank you. A person answers within the hour.")
        return redirect(link("pages.dashboard"), 303)
    return render_template("chat.html")


@pages.get("/help/videos/<name>")
def video(name: str) -> Answer:
    stem, _, kind = name.partition(".")
    if stem not in VIDEOS:
        abort(404)
    if kind:
        return current_app.send_static_file(f"{stem}.{kind}")
    return render_template("transcript.html", title=VIDEOS[stem], stem=stem)


def _act(event: str, **properties: Any) -> None:
    """Do something in the e-mail tool, and tell the SDK."""
    person = current_person()
    _workspace().apply(event, properties, current_demo().clock())
    current_nudges().track(event, {**properties, "role": person.role if person else ""})


def _workspace() -> Workspace:
    return current_demo().workspaces[session["person"]]


def _is_first() -> bool:
    """Whether this form comes for the first time: a reload of its answer does nothing again."""
    return _workspace().take_form(request.form.get("once", ""))


def _known() -> dict[str, Any]:
    person = current_person()
    return {
        "person": person,
        "workspace": _workspace() if person else None,
        "once": secrets.token_urlsafe(12),
    }


def _only_from_here() -> Response | None:
    """Refuse a form that another site sent."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    is_ours = site in ("same-origin", "none") if site else origin in (None, request.host_url.rstrip("/"))
    return None if is_ours else Response("This form came from another site.\n", 403, mimetype="text/plain")


def _only_logged_in() -> Answer | None:
    is_open = request.endpoint in OPEN or request.blueprint == "toolbar"
    return None if is_open or current_person() else redirect(link("toolbar.people"), 303)


def _strict(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
