"""A host page, its people and their browsers."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

from flask import Flask, render_template_string, session
from flask.testing import FlaskClient

from nudge_sdk import NudgeClient, Options
from nudge_sdk.hosts.flask import Nudges, Who
from nudge_sdk.testing import Clock

PAGE = '<!doctype html><head>{{ nudge_head() }}</head><body>page {{ nudge("dashboard") }}</body>'

DEFINITION = """
milestones:
  - key: sent
    category: high
    signal: {event: campaign_sent}
    done: sent a campaign
  - key: invited
    category: medium
    signal: {event: teammate_invited}
    done: invited <b>your</b> team
  - key: started
    points: 0
    signal: {event: workflow_started}
    window: {ever: true}
segments:
  - key: all
    member:
      warm: {score: 5, gates: [{milestones: [sent]}]}
nudges:
  - key: prompt
    placement: dashboard
    goal: paid
    content:
      type: banner
      title: "You just {{ done | did it }}, {{ user_name | friend }}"
      body: "More *room* for {{ account_name | you }}."
      cta: {label: "Upgrade <now>", url: "/upgrade?from=prompt&x=1"}
      dismiss: Not now
    ask:
      type: modal
      title: Ask somebody
      cta: {label: Ask my admin, action: ask_admin}
  - key: guide
    placement: dashboard
    mode: help
    goal: paid
    content:
      type: help
      title: Finish it
      steps:
        - {title: Send, url: /send, milestone: sent}
        - {title: Start, url: /start, milestone: started}
      video: {url: /v.mp4, title: In a minute, captions_url: /v.vtt, transcript_url: /v}
      chat: {label: Ask a person, action: open_chat}
holdout: {share: 0}
"""


class Host:
    """A host page, its people and their browsers."""

    def __init__(self, folder: Path, *, hooks: dict[str, Any] | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.client = NudgeClient(
            f"sqlite:///{folder / 'nudge.db'}",
            definition=DEFINITION,
            clock=self.clock,
            options=Options(on_error="raise", max_staleness=0, **options),
        )
        self.people: dict[str, Who] = {}
        self.app = Flask(__name__)
        self.app.secret_key = "the host's own"
        self.app.testing = True
        self.nudges = Nudges(
            self.app,
            self.client,
            identify=lambda: self.people.get(session.get("user", "")),
            actions={"ask_admin": "/ask", "open_chat": "/chat"},
            **(hooks or {}),
        )
        for path in ("/home", "/evil.example/home"):
            self.app.add_url_rule(path, path.replace(".", ""), lambda: render_template_string(PAGE))
        self.app.add_url_rule("/fail/<int:status>", "fail", lambda status: ("", status))
        self.app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
        self.app.add_url_rule("/log-in/<user>", "log_in", self.log_in, methods=["POST"])
        self.app.add_url_rule("/do/<event>", "act", self.act, methods=["POST"])

    def log_in(self, user: str) -> str:
        session["user"] = user
        return ""

    def act(self, event: str) -> str:
        self.nudges.track(event)
        return render_template_string(PAGE)

    def move(self, **span: float) -> None:
        """Let time pass; what was done before is in the store by then, as it is within a blink in life."""
        self.client.flush()
        self.clock.move(**span)

    def browser(self, user: str, **traits: Any) -> FlaskClient:
        self.people.setdefault(user, Who(user, account="acme", **traits))
        browser = self.app.test_client()
        browser.post(f"/log-in/{user}")
        return browser


def shown(page: str) -> str:
    found = re.search(r'data-nudge="(\w+)"', page)
    return found[1] if found else ""


def token_of(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return unescape(found[1])


def press(browser: FlaskClient, page: str, report: str, **fields: str) -> Any:
    assert f'value="{report}"' in page
    return browser.post("/nudge-sdk/report", data={"token": token_of(page), "report": report, **fields})
