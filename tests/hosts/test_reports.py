"""What the script and single-page apps ask of the blueprint, and the HTML that they are given."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFProtect

from nudge_sdk import NudgeClient
from nudge_sdk.hosts.flask import Nudges, Who
from nudge_sdk.hosts.labels import Labels
from nudge_sdk.hosts.rendering import Form, render
from nudge_sdk.rules.presenting import Payload, ShownButton
from tests.hosts.host import DEFINITION, Host, press, shown, token_of

JSON = {"Accept": "application/json"}


def say(browser: FlaskClient, page: str, report: str) -> Any:
    data = {"token": token_of(page), "report": report}
    return browser.post("/nudge-sdk/report", data=data, headers=JSON)


def test_the_script_is_answered_in_json_with_the_checks_of_the_form(host: Host) -> None:
    ada, eve = host.browser("ada"), host.browser("eve")
    page = ada.post("/do/campaign_sent").text
    answer = say(ada, page, "shown")
    assert (answer.status_code, answer.json) == (200, {"ok": True})
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Accept", "Cookie"} <= set(answer.vary)
    refused = say(eve, page, "dismissed")
    assert (refused.status_code, dict(refused.json or {})["ok"]) == (403, False)
    assert say(ada, page, "nonsense").status_code == 400
    bad = ada.post("/nudge-sdk/report", data={"token": "x", "report": "dismissed"}, headers=JSON)
    assert (bad.status_code, dict(bad.json or {})["ok"]) == (400, False)
    assert say(ada, page, "dismissed").json == {"ok": True}
    assert shown(ada.get("/home").text) == ""


def test_shown_counts_once(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    say(ada, page, "shown")
    host.move(minutes=1)
    say(ada, ada.get("/home").text, "shown")
    host.client.flush()
    assert [row.kind for row in host.client.store.exposures("acme", "ada")] == ["offered", "shown"]


def test_the_script_learns_that_nothing_was_recorded(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    host.move(days=2, hours=1)
    assert say(ada, page, "dismissed").status_code == 410
    fresh = ada.get("/home").text
    host.client.record = lambda *given, **named: False  # type: ignore[method-assign]
    assert say(ada, fresh, "dismissed").status_code == 503
    assert press(ada, fresh, "dismissed").status_code == 303


def test_the_script_can_ask_whether_a_nudge_still_stands(host: Host) -> None:
    ada = host.browser("ada")
    page = ada.post("/do/campaign_sent").text
    assert say(ada, page, "open").json == {"ok": True, "open": True}
    press(ada, page, "dismissed")
    assert say(ada, page, "open").json == {"ok": True, "open": False}
    host.client.flush()
    assert {row.kind for row in host.client.store.exposures("acme", "ada")} == {"offered", "dismissed"}


def test_a_single_page_app_is_given_the_nudge_of_a_placement(host: Host) -> None:
    ada = host.browser("ada")
    asked = {"placement": "dashboard", "page": "/app/home?tab=2"}
    empty = ada.get("/nudge-sdk/slot", query_string=asked)
    assert (empty.status_code, empty.text) == (204, "")
    ada.post("/do/campaign_sent")
    answer = ada.get("/nudge-sdk/slot", query_string=asked)
    assert answer.mimetype == "text/html"
    assert answer.text.startswith('<nudge-prompt class="nudge-prompt" data-decision=')
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.vary
    assert press(ada, answer.text, "dismissed").location == "/app/home?tab=2"
    assert host.app.test_client().get("/nudge-sdk/slot", query_string=asked).status_code == 204
    assert ada.get("/nudge-sdk/slot").status_code == 204


@pytest.mark.parametrize("page", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x"])
def test_the_page_that_a_slot_names_chooses_no_other_site(host: Host, page: str) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    answer = ada.get("/nudge-sdk/slot", query_string={"placement": "dashboard", "page": page})
    assert press(ada, answer.text, "dismissed").location == "/"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_no_other_site_makes_a_browser_ask(host: Host, site: str) -> None:
    ada = host.browser("ada")
    ada.post("/do/campaign_sent")
    asked = {"placement": "dashboard"}
    assert ada.get("/nudge-sdk/slot", query_string=asked, headers={"Sec-Fetch-Site": site}).status_code == 403
    host.client.flush()
    offered = [row.kind for row in host.client.store.exposures("acme", "ada")]
    assert offered == ["offered"]


def test_the_head_takes_a_nonce(host: Host) -> None:
    with host.app.test_request_context("/home"):
        assert host.nudges.head(nonce='n"0').count('nonce="n&quot;0"') == 2
        assert "nonce" not in host.nudges.head()


class User:
    is_authenticated = is_active = True
    is_anonymous = False

    def __init__(self, name: str) -> None:
        self.id = name

    def get_id(self) -> str:
        return self.id


def test_it_works_under_flask_login_and_csrf_protection(tmp_path: Path) -> None:
    """The host protects every post, and says who somebody is by Flask-Login."""
    app = Flask(__name__)
    app.secret_key = "x"
    CSRFProtect(app)
    LoginManager(app).user_loader(User)
    with NudgeClient("memory://", definition=DEFINITION) as client:
        Nudges(app, client, identify=lambda: Who(current_user.id, "acme") if current_user.is_authenticated else None)
        app.add_url_rule("/log-in", "log_in", lambda: str(login_user(User("ada"))))
        client.track("ada", "campaign_sent", account="acme")
        browser = app.test_client()
        asked = {"placement": "dashboard"}
        assert browser.get("/nudge-sdk/slot", query_string=asked).status_code == 204
        browser.get("/log-in")
        html = browser.get("/nudge-sdk/slot", query_string=asked).text
        data = {"token": token_of(html), "report": "dismissed"}
        assert browser.post("/nudge-sdk/report", data=data, headers=JSON).status_code == 400
        found = re.search(r'name="csrf_token" value="([^"]+)"', html)
        assert found
        data["csrf_token"] = unescape(found[1])
        assert browser.post("/nudge-sdk/report", data=data, headers=JSON).json == {"ok": True}
        assert browser.get("/nudge-sdk/slot", query_string=asked).status_code == 204


def payload(kind: str, **changes: Any) -> Payload:
    plain = {"nudge": "n", "placement": "p", "type": kind, "mode": "prompt", "locale": "en", "title": "<Title>"}
    return Payload(**{**plain, "cta": ShownButton("Go", "/go"), **changes})


def form(**changes: Any) -> Form:
    return Form(**{"action": "/report", "fields": {"token": "t"}, **changes})


@pytest.mark.parametrize("kind", ["banner", "card", "modal", "slideout", "tooltip", "checklist", "help", "survey"])
def test_every_format_is_one_element_that_needs_no_script(kind: str) -> None:
    html = render(payload(kind), form(decision="d"))
    assert html.startswith('<nudge-prompt class="nudge-prompt"')
    assert html.endswith("</nudge-prompt>")
    assert 'data-decision="d"' in html
    assert ("data-format" in html) == (kind in ("modal", "slideout"))
    assert "&lt;Title&gt;" in html
    assert "dialog" not in html
    assert "data-preview" not in html


def test_what_the_script_says_to_screen_readers_is_in_the_labels() -> None:
    labels = Labels(close="Fermer", said_closed="<Fermé>", more="Plus", opt_out="Assez")
    html = render(payload("card"), form(labels=labels))
    assert 'value="dismissed" class="nudge-button nudge-quiet" data-said="&lt;Fermé&gt;">Fermer<' in html
    assert 'aria-label="Plus"' in html
    assert ">Assez</button>" in html


def test_a_preview_says_so_and_what_cannot_be_chosen_has_no_menu() -> None:
    html = render(payload("card"), form(is_preview=True, can_opt_out=False, can_snooze=False))
    assert " data-preview>" in html
    assert "<details" not in html


def test_a_text_from_right_to_left_says_so() -> None:
    assert 'lang="ar" dir="rtl"' in render(payload("modal", locale="ar", direction="rtl"), form())
