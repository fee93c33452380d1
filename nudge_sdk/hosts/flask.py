"""Flask: the SDK in three lines, without a script.

Example:
    >>> nudges = Nudges(app, client, identify=lambda: Who(session["user"]))  # doctest: +SKIP

    ``{{ nudge_head() }}`` in the head of the page, and ``{{ nudge("dashboard") }}`` where a nudge may stand.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from flask import Blueprint, Flask, Response, current_app, redirect, request, send_from_directory, url_for
from itsdangerous import BadData
from markupsafe import Markup

from nudge_sdk.client import NudgeClient
from nudge_sdk.errors import SetupError
from nudge_sdk.hosts.labels import Labels, labels_for
from nudge_sdk.hosts.rendering import Form, element, render
from nudge_sdk.hosts.slips import REPORTS, Slip, Slips, record, same_site
from nudge_sdk.rules.presenting import Payload, ShownButton
from nudge_sdk.runtime.deciding import Decision

log = logging.getLogger("nudge_sdk")

T = TypeVar("T")

EXTENSION = "nudge_sdk"
_STYLE_SHEET = "nudge.css"
_YEAR = 365 * 24 * 3600
_PATH = "/:@!$&'()*+,;=~"


class Who(msgspec.Struct, frozen=True):
    """Who makes the current request, as the host knows them.

    Attributes:
        user: The host's id of the user.
        account: The host's id of the account; None for a user without one.
        traits: What the user is.
        account_traits: What the account is, live usage numbers among it.
        locale: BCP 47 tag of the user's language.
        can_purchase: Whether the user may buy; others may get a text that asks the one who can.
    """

    user: str
    account: str | None = None
    traits: Mapping[str, Any] = {}
    account_traits: Mapping[str, Any] = {}
    locale: str = ""
    can_purchase: bool = True


class _Asked(msgspec.Struct):
    """What was said and asked in one request."""

    who: Who | None = None
    decisions: dict[tuple[str, str | None, str], Decision] = {}


class Nudges:
    """The SDK inside a Flask app.

    Adds ``nudge_head()`` and ``nudge(placement, **context)`` to templates, and a blueprint with the style sheet and the
    one route that forms of rendered nudges are posted to.

    Args:
        app: The host's app; its ``SECRET_KEY`` signs the forms.
        client: The client.
        identify: Says who makes the current request; None for nobody, who is shown nothing.
        prefix: Where the blueprint's routes are.
        actions: The host's address for each action that copy may name, such as ``open_chat``. A button whose action
            is not here is left out.
        labels: Texts of the buttons that copy does not name, by locale tag.

    Raises:
        SetupError: The app has no secret key, or the prefix is no path.
    """

    def __init__(
        self,
        app: Flask,
        client: NudgeClient,
        *,
        identify: Callable[[], Who | None],
        prefix: str = "/nudge-sdk",
        actions: Mapping[str, str] | None = None,
        labels: Mapping[str, Labels] | None = None,
    ) -> None:
        if not app.secret_key:
            raise SetupError("the app has no SECRET_KEY, which signs the forms of nudges: set it before Nudges(...)")
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise SetupError(f"prefix={prefix!r} is no path of routes; write one such as /nudge-sdk")
        self.client = client
        self.identify = identify
        self.actions = dict(actions or {})
        self.labels = dict(labels or {})
        self._failures: set[str] = set()
        app.extensions[EXTENSION] = self
        app.register_blueprint(self._blueprint(prefix))
        app.jinja_env.globals.update(nudge=self.nudge, nudge_head=self.head)

    def track(self, event: str, properties: Mapping[str, Any] | None = None) -> bool:
        """Say that the current user did something; whether it is safe."""

        def work() -> bool:
            who = self._who()
            return who is not None and self.client.track(who.user, event, properties, account=who.account)

        return self._guarded("track", work, False)

    def decide(self, placement: str, **context: Any) -> Decision:
        """Choose what to show the current user at a placement; asked once a request.

        Args:
            placement: The slot of the page.
            context: Values of this request for conditions and copy; ``page`` is the path if not said.
        """

        def work() -> Decision:
            who = self._who()
            if who is None:
                return Decision(placement=placement)
            decisions, key = _asked().decisions, (who.user, who.account, placement)
            if key not in decisions:
                decisions[key] = self.client.decide(
                    placement,
                    user=who.user,
                    account=who.account,
                    context={"page": request.path, **context},
                    locale=who.locale,
                    can_purchase=who.can_purchase,
                )
            return decisions[key]

        return self._guarded("decide", work, Decision(placement=placement))

    def nudge(self, placement: str, **context: Any) -> Markup:
        """Return what to show the current user at a placement as HTML; empty for nothing and nobody."""
        decision = self.decide(placement, **context)
        return self._guarded("nudge", lambda: self._render(decision), Markup(""))

    def head(self) -> Markup:
        """Return what belongs into the head of the page: the style sheet."""
        href = url_for(f"{EXTENSION}.static_file", name=_STYLE_SHEET, v=_fingerprint())
        return Markup(element("link", rel="stylesheet", href=href))

    def _render(self, decision: Decision) -> Markup:
        payload = decision.nudge
        who = self._who() if payload is not None else None
        if payload is None or who is None:
            return Markup("")
        leads = self._leads(payload)
        slip = Slip(
            user=who.user,
            account=who.account or "",
            decision=decision.id,
            nudge=payload.nudge,
            placement=payload.placement,
            variant=payload.variant,
            mode=payload.mode,
            back=_page(),
            leads=leads,
        )
        form = Form(
            action=url_for(f"{EXTENSION}.report"),
            fields={**_csrf_field(), "token": self._slips().sign(slip)},
            labels=labels_for(payload.locale, self.labels),
            leads=frozenset(leads),
        )
        return Markup(render(payload, form))

    def _leads(self, payload: Payload) -> dict[str, str]:
        buttons = {"clicked": payload.cta, "chat": payload.chat}
        found = {report: self._address(button) for report, button in buttons.items() if button is not None}
        return {report: address for report, address in found.items() if address}

    def _address(self, button: ShownButton) -> str:
        return button.url or self.actions.get(button.action, "")

    def _who(self) -> Who | None:
        """Return the current user, after saying what they and their account are."""
        who, asked = self.identify(), _asked()
        if who is not None and asked.who != who:
            asked.who = who
            if who.account is not None:
                self.client.group(who.account, who.account_traits, user=who.user)
            if who.traits:
                self.client.identify(who.user, who.traits, account=who.account)
        return who

    def _slips(self) -> Slips:
        config = current_app.config
        return Slips([*(config.get("SECRET_KEY_FALLBACKS") or ()), config["SECRET_KEY"]], self.client.now)

    def _blueprint(self, prefix: str) -> Blueprint:
        blueprint = Blueprint(EXTENSION, __name__, url_prefix=prefix)
        blueprint.add_url_rule("/report", "report", self._report, methods=["POST"])
        blueprint.add_url_rule("/static/<path:name>", "static_file", _static_file)
        return blueprint

    def _report(self) -> Response:
        """Take what a form reports: only from whom it was rendered for, and lead on to where the form may lead."""
        report = request.form.get("report", "")
        try:
            slip, is_fresh = self._slips().read(request.form.get("token", ""))
        except BadData:
            return _refused("This form is not valid. Go back and reload the page.", 400)
        who = self.identify()
        if who is None or (who.user, who.account or "") != (slip.user, slip.account):
            return _refused("This form belongs to somebody else. Go back and reload the page.", 403)
        if report not in REPORTS:
            return _refused("This form does not say what to do. Go back and reload the page.", 400)
        if is_fresh:
            record(self.client, slip, report)
        answer = current_app.make_response(redirect(slip.target(report), 303))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _guarded(self, what: str, work: Callable[[], T], neutral: T) -> T:
        """Never let a failure of ours, or of ``identify``, break the host's page; say it once a cause."""
        try:
            return work()
        except Exception as error:
            if self.client.options.on_error == "raise":
                raise
            cause = f"{what}: {type(error).__name__}"
            if cause not in self._failures:
                self._failures.add(cause)
                log.error("%s failed and showed nothing (said once a cause)", what, exc_info=True)
            return neutral


def current_nudges() -> Nudges:
    """Return the ``Nudges`` of the current app."""
    found: Nudges = current_app.extensions[EXTENSION]
    return found


def _asked() -> _Asked:
    # Not in g: it outlives a request where the host keeps an app context open, as tests do.
    found: _Asked = request.environ.setdefault(EXTENSION, _Asked())
    return found


def _refused(text: str, status: int) -> Response:
    return Response(text + "\n", status, mimetype="text/plain", headers={"Cache-Control": "no-store"})


def _page() -> str:
    """Return the page to come back to: this one, or where its form stood if this answers a form."""
    if request.method in ("GET", "HEAD"):
        path = quote(request.root_path.rstrip("/") + request.path, safe=_PATH)
        return same_site(_with_query(path, request.query_string.decode("latin-1")))
    came_from = urlsplit(request.referrer or "")
    return same_site(_with_query(came_from.path, came_from.query) if came_from.netloc == request.host else "/")


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _csrf_field() -> dict[str, str]:
    """Return the field that the host's own CSRF protection asks of every form, if it has one."""
    token = current_app.jinja_env.globals.get("csrf_token")
    return {"csrf_token": str(token())} if callable(token) else {}


def _static_file(name: str) -> Response:
    return send_from_directory(_static_folder(), name, max_age=_YEAR if "v" in request.args else None)


@cache
def _static_folder() -> Path:
    # In an editable install only the admin's place is known to the import system; static/ lies beside it.
    found = importlib.util.find_spec("nudge_sdk.admin")
    if found is None or found.origin is None:
        raise SetupError("nudge_sdk.admin cannot be found: nudge-sdk is not installed whole")
    return Path(found.origin).parent.parent / "static"


@cache
def _fingerprint() -> str:
    return hashlib.sha256((_static_folder() / _STYLE_SHEET).read_bytes()).hexdigest()[:12]
