"""Flask: the SDK in three lines.

Example:
    >>> nudges = Nudges(app, client, identify=lambda: Who(session["user"]))  # doctest: +SKIP

    ``{{ nudge_head() }}`` in the head of the page, and ``{{ nudge("dashboard") }}`` where a nudge may stand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeVar, Unpack
from urllib.parse import quote, urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    got_request_exception,
    redirect,
    request,
    send_from_directory,
    url_for,
)
from markupsafe import Markup
from msgspec.structs import replace

from nudge_sdk.client import NudgeClient
from nudge_sdk.hosts.assets import MEDIA_TYPES, head_lines, static_folder
from nudge_sdk.hosts.hooks import QUIET_MINUTES, Hooks, check
from nudge_sdk.hosts.labels import Labels, labels_for
from nudge_sdk.hosts.rendering import Form, render
from nudge_sdk.hosts.reports import IS_OPEN, take
from nudge_sdk.hosts.resuming import resumed
from nudge_sdk.hosts.silence import Silence
from nudge_sdk.hosts.slips import Slip, Slips, same_site
from nudge_sdk.hosts.who import Asked, Who
from nudge_sdk.rules.presenting import Payload, ShownButton
from nudge_sdk.runtime.deciding import Decision

log = logging.getLogger("nudge_sdk")

T = TypeVar("T")

EXTENSION = "nudge_sdk"
_YEAR = 365 * 24 * 3600
_PATH = "/:@!$&'()*+,;=~"


class Nudges:
    """The SDK inside a Flask app.

    Adds ``nudge_head()`` and ``nudge(placement, **context)`` to templates, and a blueprint with the style sheet, the
    script, the route that forms of rendered nudges are posted to, and one that gives a nudge to single-page apps.

    Args:
        app: The host's app; its ``SECRET_KEY`` signs the forms.
        client: The client.
        identify: Says who makes the current request; None for nobody, who is shown nothing.
        prefix: Where the blueprint's routes are.
        actions: The host's address for each action that copy may name, such as ``open_chat``. A button whose action
            is not here is left out.
        labels: Texts of the buttons that copy does not name, by locale tag.
        hooks: See ``Hooks``.

    Raises:
        SetupError: The app has no secret key, the prefix is no path, or a hook is not known.
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
        **hooks: Unpack[Hooks],
    ) -> None:
        check(bool(app.secret_key), prefix, hooks)
        self.client = client
        self.identify = identify
        self.actions = dict(actions or {})
        self.labels = dict(labels or {})
        self.hooks = hooks
        self._silence = Silence(hooks.get("quiet_minutes", QUIET_MINUTES))
        self._failures: set[str] = set()
        app.extensions[EXTENSION] = self
        app.register_blueprint(self._blueprint(prefix))
        app.jinja_env.globals.update(nudge=self.nudge, nudge_head=self.head)
        if self._silence.minutes:
            got_request_exception.connect(self._after_exception, app)
            app.after_request(self._after_request)

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
            asked, key = _asked(), (who.user, who.account, placement)
            if asked.is_claimed:
                return Decision(placement=placement)
            if key not in asked.decisions:
                asked.decisions[key] = self.client.decide(
                    placement,
                    user=who.user,
                    account=who.account,
                    context={"page": request.path, **context},
                    locale=who.locale,
                    can_purchase=self._can_purchase(who),
                )
            return asked.decisions[key]

        return self._guarded("decide", work, Decision(placement=placement))

    def nudge(self, placement: str, **context: Any) -> Markup:
        """Return what to show the current user at a placement as HTML; empty for nothing and nobody."""
        decision = self.decide(placement, **context)
        return self._guarded("nudge", lambda: self._render(decision), Markup(""))

    def head(self, nonce: str | None = None) -> Markup:
        """Return what belongs into the head of the page: the style sheet and the script.

        Args:
            nonce: The nonce of the page's Content-Security-Policy, where that asks for one; ``'self'`` is enough.
        """
        return Markup(head_lines(lambda name, mark: url_for(f"{EXTENSION}.static_file", name=name, v=mark), nonce))

    def claim(self, placement: str) -> bool:
        """Take the current user's attention for a banner of the host's own; ask before asking for nudges.

        It spends the caps that nudges share, and no nudge stands beside it in this request. Once granted, it stays so
        for as long as a nudge stays on display.

        Args:
            placement: The slot of the page.

        Returns:
            Whether the banner may be shown now.
        """

        def work() -> bool:
            who, asked = self._who(), _asked()
            if who is None:
                return True
            if any(asked.decisions.values()):
                return False
            asked.is_claimed = self.client.claim(placement, user=who.user, account=who.account)
            return asked.is_claimed

        return self._guarded("claim", work, True)

    def _render(self, decision: Decision) -> Markup:
        payload = decision.nudge
        who = self._who() if payload is not None else None
        if payload is None or who is None:
            return Markup("")
        payload, leads = self._resumed(payload, who), self._leads(payload)
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
            decision=decision.id,
            can_opt_out=self.hooks.get("can_opt_out", True),
        )
        return Markup(render(payload, form))

    def _leads(self, payload: Payload) -> dict[str, str]:
        buttons = {"clicked": payload.cta, "chat": payload.chat}
        found = {report: self._address(button) for report, button in buttons.items() if button is not None}
        return {report: address for report, address in found.items() if address}

    def _address(self, button: ShownButton) -> str:
        return button.url or self.actions.get(button.action, "")

    def _resumed(self, payload: Payload, who: Who) -> Payload:
        target = self.hooks.get("resume_target")
        if target is None or not payload.steps:
            return payload
        return self._guarded("resume_target", lambda: resumed(payload, lambda name: target(who, name)), payload)

    def _can_purchase(self, who: Who) -> bool:
        asked, say = _asked(), self.hooks.get("can_purchase")
        if asked.can_purchase is None:
            may = self._guarded("can_purchase", lambda: say(who), who.can_purchase) if say else who.can_purchase
            asked.can_purchase = bool(may)
        return asked.can_purchase

    def _who(self) -> Who | None:
        """Return the current user, after saying what they and their account are."""
        who, asked = self.identify(), _asked()
        if who is not None and asked.who != who:
            asked.who, asked.can_purchase = who, None
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
        blueprint.add_url_rule("/slot", "slot", self._slot)
        blueprint.add_url_rule("/static/<path:name>", "static_file", _static_file)
        return blueprint

    def _report(self) -> Response:
        """Take what a form reports, and lead on to where the form may lead; the script is answered in JSON."""
        who = self.identify()
        if who is not None and request.form.get("report") == IS_OPEN:
            who = replace(who, can_purchase=self._can_purchase(who))
        reply = take(self.client, self._slips(), request.form, who)
        if request.accept_mimetypes.best == "application/json":
            return _private(Response(reply.as_json(), reply.status, mimetype="application/json"))
        if not reply.leads_to:
            return _private(Response(reply.problem + "\n", reply.status, mimetype="text/plain"))
        return _private(current_app.make_response(redirect(reply.leads_to, 303)))

    def _slot(self) -> Response:
        """Give a single-page app what to show the current user at a placement."""
        # Asking spends caps, so no other site may make a browser ask.
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return _private(Response("Only pages of this site may ask.\n", 403, mimetype="text/plain"))
        asked = _asked()
        asked.page = same_site(request.args.get("page", "/"))
        placement = request.args.get("placement", "")
        html = self.nudge(placement, page=asked.page.partition("?")[0]) if placement else ""
        return _private(Response(html, 200 if html else 204, mimetype="text/html"))

    def _after_request(self, response: Response) -> Response:
        if response.status_code >= 500:
            self._after_error()
        return response

    def _after_exception(self, _app: Flask, exception: BaseException, **_extra: Any) -> None:
        self._after_error()

    def _after_error(self) -> None:
        asked = _asked()
        if asked.is_failed:
            return
        asked.is_failed = True
        try:
            who = asked.who or self.identify()
            if who is not None:
                self._silence.begin(self.client, who)
        except Exception as error:
            # Raising here would hide the host's own error.
            self._say("silence", error)

    def _guarded(self, what: str, work: Callable[[], T], neutral: T) -> T:
        """Never let a failure of ours, or of ``identify``, break the host's page; say it once a cause."""
        try:
            return work()
        except Exception as error:
            if self.client.options.on_error == "raise":
                raise
            self._say(what, error)
            return neutral

    def _say(self, what: str, error: Exception) -> None:
        cause = f"{what}: {type(error).__name__}"
        if cause not in self._failures:
            self._failures.add(cause)
            facts = {"nudge_event": "page_failed", "nudge_call": what, "nudge_cause": type(error).__name__}
            log.error("%s failed and changed nothing (said once a cause)", what, exc_info=True, extra=facts)


def current_nudges() -> Nudges:
    """Return the ``Nudges`` of the current app."""
    found: Nudges = current_app.extensions[EXTENSION]
    return found


def _asked() -> Asked:
    # Not in g: it outlives a request where the host keeps an app context open, as tests do.
    found: Asked = request.environ.setdefault(EXTENSION, Asked())
    return found


def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    answer.vary.update(("Accept", "Cookie"))
    return answer


def _page() -> str:
    """Return the page to come back to: this one, or where its form stood if this answers a form."""
    if page := _asked().page:
        return page
    if request.method in ("GET", "HEAD"):
        path = quote(request.root_path.rstrip("/") + request.path, safe=_PATH)
        return same_site(path, request.query_string.decode("latin-1"))
    came_from = urlsplit(request.referrer or "")
    return same_site(came_from.path, came_from.query) if came_from.netloc == request.host else "/"


def _csrf_field() -> dict[str, str]:
    """Return the field that the host's own CSRF protection asks of every form, if it has one."""
    token = current_app.jinja_env.globals.get("csrf_token")
    return {"csrf_token": str(token())} if callable(token) else {}


def _static_file(name: str) -> Response:
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix)
    max_age = _YEAR if "v" in request.args else None
    return send_from_directory(static_folder(), name, mimetype=media_type, max_age=max_age)


__all__ = ["Hooks", "Nudges", "Who", "current_nudges"]
