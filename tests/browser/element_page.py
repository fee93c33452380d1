"""A tiny host with a nudge of each format, as strict as hosts get: no inline script or style, CSRF on every post."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, redirect, render_template_string, request, session
from flask_wtf.csrf import CSRFProtect

from nudge_sdk import NudgeClient, Options
from nudge_sdk.hosts.flask import Nudges, Who
from nudge_sdk.hosts.labels import Labels
from nudge_sdk.rules.authoring import parse_definition

POLICY = "default-src 'self'"
FORMATS = ("banner", "card", "modal", "slideout", "help")
SHELL = """<!doctype html>
<html lang="{{ lang }}" dir="{{ 'rtl' if lang == 'ar' else 'ltr' }}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Host</title>
{{ nudge_head() }}<link rel="stylesheet" href="/static/host.css"><script type="module" src="/static/host.js"></script>
<main>
  <h1>Host</h1>
  <p><label>Search <input id="search" name="search"></label> <a href="/elsewhere">Elsewhere</a></p>
"""
END = '<p><a id="after" href="/elsewhere">After it</a></p></main></html>'
WITH_NUDGE = SHELL + "<div id=here>{{ nudge(placement) }}</div>" + END
TEMPLATES = {
    "/<placement>": WITH_NUDGE,
    "/bare/<placement>": "<!doctype html><title>Bare</title>{{ nudge_head() }}<h1>Bare</h1>{{ nudge(placement) }}",
    "/empty/<placement>": SHELL + "<div id=here></div>" + END,
    "/single/<placement>": SHELL + '<nudge-slot placement="{{ placement }}"></nudge-slot>' + END,
    "/dialog/<placement>": SHELL + "<dialog><p>Theirs</p><button>OK</button></dialog>{{ nudge(placement) }}" + END,
    "/focused/<placement>": SHELL.replace("<input", "<input autofocus") + "{{ nudge(placement) }}" + END,
    "/two": SHELL + "{{ nudge('modal') }}{{ nudge('modal_too') }}" + END,
    "/part/<placement>": "{{ nudge(placement) }}",
    "/plans": SHELL + END,
    "/chat": SHELL + END,
    "/elsewhere": SHELL + END,
}
STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 1rem/1.5 sans-serif; }
body { background: light-dark(#fff, #10141a); color: light-dark(#1b2330, #e8ecf2); }
a { color: light-dark(#1d5fd1, #8ab4ff); }
main { max-width: 60rem; margin: auto; padding: 1rem; }
.far { height: 300vh; }
"""
SCRIPT = """
const dialog = document.querySelector("dialog");
if (dialog && !dialog.closest("nudge-prompt")) {
  dialog.showModal();
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
}
"""
ARABIC = {
    "title": "لقد أرسلت حملتك الأولى للتو!",
    "body": "أضف جهات اتصال بلا حدود إلى حملتك التالية.",
    "cta": "عرض الخطط",
    "dismiss": "ليس الآن",
}
LABELS = Labels(
    close="إغلاق",
    snooze="ذكّرني غدًا",
    finish="انتهيت",
    done="تم",
    progress="تم {done} من {steps}",
    captions="ترجمة",
    transcript="اقرأ بدلًا من ذلك",
    more="خيارات أخرى",
    opt_out="لا تعرض اقتراحات كهذه",
    said_closed="أُغلق",
)


def text(english: str, key: str) -> dict[str, str]:
    return {"en": english, "ar": ARABIC[key]}


def content(kind: str) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": kind,
        "title": text("You just sent your first campaign!", "title"),
        "body": text("Reach the rest of your list with the next one: upgrade to add **unlimited** contacts.", "body"),
        "dismiss": text("Not now", "dismiss"),
    }
    if kind != "help":
        return {**written, "cta": {"label": text("See the plans", "cta"), "url": "/plans"}}
    steps = [
        {"title": "Pick a list", "body": "A file is all you need.", "url": "/elsewhere", "milestone": "listed"},
        {"title": "Write the e-mail", "url": "/elsewhere", "milestone": "written"},
    ]
    video = {"url": "/static/v.mp4", "title": "In a minute", "captions_url": "/static/v.vtt", "transcript_url": "/chat"}
    return {**written, "steps": steps, "video": video, "chat": {"label": "Ask a person", "action": "open_chat"}}


def nudge(placement: str, kind: str) -> dict[str, Any]:
    mode = "help" if kind == "help" else "prompt"
    plain = {"key": placement, "placement": placement, "mode": mode, "needs_episode": False, "content": content(kind)}
    return {**plain, "goal": "paid"} if mode == "help" else plain


DEFINITION = {
    "milestones": [
        {"key": key, "signal": {"event": event}, "window": {"ever": True}}
        for key, event in (("listed", "list_picked"), ("written", "email_written"))
    ],
    "nudges": [*(nudge(kind, kind) for kind in FORMATS), nudge("modal_too", "modal")],
    "holdout": {"share": 0},
    "settings": {"caps": [], "gap_minutes": 0},
}


class Host:
    """The host; ``broken`` reports fail, as with a server in trouble."""

    def __init__(self) -> None:
        options = Options(on_error="raise", max_staleness=0, store_wait=5)
        self.client = NudgeClient("memory://", definition=parse_definition(DEFINITION), options=options)
        self.client.standing("nobody")
        self.broken = False
        self.policy = POLICY
        self.reports: list[tuple[str, bool]] = []
        self.app = Flask(__name__, static_folder=None)
        self.app.secret_key = "the host's own"
        CSRFProtect(self.app)
        self.nudges = Nudges(
            self.app, self.client, identify=self.who, actions={"open_chat": "/chat"}, labels={"ar": LABELS}
        )
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self.app.add_url_rule("/static/<name>", "static", self._static)
        for path, template in TEMPLATES.items():
            self.app.add_url_rule(path, path, lambda template=template, **asked: self._page(template, **asked))

    def who(self) -> Who | None:
        return Who(session["user"], "acme", locale=session["lang"]) if "user" in session else None

    def kinds(self) -> list[str]:
        """What was written down of ada's nudges; without what a slow machine may have shown by the way."""
        return [kind for kind in self.all_kinds() if kind != "shown"]

    def all_kinds(self) -> list[str]:
        """What was written down of ada's nudges."""
        return [row.kind for row in self.client.store.exposures("acme", "ada")]

    def _page(self, template: str, placement: str = "") -> str:
        return render_template_string(template, placement=placement, lang=request.args.get("lang", "en"))

    def _static(self, name: str) -> Response:
        sources = {
            "host.css": (STYLE, "text/css"),
            "host.js": (SCRIPT, "text/javascript"),
            "v.vtt": ("WEBVTT\n", "text/vtt"),
        }
        found, kind = sources.get(name, ("", "video/mp4"))
        return Response(found, mimetype=kind)

    def _before(self) -> Any:
        if "as" in request.args:
            session.update(user=request.args["as"], lang=request.args.get("lang", "en"))
        if request.path.endswith("/report"):
            by_script = request.headers["Accept"] == "application/json"
            self.reports.append((request.form.get("report", ""), by_script))
            if self.broken and by_script:
                return redirect("/elsewhere")
        return None

    def _after(self, response: Response) -> Response:
        response.headers["Content-Security-Policy"] = self.policy
        return response
